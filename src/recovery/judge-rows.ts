// Pure: is what a sink holds what this directory says it must hold? The first table of recovery: one verdict per ledger row.
import type { ExpectedRow } from '../journal/ledger.ts';
import type { LedgerRow } from '../sinks/sink.ts';

/** The oldest planned batch that is not completed, as far as one sink is concerned. */
export interface UnfinishedBatch {
  readonly batchTime: number;
  readonly planId: string;
  /** How many partitions the plan gives to the sink; 0 when it does not name it. */
  readonly partitions: number;
}

/** One partition of one sink. */
export interface RowScene {
  readonly partitionId: number;
  /** What the sink holds. */
  readonly row: LedgerRow | undefined;
  /** What the ledger says it committed last. */
  readonly expected: ExpectedRow | undefined;
  readonly unfinished: UnfinishedBatch | undefined;
}

/** The verdict: nothing happened since; committed before the crash; or refuse, with what it means. */
export type RowVerdict =
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'committed' }
  | {
      readonly kind: 'refuse';
      /** Whether the sink lost commits, or holds what this directory did not commit. */ readonly finding: 'missing' | 'foreign';
      readonly why: string;
    };

/**
 * Judges one row.
 *
 * - It is the expected row, or neither is there: nothing happened since the last completed batch, or the partition never committed.
 * - It is a row of the oldest unfinished batch, under its plan: the crash came after this commit. A rerun finds a duplicate.
 * - It is missing or older: the sink lost commits, perhaps it was restored from a backup.
 * - Anything else: the directory is an old, emptied or wrong one for this sink.
 */
export function judgeRow({ partitionId, row, expected, unfinished }: RowScene): RowVerdict {
  const refuse = (finding: 'missing' | 'foreign', why: string): RowVerdict => ({ kind: 'refuse', finding, why });
  if (row === undefined) {
    return expected === undefined
      ? { kind: 'unchanged' }
      : refuse('missing', `its row is missing, batch ${expected.batchTime} was committed: the sink lost commits`);
  }
  if (expected !== undefined && isExpected(row, expected)) return { kind: 'unchanged' };
  if (unfinished !== undefined && isUnfinished(row, unfinished) && partitionId < unfinished.partitions) return { kind: 'committed' };
  if (expected !== undefined && row.batchTime < expected.batchTime) {
    return refuse('missing', `its row is of batch ${row.batchTime}, batch ${expected.batchTime} was committed: the sink lost commits`);
  }
  const known = expected === undefined ? 'none' : `batch ${expected.batchTime}, plan ${expected.planId}`;
  return refuse(
    'foreign',
    `its row is of batch ${row.batchTime}, plan ${row.planId}, this directory knows of ${known}: it is an old, emptied or wrong one for this sink`,
  );
}

function isExpected(row: LedgerRow, { batchTime, planId, fingerprint }: ExpectedRow): boolean {
  return row.batchTime === batchTime && row.planId === planId && row.fingerprint === fingerprint;
}

function isUnfinished(row: LedgerRow, { batchTime, planId }: UnfinishedBatch): boolean {
  return row.batchTime === batchTime && row.planId === planId;
}
