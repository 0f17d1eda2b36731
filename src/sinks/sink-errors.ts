// The errors every transactional sink gives for the verdicts of judge-commit and for a claim that is refused.
import { CorruptionError, LockedError, type StreamError } from '../core/errors.ts';
import type { CommitKey } from '../core/ids.ts';
import type { CommitVerdict } from './judge-commit.ts';
import type { CommitRecord, LedgerRow, SinkFence, SinkSession } from './sink.ts';

function describeFence(fence: SinkFence | undefined): string {
  return fence === undefined ? 'there is no fence' : `the fence is of epoch ${fence.epoch}, incarnation ${fence.incarnation}, store ${fence.storeId}`;
}

function describeRow(row: LedgerRow | undefined): string {
  return row === undefined ? 'there is no row' : `the row is of batch ${row.batchTime}, plan ${row.planId}, fingerprint ${row.fingerprint}`;
}

/** The error of a commit that must not go ahead. */
export function commitError(verdict: Extract<CommitVerdict, { kind: 'fenced' | 'conflict' }>, key: CommitKey, record: CommitRecord): StreamError {
  const what = `Cannot commit partition ${key.partitionId} of batch ${key.batchTime} to "${key.sink}"`;
  if (verdict.kind === 'fenced') return new LockedError('STREAM_FENCED', `${what} as the fence must be this driver's: ${describeFence(verdict.by)}`);
  if (verdict.reason === 'fingerprint-differs') {
    return new CorruptionError(
      'STREAM_BATCH_DIFFERS',
      `${what} as a rerun must give the rows of the first run, fingerprint ${record.fingerprint}: ${describeRow(verdict.found)}`,
    );
  }
  const expected = record.previous === undefined ? 'the partition must never have committed' : `its last commit must be of batch ${record.previous}`;
  return new CorruptionError('STREAM_SINK_CONFLICT', `${what} as ${expected}: ${describeRow(verdict.found)}`);
}

/** Whether a session may claim a fence: it needs a greater epoch, or is the very session that holds it. */
export function mayClaim(fence: SinkFence | undefined, session: SinkSession): boolean {
  if (fence === undefined) return true;
  if (fence.storeId !== session.storeId) return false;
  return session.epoch > fence.epoch || (session.epoch === fence.epoch && session.incarnation === fence.incarnation);
}

/** The error of a claim that is refused. */
export function claimError(fence: SinkFence | undefined, session: SinkSession): StreamError {
  return new LockedError(
    'STREAM_FENCED',
    `Cannot claim "${session.sink}" for epoch ${session.epoch} of store ${session.storeId} as its fence must be older and of the same store: ${describeFence(fence)}`,
  );
}
