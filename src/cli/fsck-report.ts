// Pure: what a check of a store found, as lines for people or as an object for programs, and the exit code of it.
import type { CorruptionError } from '../core/errors.ts';
import type { Identity } from '../journal/identity.ts';
import type { EventProblem } from './event-check.ts';
import { TOOL_CODES, toolCodeOf, type ToolCode } from './exit-codes.ts';
import type { LogPlace } from './survey.ts';

/** What a check found. */
export interface FsckFindings {
  readonly directory: string;
  readonly identity: Pick<Identity, 'storeId' | 'app' | 'epoch'>;
  readonly segments: number;
  readonly records: number;
  readonly firstLsn: number;
  /** Bytes of all segment files. */
  readonly bytes: number;
  readonly tornBytes: number;
  /** The place behind the last whole record. */
  readonly end: LogPlace;
  readonly damage: CorruptionError | undefined;
  readonly problem: EventProblem | undefined;
  readonly isFolded: boolean;
  readonly foreign: readonly string[];
}

type Verdict = 'clean' | 'torn' | 'corrupt' | 'version';

/** The verdict and its exit code: damage to the log first, since what stands behind it was not read. */
export function judgeFindings({ damage, problem, tornBytes }: Pick<FsckFindings, 'damage' | 'problem' | 'tornBytes'>): {
  readonly verdict: Verdict;
  readonly exitCode: ToolCode;
} {
  if (damage !== undefined) return { verdict: 'corrupt', exitCode: TOOL_CODES.corrupt };
  if (problem !== undefined) {
    const exitCode = toolCodeOf(problem.error);
    return { verdict: exitCode === TOOL_CODES.version ? 'version' : 'corrupt', exitCode };
  }
  return tornBytes > 0 ? { verdict: 'torn', exitCode: TOOL_CODES.torn } : { verdict: 'clean', exitCode: TOOL_CODES.clean };
}

/** The place of what is wrong, its records and why. */
export interface DamagePlace extends LogPlace {
  /** The last record that is damaged or missing; undefined where nothing whole follows. */
  readonly lsnTo: number | undefined;
  readonly code: string;
  readonly reason: string;
}

/** The message without what only holds for a start. */
function reasonOf({ message }: CorruptionError): string {
  return message.replace(/\. Nothing was changed$/, '');
}

/** The first thing that is wrong with the records of a log. */
export function damagePlace({ end, damage, problem }: Pick<FsckFindings, 'end' | 'damage' | 'problem'>): DamagePlace | undefined {
  // A record that is read stands before a damage to the log.
  if (problem !== undefined) return { ...problem.place, lsnTo: problem.place.lsn, code: problem.error.code, reason: problem.error.message };
  if (damage?.damage === undefined) return undefined;
  const { segment, offset, lsnTo } = damage.damage;
  return { lsn: end.lsn, segment, offset: segment === end.segment ? end.offset : offset, lsnTo, code: damage.code, reason: reasonOf(damage) };
}

/** Records as words: one, several, or all from one on. */
export function lsnRangeText(from: number, to: number | undefined): string {
  if (to === undefined) return `records ${from} and on`;
  return to <= from ? `record ${from}` : `records ${from} to ${to}`;
}

/** A damage as lines for people. */
export function damageLines(place: DamagePlace): readonly string[] {
  return [
    `damaged     ${lsnRangeText(place.lsn, place.lsnTo)}, segment ${place.segment} at offset ${place.offset}`,
    `            ${place.code}: ${place.reason}`,
  ];
}

/** What a torn end means. */
export function tornSentence(tornBytes: number): string {
  return `The log ends with a torn write in its last ${tornBytes} bytes: harmless, nothing in it was acknowledged, and the next start cuts it.`;
}

const VERDICT_TEXTS: Readonly<Record<Verdict, string>> = {
  clean: 'clean',
  torn: 'torn end',
  corrupt: 'damaged',
  version: 'written by another version',
};

function lsnText({ records, firstLsn, end }: FsckFindings): string {
  return records === 0 ? 'none' : `${records}, lsn ${firstLsn} to ${end.lsn - 1}`;
}

function foldLine({ records, firstLsn, isFolded }: FsckFindings): readonly string[] {
  if (records === 0) return [];
  if (isFolded) return ['events      each follows from those before'];
  return [`events      decoded only: the log was cut and begins with record ${firstLsn}, what came before is in a checkpoint, which is not read`];
}

/** Findings as lines for people. */
export function fsckLines(found: FsckFindings): readonly string[] {
  const { identity, segments, bytes, tornBytes, foreign } = found;
  const { verdict } = judgeFindings(found);
  const place = damagePlace(found);
  const isBoth = found.problem !== undefined && found.damage !== undefined;
  const second = isBoth ? damagePlace({ ...found, problem: undefined }) : undefined;
  return [
    `store       ${identity.storeId}, application "${identity.app}", epoch ${identity.epoch}`,
    `log         ${segments} segments, ${bytes} bytes, torn ${tornBytes}`,
    `records     ${lsnText(found)}`,
    ...(found.problem === undefined ? foldLine(found) : []),
    ...foreign.map((name) => `note        "${name}" in journal/ belongs to nobody`),
    `verdict     ${VERDICT_TEXTS[verdict]}`,
    ...(place === undefined ? [] : damageLines(place)),
    ...(second === undefined ? [] : damageLines(second)),
    ...(verdict === 'torn' ? [tornSentence(tornBytes)] : []),
  ];
}

/** Findings as an object for programs. */
export function fsckJson(found: FsckFindings): string {
  const { directory, identity, segments, records, firstLsn, end, bytes, tornBytes, foreign, isFolded } = found;
  const { storeId, app, epoch } = identity;
  const { verdict, exitCode } = judgeFindings(found);
  const lsns = records === 0 ? {} : { firstLsn, lastLsn: end.lsn - 1 };
  const log = { segments, records, ...lsns, bytes, tornBytes, isFolded, foreign };
  return JSON.stringify({ exitCode, verdict, directory, store: { storeId, app, epoch }, log, damage: damagePlace(found) });
}
