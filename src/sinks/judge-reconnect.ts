// Pure: is the sink behind a new connection still the one this process has committed to? A server that was restored from a backup while the driver ran shows here.
import type { LedgerRow, SinkFence, SinkSession, SinkView } from './sink.ts';

/** What this process knows, and what it finds. */
export interface ReconnectScene {
  readonly session: SinkSession;
  /** The row of each partition as this process last read or wrote it. */
  readonly known: ReadonlyMap<number, LedgerRow>;
  /** Rows of commits whose outcome is not known: each may stand or not. */
  readonly doubtful: ReadonlyMap<number, LedgerRow>;
  readonly found: SinkView;
}

/** Go on; a newer driver has taken over; or the sink is not what it was. */
export type ReconnectVerdict =
  | { readonly kind: 'same' }
  | { readonly kind: 'fenced'; readonly by: SinkFence }
  | { readonly kind: 'conflict'; readonly expected: string; readonly found: string };

function rowText(row: LedgerRow | undefined): string {
  return row === undefined ? 'no row' : `batch ${row.batchTime}, plan ${row.planId}, fingerprint ${row.fingerprint}`;
}

function isSameRow(left: LedgerRow | undefined, right: LedgerRow | undefined): boolean {
  return left?.batchTime === right?.batchTime && left?.planId === right?.planId && left?.fingerprint === right?.fingerprint;
}

function isNewer(fence: SinkFence, { epoch, incarnation, storeId }: SinkSession): boolean {
  return fence.storeId !== storeId || fence.epoch > epoch || (fence.epoch === epoch && fence.incarnation !== incarnation);
}

/** Judges what stands behind a new connection. */
export function judgeReconnect({ session, known, doubtful, found }: ReconnectScene): ReconnectVerdict {
  const { fence, rows } = found;
  if (fence !== undefined && isNewer(fence, session)) return { kind: 'fenced', by: fence };
  if (fence?.epoch !== session.epoch) {
    return { kind: 'conflict', expected: `a fence of epoch ${session.epoch}`, found: fence === undefined ? 'no fence' : `one of epoch ${fence.epoch}` };
  }
  for (const partitionId of new Set([...known.keys(), ...rows.keys()])) {
    const row = rows.get(partitionId);
    const committed = known.get(partitionId);
    const unsure = doubtful.get(partitionId);
    if (isSameRow(row, committed) || (unsure !== undefined && isSameRow(row, unsure))) continue;
    return { kind: 'conflict', expected: `${rowText(committed)} in partition ${partitionId}`, found: rowText(row) };
  }
  return { kind: 'same' };
}
