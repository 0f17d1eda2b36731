// Pure: is what today's graph gives up of a store exactly what was consented to? Less is refused, and so is more: a consent that nothing needs would give something up later, unseen.
import { UsageError } from '../core/errors.ts';
import { graphFingerprint, type GraphDescriptor } from '../core/graph-descriptor.ts';
import type { Uid } from '../core/ids.ts';
import type { StoredHead } from '../checkpoint/checkpoints.ts';
import { emptyLedger, type GivenUp, type Ledger, type LedgerBatch } from '../journal/ledger.ts';
import { batchesAgain, stateMade, type BatchesAgain, type Program } from './bound-batches.ts';
import { planUpgrade, type Upgrade } from './plan-upgrade.ts';
import { storeFacts } from './store-facts.ts';
import type { ConsentKind } from './upgrade-scene.ts';

/** What may be given up at a start: exactly what the start needs, named one by one. `millrace plan` and the error of a start that lacks consent print it. */
export interface Acceptance {
  /** Uids of operators whose state is dropped. */
  readonly dropState?: readonly Uid[];
  /** Uids of sinks that are forgotten: their rows stay where they are, and are expected no more. */
  readonly forgetSink?: readonly Uid[];
  /** Uids of streams whose waiting records are dropped. */
  readonly dropInput?: readonly Uid[];
  /** Times of batches that other code planned: they are closed, and their inputs run in new batches. What the sinks hold of them may then be there twice. */
  readonly replaceBatches?: readonly number[];
}

/** A store as it was read. */
export interface StoreContent {
  /** The graphs that wrote it, as far as log and checkpoint tell, oldest first. */
  readonly graphs: readonly GraphDescriptor[];
  readonly ledger: Ledger;
  /** The checkpoint that a start goes on from. */
  readonly head: StoredHead | undefined;
}

/** A store against today's program. */
export interface Assessment {
  readonly upgrade: Upgrade;
  readonly batches: BatchesAgain;
  /** What a start must be given, all of it; without fields for nothing. */
  readonly needed: Acceptance;
  /** What was given up earlier and is not in today's graph again. */
  readonly given: GivenUp;
}

/** What a start does about what it was given. */
export interface Agreed {
  readonly dropState: readonly Uid[];
  readonly forgetSink: readonly Uid[];
  readonly dropInput: readonly Uid[];
  /** Oldest first. */
  readonly replace: readonly LedgerBatch[];
}

/** A store of which nothing was ever written. */
export const EMPTY_STORE: StoreContent = { graphs: [], ledger: emptyLedger(), head: undefined };

/** Compares a store with today's program. */
export function assess({ graphs, ledger, head }: StoreContent, program: Program): Assessment {
  const scene = { ledger, covered: head?.head.batchTime ?? 0, made: stateMade(ledger, [...graphs, program.graph]) };
  const batches = batchesAgain(scene, program);
  const upgrade = planUpgrade({ before: graphs.at(-1), now: program.graph, facts: storeFacts(scene, head, { program, again: batches.again }) });
  const consents = (kind: ConsentKind): readonly Uid[] => upgrade.changes.flatMap(({ consent, uid }) => (consent === kind && uid !== undefined ? [uid] : []));
  const named = (kind: ConsentKind): Acceptance => (consents(kind).length === 0 ? {} : { [kind]: consents(kind) });
  const replace = batches.bound.map(({ batchTime }) => batchTime);
  return {
    upgrade,
    batches,
    needed: { ...named('dropState'), ...named('forgetSink'), ...named('dropInput'), ...(replace.length === 0 ? {} : { replaceBatches: replace }) },
    given: stillGone(ledger.givenUp, program),
  };
}

/** What was given up and is not there again: to consent to it once more gives up nothing. */
function stillGone({ states, sinks, streams, batches }: GivenUp, { graph }: Program): GivenUp {
  const today = new Set(graph.operators.map(({ uid }) => uid));
  return {
    states: new Map([...states].filter(([uid]) => !today.has(uid))),
    sinks: new Set([...sinks].filter((uid) => !today.has(uid))),
    streams: new Set([...streams].filter((uid) => !today.has(uid))),
    batches,
  };
}

/** An acceptance as a program writes it. */
export function acceptanceText(accept: Acceptance): string {
  const fields = Object.entries(accept).map(
    ([name, values]) => `${name}: [${(values as readonly unknown[]).map((value) => JSON.stringify(value)).join(', ')}]`,
  );
  return `accept: { ${fields.join(', ')} }`;
}

