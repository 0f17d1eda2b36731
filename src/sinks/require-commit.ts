// For those who write a sink: the decisions of a claim and of a commit, with the errors that the engine knows.
import type { CommitKey } from '../core/ids.ts';
import { judgeCommit, type CommitScene } from './judge-commit.ts';
import { claimError, commitError, mayClaim } from './sink-errors.ts';
import type { CommitRecord, SinkFence, SinkSession } from './sink.ts';

/**
 * Requires that a session may claim a fence. Call it inside the transaction that then writes the fence.
 *
 * @param fence - The fence that stands; undefined if there is none.
 * @throws {LockedError} If the fence is of the same or a later epoch, or of another store.
 * @example
 * ```ts
 * import { requireClaim } from 'millrace';
 *
 * const session = { app: 'shop', sink: 'totals', storeId: 's', epoch: 2, incarnation: 'i', partitions: [0] };
 * requireClaim({ epoch: 1, incarnation: 'h', storeId: 's' }, session);
 * ```
 */
export function requireClaim(fence: SinkFence | undefined, session: SinkSession): void {
  if (!mayClaim(fence, session)) throw claimError(fence, session);
}

/**
 * Decides on a commit. Call it inside the transaction that then writes the rows and the ledger row, with fence and row as they stand in it.
 *
 * @returns `commit`: write; `duplicate`: this very commit stands already, answer so.
 * @throws {LockedError} If the fence is not the session's.
 * @throws {CorruptionError} If the row is not the one this commit follows, or the batch was committed with other rows or under another plan.
 * @example
 * ```ts
 * import { requireCommit, type CommitKey } from 'millrace';
 *
 * const session = { app: 'shop', sink: 'totals', storeId: 's', epoch: 2, incarnation: 'i', partitions: [0] };
 * const key: CommitKey = { app: 'shop', sink: 'totals', batchTime: 1000 as CommitKey['batchTime'], partitionId: 0 };
 * const verdict = requireCommit({ session, fence: session, row: undefined }, key, { planId: 'p', fingerprint: 'f' });
 * console.assert(verdict === 'commit');
 * ```
 */
export function requireCommit(scene: CommitScene, key: CommitKey, record: CommitRecord): 'commit' | 'duplicate' {
  const verdict = judgeCommit(scene, key, record);
  if (verdict.kind === 'fenced' || verdict.kind === 'conflict') throw commitError(verdict, key, record);
  return verdict.kind;
}
