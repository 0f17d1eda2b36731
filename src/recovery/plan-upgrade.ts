// Pure: what becomes of a store when today's graph goes on with it? Each difference gets a verdict: it is carried, it is given up with consent, or it is refused.
import type { GraphDescriptor, OperatorDescriptor } from '../core/graph-descriptor.ts';
import type { Uid } from '../core/ids.ts';
import { isSource, Lineage, SINK_KIND } from './lineage.ts';

/** State of an operator in the checkpoint. */
export interface HeldState {
  readonly keys: number;
  readonly bytes: number;
  /** The operator that wrote it; undefined where the checkpoint does not say. */
  readonly writtenAs: OperatorDescriptor | undefined;
}

/** Inputs of a stream that no state and no sink has for good: waiting, or in batches that must run again. */
export interface HeldInput {
  readonly blocks: number;
  readonly files: number;
  readonly records: number;
  readonly bytes: number;
  /** The codecs of the blocks. */
  readonly codecs: readonly string[];
}

/** What a store holds, by uid. */
export interface StoreFacts {
  readonly states: ReadonlyMap<Uid, HeldState>;
  /** How many completed batches that are in no checkpoint name an operator: what state they made is not counted. */
  readonly uncheckpointed: ReadonlyMap<Uid, number>;
  readonly inputs: ReadonlyMap<Uid, HeldInput>;
  /** Streams of which positions or names of files are remembered. */
  readonly positioned: ReadonlySet<Uid>;
  /** How many partitions of a sink have committed. */
  readonly rows: ReadonlyMap<Uid, number>;
  /** Sinks that an unfinished plan names. */
  readonly unfinished: ReadonlySet<Uid>;
  /** The codecs that this version reads. */
  readonly codecs: { readonly state: readonly string[]; readonly records: readonly string[] };
}

/** How a difference is judged. */
export type ChangeVerdict = 'compatible' | 'consent' | 'incompatible';

/** The option in which a uid is given up. */
export type ConsentKind = 'dropState' | 'forgetSink' | 'dropInput';

/** A difference between the store and today's graph. */
export interface Change {
  readonly verdict: ChangeVerdict;
  /** What it is about; undefined for the program as a whole. */
  readonly uid: Uid | undefined;
  readonly sentence: string;
  /** What must be given up for it; only with the verdict `consent`. */
  readonly consent?: ConsentKind;
}

/** State that is brought up to date when it is read. */
export interface StateMigration {
  readonly uid: Uid;
  readonly from: number;
  readonly to: number;
  readonly keys: number;
}

/** What becomes of a store. */
export interface Upgrade {
  readonly verdict: 'unchanged' | ChangeVerdict;
  readonly changes: readonly Change[];
  readonly migrations: readonly StateMigration[];
  /** What is no difference and yet asks for one later. */
  readonly warnings: readonly string[];
}

/** What is compared. */
export interface UpgradeScene {
  /** The graph that wrote the store; undefined where none did. */
  readonly before: GraphDescriptor | undefined;
  readonly now: GraphDescriptor;
  readonly facts: StoreFacts;
}

/** One uid on both sides. */
interface Pairing {
  readonly uid: Uid;
  readonly was: OperatorDescriptor | undefined;
  readonly is: OperatorDescriptor | undefined;
  readonly facts: StoreFacts;
}

type Judged = Omit<Change, 'uid'>;

const compatible = (sentence: string): Judged => ({ verdict: 'compatible', sentence });
const incompatible = (sentence: string): Judged => ({ verdict: 'incompatible', sentence });

