// Pure: what becomes of a store when today's graph goes on with it? Each difference gets a verdict: it is carried, it is given up with consent, or it is refused.
import type { GraphDescriptor, OperatorDescriptor } from '../core/graph-descriptor.ts';
import type { Uid } from '../core/ids.ts';
import { judgeInput } from './carry-input.ts';
import { judgeState, stateText } from './carry-state.ts';
import { isSource, Lineage, SINK_KIND } from './lineage.ts';
import { compatible, counted, incompatible, nameOf, type Change, type ChangeVerdict, type Judged, type Pairing, type StoreFacts } from './upgrade-scene.ts';

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

function judgeSink(pairing: Pairing): readonly Judged[] {
  const { uid, was, is, facts } = pairing;
  if (is?.kind === SINK_KIND) return [];
  const rows = facts.rows.get(uid) ?? 0;
  const what = is === undefined ? 'is gone' : `is ${is.kind} now`;
  if (rows === 0 && !facts.unfinished.has(uid)) return was?.kind === SINK_KIND ? [compatible(`${nameOf(pairing)} ${what}: it never committed`)] : [];
  const held = rows === 0 ? 'an unfinished batch writes to it' : `what ${counted(rows, 'partition')} of it committed last would be forgotten`;
  return [{ verdict: 'consent', consent: 'forgetSink', sentence: `${nameOf(pairing)} ${what}: ${held}` }];
}

function show(value: OperatorDescriptor[keyof OperatorDescriptor]): string {
  return value === undefined ? 'none' : typeof value === 'object' ? `"${value.join('", "')}"` : String(value);
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
