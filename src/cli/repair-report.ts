// Pure: what a cut of the log gives up and changes, as lines for people or as an object for programs.
import type { CorruptionError } from '../core/errors.ts';
import { segmentName } from '../wal/segment-files.ts';
import { factsText, type EventFacts, type RecordLine } from './describe-record.ts';
import { damageLines, lsnRangeText, type DamagePlace } from './fsck-report.ts';
import type { LsnRange } from './read-behind.ts';
import type { CutPlace, RepairStep } from './repair-plan.ts';

/** A cut and what it comes to. */
export interface RepairFindings {
  readonly directory: string;
  readonly damage: DamagePlace | undefined;
  readonly tornBytes: number;
  /** Undefined where nothing is to be cut. */
  readonly cut: CutPlace | undefined;
  /** Records that are given up and whole. */
  readonly givenUp: readonly RecordLine[];
  /** Records that are given up and cannot be read. */
  readonly unreadable: readonly LsnRange[];
  readonly steps: readonly RepairStep[];
}

/** How far a repair came. */
export type RepairStage =
  | { readonly kind: 'proposed' }
  | { readonly kind: 'done'; readonly copies: readonly string[]; readonly verdict: string; readonly damage: CorruptionError | undefined };

/** Checkpoints that were folded from records that are given up, as far as the log names them. */
export function checkpointsAhead({ givenUp, cut }: Pick<RepairFindings, 'givenUp' | 'cut'>): readonly { readonly number: number; readonly lsn: number }[] {
  if (cut === undefined) return [];
  return givenUp
    .filter(({ kind }) => kind === 'checkpoint')
    .map(({ facts }) => ({ number: Number(facts['number']), lsn: Number(facts['upToLsn']) }))
    .filter(({ lsn }) => lsn >= cut.lsn);
}

const SHOWN_FACTS: Readonly<Partial<Record<RecordLine['kind'], readonly string[]>>> = {
  'block-added': ['stream', 'blockId', 'recordCount'],
  'batch-planned': ['batchTime'],
  'batch-completed': ['batchTime'],
};

function shownFacts({ kind, facts }: RecordLine): EventFacts {
  const shown = SHOWN_FACTS[kind];
  return shown === undefined ? facts : Object.fromEntries(Object.entries(facts).filter(([name]) => shown.includes(name)));
}

/** One step as words. */
export function stepText(step: RepairStep): string {
  const name = segmentName(step.segment);
  switch (step.kind) {
    case 'copy':
      return `copy ${name} to ${name}.broken-<time>`;
    case 'zero':
      return `overwrite ${name} with zeros from offset ${step.from} to ${step.to}`;
    case 'remove':
      return `remove ${name}`;
  }
}

function givenUpLines({ givenUp, unreadable }: RepairFindings): readonly string[] {
  if (givenUp.length + unreadable.length === 0) return ['given up    no record'];
  return [
    `given up    ${givenUp.length} ${givenUp.length === 1 ? 'record' : 'records'} that can still be read`,
    ...givenUp.map((line) => `            ${line.lsn}  ${line.kind} ${factsText(shownFacts(line))}`.trimEnd()),
    ...unreadable.map(({ from, to }) => `unreadable  ${lsnRangeText(from, to)}`),
  ];
}

function consequenceLines(found: RepairFindings): readonly string[] {
  const { givenUp, unreadable } = found;
  const ahead = checkpointsAhead(found).map(
    ({ number, lsn }) => `checkpoint  ${number} was folded up to record ${lsn}: while the store holds it, the log is not cut, the state would be ahead of it`,
  );
  const isBatch = givenUp.some(({ kind }) => kind === 'batch-planned' || kind === 'batch-completed') || unreadable.length > 0;
  const sinks = isBatch ? ['sinks       one that holds a batch that is given up is refused at the next start'] : [];
  return [...ahead, ...sinks];
}

function nextLines({ cut, directory }: RepairFindings, stage: RepairStage): readonly string[] {
  if (stage.kind === 'done') {
    return [
      ...stage.copies.map((name) => `kept        ${name}`),
      `result      ${stage.verdict}`,
      ...(stage.damage === undefined ? [] : [`            ${stage.damage.message}`]),
    ];
  }
  if (cut === undefined) return [];
  return ['Nothing was changed. To give this up and cut the log:', `  millrace wal repair ${directory} --truncate-at ${cut.lsn} --i-accept-loss`];
}

/** A repair as lines for people. */
export function repairLines(found: RepairFindings, stage: RepairStage): readonly string[] {
  const { damage, cut, steps, tornBytes } = found;
  const state =
    damage === undefined ? [tornBytes > 0 ? 'The log is whole but for a torn end, which the next start cuts.' : 'The log is whole.'] : damageLines(damage);
  if (cut === undefined) return [...state, 'There is nothing to repair.'];
  const end = cut.keep === undefined ? 'no segment stays' : `the log ends in segment ${cut.keep.segment} at offset ${cut.keep.offset}`;
  return [
    ...state,
    `cut         before record ${cut.lsn}: ${end}`,
    ...givenUpLines(found),
    ...consequenceLines(found),
    ...(steps.length === 0 ? ['steps       none: the log ends there already'] : steps.map((step) => `step        ${stepText(step)}`)),
    ...nextLines(found, stage),
  ];
}

/** A repair as an object for programs. */
export function repairJson(found: RepairFindings, stage: RepairStage, exitCode: number): string {
  const { directory, damage, tornBytes, cut, givenUp, unreadable, steps } = found;
  const records = givenUp.map(({ facts, ...line }) => ({ ...line, ...facts }));
  const result = stage.kind === 'done' ? { copies: stage.copies, verdict: stage.verdict } : undefined;
  return JSON.stringify({
    exitCode,
    directory,
    isDone: stage.kind === 'done',
    damage,
    tornBytes,
    cut,
    givenUp: records,
    unreadable,
    checkpointsAhead: checkpointsAhead(found),
    steps,
    result,
  });
}
