// Pure: a rerun must give what the first run gave. Compared before anything of the rerun is committed.
import type { BatchTime } from '../core/time.ts';
import type { LedgerRow } from '../sinks/sink.ts';

/** The fingerprint of each partition with rows. */
export type Fingerprints = ReadonlyMap<number, string>;

/** A partition whose rerun differs. */
export interface RerunDifference {
  readonly partitionId: number;
  /** Undefined where the run gave no rows. */
  readonly before: string | undefined;
  readonly now: string | undefined;
}

/** The partitions in which two runs differ. */
export function compareFingerprints(before: Fingerprints, now: Fingerprints): readonly RerunDifference[] {
  const partitions = [...new Set([...before.keys(), ...now.keys()])].sort((left, right) => left - right);
  return partitions
    .map((partitionId) => ({ partitionId, before: before.get(partitionId), now: now.get(partitionId) }))
    .filter((difference) => difference.before !== difference.now);
}

/** The rows that a sink holds of a batch, and in which the rerun differs from them. Partitions without such a row are not compared: they are committed now. */
export function compareWithRows(rows: ReadonlyMap<number, LedgerRow>, batchTime: BatchTime, now: Fingerprints): readonly RerunDifference[] {
  const before = new Map([...rows].filter(([, row]) => row.batchTime === batchTime).map(([partitionId, row]) => [partitionId, row.fingerprint]));
  return compareFingerprints(before, new Map([...now].filter(([partitionId]) => before.has(partitionId))));
}

/** The partitions whose row is of the batch and of another plan than its own. */
export function foreignRows(
  rows: ReadonlyMap<number, LedgerRow>,
  { batchTime, planId }: { readonly batchTime: BatchTime; readonly planId: string },
): readonly number[] {
  return [...rows].filter(([, row]) => row.batchTime === batchTime && row.planId !== planId).map(([partitionId]) => partitionId);
}
