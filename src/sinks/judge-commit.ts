// Pure: may this commit go ahead? The compare-and-set of every transactional sink here, decided on the fence and the one ledger row of the partition.
import type { CommitRecord, LedgerRow, SinkFence, SinkSession } from './sink.ts';
import type { CommitKey } from '../core/ids.ts';

/** The answer to a commit: do it, it stands already, or why not. */
export type CommitVerdict =
  | { readonly kind: 'commit' }
  | { readonly kind: 'duplicate' }
  | { readonly kind: 'fenced'; readonly by: SinkFence | undefined }
  | { readonly kind: 'conflict'; readonly found: LedgerRow | undefined; readonly reason: 'row-moved' | 'fingerprint-differs' };

/** What stands in the sink when a commit arrives. */
export interface CommitScene {
  readonly session: SinkSession;
  readonly fence: SinkFence | undefined;
  readonly row: LedgerRow | undefined;
}

/**
 * Judges a commit. The fence must be the session's own. A row of the same batch and plan is a duplicate if its fingerprint agrees; otherwise the row must be the one
 * the ledger of the driver expects (`previous`), or be absent where none is expected. Anything else means that the sink moved under the driver.
 */
export function judgeCommit(scene: CommitScene, key: CommitKey, record: CommitRecord): CommitVerdict {
  const { session, fence, row } = scene;
  if (fence?.epoch !== session.epoch || fence.incarnation !== session.incarnation || fence.storeId !== session.storeId) {
    return { kind: 'fenced', by: fence };
  }
  if (row?.batchTime === key.batchTime && row.planId === record.planId) {
    return row.fingerprint === record.fingerprint ? { kind: 'duplicate' } : { kind: 'conflict', found: row, reason: 'fingerprint-differs' };
  }
  return row?.batchTime === record.previous ? { kind: 'commit' } : { kind: 'conflict', found: row, reason: 'row-moved' };
}
