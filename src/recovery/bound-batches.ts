// Pure: which batches must run again, and which of them are bound to code that is not today's?
import { graphFingerprint, withPartitions, type GraphDescriptor } from '../core/graph-descriptor.ts';
import type { Uid } from '../core/ids.ts';
import type { StatefulNode } from '../dstream/graph.ts';
import type { Ledger, LedgerBatch } from '../journal/ledger.ts';
import { decideBatch } from './decide-batch.ts';

/** The code of today. */
export interface Program {
  readonly graph: GraphDescriptor;
  readonly codeVersion: string;
  /** The codecs in which each operator reads state, by its uid. */
  readonly stateCodecs: ReadonlyMap<Uid, readonly string[]>;
}

/** The codecs in which each operator reads state. */
export function stateCodecsOf(stateful: readonly StatefulNode[]): Program['stateCodecs'] {
  return new Map(stateful.map(({ node, state }) => [node.descriptor.uid, state.settings.codecs.map(({ name }) => name)]));
}

/** A batch that must run again. */
export interface BatchAgain {
  readonly batch: LedgerBatch;
  readonly action: 'rerun' | 'state-only';
}

/** Batches that must run again, and what stands in their way. */
export interface BatchesAgain {
  /** Oldest first. */
  readonly again: readonly BatchAgain[];
  /** All from the first one that is bound to other code onwards; none if today's code may run all of them. */
  readonly bound: readonly LedgerBatch[];
  /** Why the first of them may not run; undefined if all may. */
  readonly because: string | undefined;
}

/** Says of which operators a batch has made state. */
export type StateMade = (batch: LedgerBatch) => readonly Uid[];

/**
 * Of which operators a batch has made state that was not dropped since. The graph that planned it says which have any; where that graph is not known any more, every operator counts of
 * which the plan names partitions.
 *
 * @param graphs - The graphs that are known.
 */
export function stateMade({ givenUp }: Ledger, graphs: readonly GraphDescriptor[]): StateMade {
  const stateful = new Map(graphs.map((graph) => [graphFingerprint(graph), graph.operators.filter(({ isStateful }) => isStateful)] as const));
  return ({ batchTime, graphFingerprint: fingerprint, shuffles }) => {
    const uids = stateful.get(fingerprint)?.map(({ uid }) => uid) ?? [...shuffles.keys()];
    return uids.filter((uid) => (givenUp.states.get(uid)?.batchTime ?? -1) < batchTime);
  };
}

/** Why today's code may not run a batch again; undefined if it may. */
function whyBound(batch: LedgerBatch, { graph, codeVersion }: Program): string | undefined {
  if (batch.codeVersion !== codeVersion) return `version "${batch.codeVersion}" planned it, this is version "${codeVersion}"`;
  if (batch.graphFingerprint !== graphFingerprint(withPartitions(graph, batch.shuffles)))
    return `another graph planned it, under the same version "${codeVersion}"`;
  return undefined;
}

/** What is known of the batches of a store. */
export interface BatchScene {
  readonly ledger: Ledger;
  /** The last batch that the checkpoint covers; 0 without one. */
  readonly covered: number;
  readonly made: StateMade;
}

/**
 * Sorts the batches that no checkpoint covers. A completed one whose state nobody needs is done; one that must run again needs the code that planned it.
 */
export function batchesAgain({ ledger, covered, made }: BatchScene, program: Program): BatchesAgain {
  const today = new Set(program.graph.operators.filter(({ isStateful }) => isStateful).map(({ uid }) => uid));
  const again = ledger.batches.flatMap((batch) => {
    const action = decideBatch({ isPlanned: true, isCompleted: batch.completion !== undefined, isInCheckpoint: batch.batchTime <= covered });
    const isNeeded = action === 'rerun' || (action === 'state-only' && made(batch).some((uid) => today.has(uid)));
    return isNeeded ? [{ batch, action }] : [];
  });
  const first = again.find(({ batch }) => whyBound(batch, program) !== undefined)?.batch;
  if (first === undefined) return { again, bound: [], because: undefined };
  return { again, bound: ledger.batches.filter(({ batchTime }) => batchTime >= first.batchTime), because: whyBound(first, program) };
}