function missing(upgrade: Upgrade, accept: Acceptance): boolean {
  return upgrade.changes.some(({ consent, uid }) => consent !== undefined && uid !== undefined && accept[consent]?.includes(uid) !== true);
}

/** Why the graph may not go on with the store; undefined if it may. */
function graphRefusal({ upgrade, needed }: Assessment, accept: Acceptance, directory: string): UsageError | undefined {
  const isIncompatible = upgrade.verdict === 'incompatible';
  if (!isIncompatible && !missing(upgrade, accept)) return undefined;
  const told = upgrade.changes.map(({ verdict, sentence }) => `[${verdict}] ${sentence}`).join('; ');
  const rule = isIncompatible ? 'the graph must be able to take over what it holds' : 'what is given up must be consented to';
  const way = isIncompatible ? 'No consent helps against what is incompatible' : `If that is meant, start with ${acceptanceText(needed)}`;
  return new UsageError('STREAM_GRAPH_CHANGED', `Cannot go on with the store "${directory}" as ${rule}: ${told}. ${way}. Nothing was changed`);
}

/** What was consented to and nothing needs. */
function needlessOf({ needed, given, batches }: Assessment, accept: Acceptance): readonly string[] {
  const earlier = {
    dropState: [...given.states.keys()],
    forgetSink: [...given.sinks],
    dropInput: [...given.streams],
    // With batches left to replace, the exact list is told instead.
    replaceBatches: batches.bound.length === 0 ? [...given.batches] : (accept.replaceBatches ?? []),
  };
  const kinds = ['dropState', 'forgetSink', 'dropInput', 'replaceBatches'] as const;
  return kinds.flatMap((kind) => {
    const wanted = new Set<unknown>([...(needed[kind] ?? []), ...earlier[kind]]);
    return (accept[kind] ?? []).filter((value) => !wanted.has(value)).map((value) => `${kind}: ${JSON.stringify(value)}`);
  });
}

function codeRefusal({ batches, needed, given, upgrade }: Assessment, accept: Acceptance, program: Program): UsageError | undefined {
  const [first] = batches.bound;
  if (first === undefined) return undefined;
  const times = batches.bound.map(({ batchTime }) => Number(batchTime));
  const accepted = (accept.replaceBatches ?? []).filter((time) => times.includes(time) || !given.batches.has(time));
  if (accepted.length === times.length && new Set([...accepted, ...times]).size === times.length) return undefined;
  const many = times.length === 1 ? '1 batch' : `${times.length} batches`;
  const found = accepted.length === 0 ? '' : ` Found replaceBatches: [${accepted.join(', ')}], which are not exactly these.`;
  const differences =
    first.codeVersion === program.codeVersion && first.graphFingerprint !== graphFingerprint(program.graph) && upgrade.verdict !== 'unchanged'
      ? ` (${upgrade.changes.map(({ sentence }) => sentence).join('; ')})`
      : '';
  return new UsageError(
    'STREAM_CODE_VERSION',
    `Cannot run batch ${first.batchTime} again as the code that planned it must run it: ${batches.because ?? ''}${differences}. ${many} from there on ${times.length === 1 ? 'is' : 'are'} bound to it. ` +
      `Let that code finish first: stop it gracefully, or run it with drain. Or start with ${acceptanceText(needed)}: ` +
      `they are closed, their inputs run in new batches, and what the sinks hold of them may be there twice.${found} Nothing was changed`,
  );
}

/**
 * Decides whether a start may go on.
 *
 * @throws {UsageError} `STREAM_GRAPH_CHANGED` if the graph cannot take over the store or consent is missing, `STREAM_OPTION` if a consent is needless, `STREAM_CODE_VERSION` if
 * batches that must run again are bound to other code and are not consented to be replaced, one by one.
 */
export function requireConsent(assessment: Assessment, accept: Acceptance, start: { readonly directory: string; readonly program: Program }): Agreed {
  const refusal = graphRefusal(assessment, accept, start.directory);
  if (refusal !== undefined) throw refusal;
  const needless = needlessOf(assessment, accept);
  if (needless.length > 0) {
    throw new UsageError(
      'STREAM_OPTION',
      `Cannot use the option accept of getOrCreate as it must name what this start gives up and nothing else: nothing needs ${needless.join(', ')}. Nothing was changed`,
    );
  }
  const codes = codeRefusal(assessment, accept, start.program);
  if (codes !== undefined) throw codes;
  const { needed, batches } = assessment;
  return { dropState: needed.dropState ?? [], forgetSink: needed.forgetSink ?? [], dropInput: needed.dropInput ?? [], replace: batches.bound };
}
