// Pure: how long would the next start take, if the driver died now? Reading the log and the state by their bytes, running again what no checkpoint covers by the time that it took, and the rest by what the start of this
// life took.
import type { RecoveryEstimate } from '../core/diagnostics.ts';

/** What the next start would meet. */
export interface RecoveryFacts {
  /** Bytes of the log: all of it is read. */
  readonly logBytes: number;
  /** Bytes of state in the newest checkpoint. */
  readonly stateBytes: number;
  /** How long each batch will take that no checkpoint covers, in milliseconds, oldest first. */
  readonly batchesMs: readonly number[];
}

/** What a batch cost that ran in this life. */
export interface MeasuredBatch {
  /** Milliseconds that it was computed for; nothing of its outputs. */
  readonly ms: number;
  readonly records: number;
}

/** What this life has measured, to compare with. */
export interface MeasuredLife {
  /** What its start took without the batches that it ran again, and what it read. */
  readonly start: Omit<RecoveryFacts, 'batchesMs'> & { readonly ms: number };
  /** The first two batches that it ran, again or for the first time. */
  readonly firstBatches: readonly MeasuredBatch[];
  /** Whether the first of them is one of those that no checkpoint covers. */
  readonly isFirstAgain: boolean;
}

/** Bytes per millisecond, on the two virtual cores that the benchmarks name. They count only for what differs from the start of this life, which was measured. */
const LOG_BYTES_PER_MS = 300_000;
const STATE_BYTES_PER_MS = 200_000;
/** State is decoded when a batch touches it first. */
const DECODED_BYTES_PER_MS = 30_000;

function readingMs({ logBytes, stateBytes }: Pick<RecoveryFacts, 'logBytes' | 'stateBytes'>): number {
  return logBytes / LOG_BYTES_PER_MS + stateBytes / STATE_BYTES_PER_MS;
}

/** What the first batch of a life takes beyond its records: state is decoded, code is cold. 0 until there is a second one to compare with. */
function warmingMs([first, second]: readonly MeasuredBatch[]): number {
  if (first === undefined || second === undefined) return 0;
  const ratio = second.records === 0 ? 1 : Math.max(1, first.records / second.records);
  return Math.max(0, first.ms - second.ms * ratio);
}

/** Estimates what {@link RecoveryEstimate} names. */
export function estimateRecovery({ logBytes, stateBytes, batchesMs }: RecoveryFacts, { start, firstBatches, isFirstAgain }: MeasuredLife): RecoveryEstimate {
  const fixedMs = Math.max(0, start.ms - readingMs(start));
  let againMs = batchesMs.reduce((sum, ms) => sum + ms, 0);
  if (batchesMs.length > 0) {
    // The first batch of the next life pays it, whichever paid it in this one.
    if (!isFirstAgain) againMs += warmingMs(firstBatches);
    againMs += Math.max(0, stateBytes - start.stateBytes) / DECODED_BYTES_PER_MS;
  }
  return { ms: Math.round(fixedMs + readingMs({ logBytes, stateBytes }) + againMs), batches: batchesMs.length, bytes: logBytes + stateBytes };
}