function nameOf({ uid, was, is }: Pairing): string {
  const operator = was ?? is;
  return operator === undefined ? `"${uid}"` : `${operator.kind} "${uid}"`;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

function isAre(count: number): string {
  return count === 1 ? 'is' : 'are';
}

/** What is held of an operator's state, in words; undefined if there is none. */
function stateText({ uid, was, facts }: Pairing): string | undefined {
  const state = facts.states.get(uid);
  const batches = was?.isStateful === true ? (facts.uncheckpointed.get(uid) ?? 0) : 0;
  const parts = [
    ...(state === undefined || state.keys === 0 ? [] : [`${counted(state.keys, 'key')}, ${state.bytes} bytes of state`]),
    ...(batches === 0 ? [] : [`the state that ${counted(batches, 'batch').replace(/batchs$/, 'batches')} in no checkpoint made`]),
  ];
  return parts.length === 0 ? undefined : parts.join(' and ');
}

/** State that an operator goes on with: written by another version of it? */
function carriedState(pairing: Pairing, is: OperatorDescriptor): readonly Judged[] {
  const { uid, was, facts } = pairing;
  const held = facts.states.get(uid);
  const written = held?.writtenAs ?? was;
  if (written === undefined) return [];
  const name = `${is.kind} "${uid}"`;
  if (written.kind !== is.kind) {
    return [
      incompatible(
        `${name}: its state was made by ${written.kind}, which it cannot go on with. Give it a uid of its own, and drop the old state with dropState: ["${uid}"]`,
      ),
    ];
  }
  const keys = held?.keys ?? 0;
  const changes: Judged[] = [];
  if (written.codec !== is.codec) changes.push(judgeCodec(name, { before: written.codec, now: is.codec, known: facts.codecs.state }));
  const from = written.stateVersion ?? 1;
  const to = is.stateVersion ?? 1;
  if (to < from) changes.push(incompatible(`${name}: its state was written in version ${from}, this program knows version ${to}: it was rolled back`));
  else if (to > from && (is.migratesFrom ?? to) > from)
    changes.push(
      incompatible(`${name}: its state was written in version ${from}, and its migrations to version ${to} begin at version ${is.migratesFrom ?? to}`),
    );
  else if (to > from) changes.push(compatible(`${name}: ${counted(keys, 'key')} ${isAre(keys)} migrated from version ${from} to ${to}`));
  return changes;
}

function judgeCodec(name: string, codec: { readonly before: string | undefined; readonly now: string | undefined; readonly known: readonly string[] }): Judged {
  const { before = 'none', now = 'none', known } = codec;
  return known.includes(before)
    ? compatible(`${name}: its state was written with the codec ${before} and is written with ${now} from here on`)
    : incompatible(`${name}: its state was written with the codec ${before}, and this version reads ${known.join(', ')}`);
}

function judgeState(pairing: Pairing): readonly Judged[] {
  const { uid, was, is } = pairing;
  const held = stateText(pairing);
  if (is?.isStateful === true) {
    if (held !== undefined) return carriedState(pairing, is);
    if (was === undefined) return [compatible(`${is.kind} "${uid}" is new: its state starts empty`)];
    return was.isStateful ? [] : [compatible(`${is.kind} "${uid}" keeps state from here on: it starts empty`)];
  }
  const what = is === undefined ? 'is gone' : `is ${is.kind} now, which keeps no state`;
  if (held !== undefined) return [{ verdict: 'consent', consent: 'dropState', sentence: `${nameOf(pairing)} ${what}: ${held} would be dropped` }];
  return was?.isStateful === true ? [compatible(`${nameOf(pairing)} ${what}: it holds no state`)] : [];
}

function judgeSink(pairing: Pairing): readonly Judged[] {
  const { uid, was, is, facts } = pairing;
  if (is?.kind === SINK_KIND) return [];
  const rows = facts.rows.get(uid) ?? 0;
  const what = is === undefined ? 'is gone' : `is ${is.kind} now`;
  if (rows === 0 && !facts.unfinished.has(uid)) return was?.kind === SINK_KIND ? [compatible(`${nameOf(pairing)} ${what}: it never committed`)] : [];
  const held = rows === 0 ? 'an unfinished batch writes to it' : `what ${counted(rows, 'partition')} of it committed last would be forgotten`;
  return [{ verdict: 'consent', consent: 'forgetSink', sentence: `${nameOf(pairing)} ${what}: ${held}` }];
}

function inputText({ blocks, files, records, bytes }: HeldInput): string {
  const parts = [...(blocks === 0 ? [] : [`${counted(blocks, 'block')} with ${counted(records, 'record')}`]), ...(files === 0 ? [] : [counted(files, 'file')])];
  return `${parts.join(' and ')}, ${bytes} bytes`;
}

function judgeInput(pairing: Pairing): readonly Judged[] {
  const { uid, was, is, facts } = pairing;
  const found = facts.inputs.get(uid);
  const held = found !== undefined && found.blocks + found.files > 0 ? found : undefined;
  const isKnown = facts.positioned.has(uid);
  if (is !== undefined && isSource(is)) {
    if (was === undefined) {
      return held !== undefined || isKnown ? [compatible(`${is.kind} "${uid}" is back: it goes on from where it was`), ...judgeBlocks(pairing, held)] : [];
    }
    if (was.kind !== is.kind && (held !== undefined || isKnown)) {
      const what = held === undefined ? 'what was taken from it is remembered' : `${inputText(held)} of it wait`;
      return [incompatible(`${is.kind} "${uid}" was ${was.kind}, and ${what}: give the new stream another uid`)];
    }
    return judgeBlocks(pairing, held);
  }
  const what = is === undefined ? 'is gone' : `is ${is.kind} now`;
  if (held !== undefined) return [{ verdict: 'consent', consent: 'dropInput', sentence: `${nameOf(pairing)} ${what}: ${inputText(held)} would be dropped` }];
  if (was === undefined || !isSource(was)) return [];
  return [compatible(`${nameOf(pairing)} ${what}: nothing of it waits${isKnown ? ', where it was stays known' : ''}`)];
}

function judgeBlocks({ uid, is, was, facts }: Pairing, held: HeldInput | undefined): readonly Judged[] {
  const unknown = (held?.codecs ?? []).filter((codec) => !facts.codecs.records.includes(codec));
  const name = `${is?.kind ?? ''} "${uid}"`;
  if (unknown.length > 0)
    return [incompatible(`${name}: blocks wait in the codec ${unknown.join(', ')}, and this version reads ${facts.codecs.records.join(', ')}`)];
  return was === undefined || was.codec === is?.codec
    ? []
    : [compatible(`${name}: its codec was ${was.codec ?? 'none'}, is ${is?.codec ?? 'none'}; each block is read by its own`)];
}

function show(value: unknown): string {
  return value === undefined ? 'none' : Array.isArray(value) ? `"${value.join('", "')}"` : String(value);
}

/** Differences that lose nothing whatever they are. */
function judgeRest({ uid, was, is }: Pairing, isToldAlready: boolean): readonly Judged[] {
  if (was === undefined) return is === undefined || isToldAlready ? [] : [compatible(`${is.kind} "${uid}" is new`)];
  if (is === undefined) return isToldAlready ? [] : [compatible(`${was.kind} "${uid}" is gone`)];
  const told: readonly (keyof OperatorDescriptor)[] = isToldAlready ? [] : ['kind', 'codec', 'stateVersion'];
  const fields = (['parents', 'partitions', ...told] as const).filter((field) => JSON.stringify(was[field]) !== JSON.stringify(is[field]));
  return fields.map((field) => compatible(`${is.kind} "${uid}": ${field} was ${show(was[field])}, is ${show(is[field])}`));
}

/** Whether anything stands under a uid that would go to a stranger. */
function holdsAnything(pairing: Pairing): boolean {
  const { uid, facts } = pairing;
  const input = facts.inputs.get(uid);
  return (
    stateText(pairing) !== undefined ||
    (facts.rows.get(uid) ?? 0) > 0 ||
    facts.unfinished.has(uid) ||
    facts.positioned.has(uid) ||
    (input !== undefined && input.blocks + input.files > 0)
  );
}

function comparePair(pairing: Pairing, lineages: { readonly before: Lineage; readonly now: Lineage }): readonly Judged[] {
  const { uid, is, was } = pairing;
  if (was !== undefined && is?.isPositional === true && holdsAnything(pairing) && lineages.before.signature(uid) !== lineages.now.signature(uid)) {
    return [
      incompatible(
        `${is.kind} "${uid}" has its uid by position, and what it descends from is not what it was: give what is the same { uid: "${uid}" } in its options, and this one another`,
      ),
    ];
  }
  const judged = [...judgeState(pairing), ...judgeSink(pairing), ...judgeInput(pairing)];
  return [...judged, ...judgeRest(pairing, judged.length > 0)].map((change) => withHint(change, pairing, lineages));
}

/** Says how to keep what would be given up, where another operator could be the same under another position. */
function withHint(change: Judged, { uid, was, is }: Pairing, { before, now }: { readonly before: Lineage; readonly now: Lineage }): Judged {
  if (change.verdict !== 'consent' || was?.isPositional !== true || is !== undefined) return change;
  const other = [...now.operators.values()].find(({ kind, isPositional, uid: name }) => kind === was.kind && isPositional && !before.operators.has(name));
  if (other === undefined) return change;
  return { ...change, sentence: `${change.sentence}. If ${other.kind} "${other.uid}" is the same, give it { uid: "${uid}" } in its options` };
}

function compareWhole(before: GraphDescriptor, now: GraphDescriptor, isSameOtherwise: boolean): readonly Judged[] {
  const order = (graph: GraphDescriptor): string => graph.operators.map(({ uid }) => uid).join(', ');
  const isMoved = isSameOtherwise && order(before) !== order(now);
  return [
    ...(before.batchIntervalMs === now.batchIntervalMs
      ? []
      : [
          compatible(
            `the batch interval was ${before.batchIntervalMs} ms, is ${now.batchIntervalMs} ms: the next batch is later than every one that was planned`,
          ),
        ]),
    ...(isMoved ? [compatible(`the order was ${order(before)}, is ${order(now)}`)] : []),
  ];
}

function migrationsOf({ now, facts }: UpgradeScene): readonly StateMigration[] {
  return now.operators.flatMap(({ uid, isStateful, stateVersion: to = 1 }) => {
    const held = facts.states.get(uid);
    const from = held?.writtenAs?.stateVersion ?? 1;
    return !isStateful || held === undefined || held.keys === 0 || held.writtenAs === undefined || from >= to ? [] : [{ uid, from, to, keys: held.keys }];
  });
}

function warningsOf({ operators }: GraphDescriptor): readonly string[] {
  return operators
    .filter((operator) => operator.isPositional && (operator.isStateful || operator.kind === SINK_KIND || isSource(operator)))
    .map(({ kind, uid }) => `${kind} "${uid}" has its uid by position: give it a uid in its options, so that it is found again when the program changes`);
}

const RANK: readonly Upgrade['verdict'][] = ['unchanged', 'compatible', 'consent', 'incompatible'];

/** Compares a store with today's graph. */
export function planUpgrade(scene: UpgradeScene): Upgrade {
  const { before = { batchIntervalMs: scene.now.batchIntervalMs, operators: [] }, now, facts } = scene;
  const lineages = { before: new Lineage(before), now: new Lineage(now) };
  const held = [facts.states, facts.uncheckpointed, facts.inputs, facts.rows].flatMap((map) => [...map.keys()]);
  const isFirst = scene.before === undefined && held.length === 0;
  const uids = new Set([...lineages.before.operators.keys(), ...lineages.now.operators.keys(), ...held, ...facts.unfinished]);
  const changes = [...(isFirst ? [] : uids)].flatMap((uid) =>
    comparePair({ uid, was: lineages.before.operators.get(uid), is: lineages.now.operators.get(uid), facts }, lineages).map((judged) => ({ uid, ...judged })),
  );
  const whole = compareWhole(before, now, changes.length === 0 && !isFirst).map((judged) => ({ uid: undefined, ...judged }));
  const all = [...whole, ...changes];
  const rank = Math.max(0, ...all.map(({ verdict }) => RANK.indexOf(verdict)));
  return { verdict: RANK[rank] ?? 'unchanged', changes: all, migrations: migrationsOf(scene), warnings: warningsOf(now) };
}
