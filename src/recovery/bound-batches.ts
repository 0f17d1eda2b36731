// Pure: which batches must run again, and which of them are bound to code that is not today's?
import { graphFingerprint, type GraphDescriptor } from '../core/graph-descriptor.ts';
import type { Ledger, LedgerBatch } from '../journal/ledger.ts';
import { decideBatch } from './decide-batch.ts';

/** The code of today. */
export interface Program {
  readonly graph: GraphDescriptor;
  readonly codeVersion: string;
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

/** Whether a batch has made state that today's graph keeps. Its plan names the partitions of every operator that had state. State that was dropped since needs it no more. */
function hasMadeState(batch: LedgerBatch, { graph }: Program, { givenUp }: Ledger): boolean {
  return graph.operators.some(({ uid, isStateful }) => isStateful && batch.shuffles.has(uid) && (givenUp.states.get(uid)?.batchTime ?? -1) < batch.batchTime);
}

/** Why today's code may not run a batch again; undefined if it may. */
function whyBound(batch: LedgerBatch, { graph, codeVersion }: Program): string | undefined {
  if (batch.codeVersion !== codeVersion) return `version "${batch.codeVersion}" planned it, this is version "${codeVersion}"`;
  if (batch.graphFingerprint !== graphFingerprint(graph)) return `another graph planned it, under the same version "${codeVersion}"`;
  return undefined;
}

/**
 * Sorts the batches that no checkpoint covers. A completed one whose state nobody needs is done; one that must run again needs the code that planned it.
 *
 * @param covered - The last batch that the checkpoint covers; 0 without one.
 */
export function batchesAgain(ledger: Ledger, covered: number, program: Program): BatchesAgain {
  const again = ledger.batches.flatMap((batch) => {
    const action = decideBatch({ isPlanned: true, isCompleted: batch.completion !== undefined, isInCheckpoint: batch.batchTime <= covered });
    const isNeeded = action === 'rerun' || (action === 'state-only' && hasMadeState(batch, program, ledger));
    return isNeeded ? [{ batch, action }] : [];
  });
  const first = again.find(({ batch }) => whyBound(batch, program) !== undefined)?.batch;
  if (first === undefined) return { again, bound: [], because: undefined };
  return { again, bound: ledger.batches.filter(({ batchTime }) => batchTime >= first.batchTime), because: whyBound(first, program) };
}
