// Pure: what must be done with a batch after a crash? The second table of recovery.

/** What the fold of checkpoint and journal says of a batch. */
export interface BatchFacts {
  readonly isPlanned: boolean;
  readonly isCompleted: boolean;
  readonly isInCheckpoint: boolean;
}

/** What to do with it. */
export type BatchAction = 'join-next' | 'rerun' | 'state-only' | 'skip' | 'refuse';

/**
 * The table. Each row has the crash that produces it.
 *
 * - Nothing: blocks became durable and the driver died before a plan took them. They join the next batch.
 * - Planned: the driver died between plan and completion. Some partitions may be committed, none is lost: the batch runs again from its plan, compares what the sinks
 *   hold of it, and commits what is missing. Outputs without a ledger run again.
 * - Planned and completed, in no checkpoint: the driver died before the next checkpoint. Only the state is computed again; nothing is put out; the digest must be the same.
 * - All three: the driver died after the checkpoint. Done.
 * - A checkpoint of a batch that is not completed, or a completion without a plan: no crash does this. The records contradict each other.
 */
export function decideBatch({ isPlanned, isCompleted, isInCheckpoint }: BatchFacts): BatchAction {
  if (!isPlanned) return isCompleted || isInCheckpoint ? 'refuse' : 'join-next';
  if (!isCompleted) return isInCheckpoint ? 'refuse' : 'rerun';
  return isInCheckpoint ? 'skip' : 'state-only';
}
