// Pure: how long would the next start take, if the driver died now? Reading the log and the state by their bytes, running again what no checkpoint covers by the time that it took.

/** What the next start would meet. */
export interface RecoveryFacts {
  /** Bytes of the log: all of it is read. */
  readonly logBytes: number;
  /** Bytes of state in the newest checkpoint. */
  readonly stateBytes: number;
  /** How long each batch took that no checkpoint covers, in milliseconds; one that runs counts as the one before it. */
  readonly batchesMs: readonly number[];
}

/** What a start took, to compare with. */
export interface MeasuredStart {
  readonly ms: number;
  readonly logBytes: number;
  readonly stateBytes: number;
}

/** An estimate. */
export interface RecoveryEstimate {
  /** From the call of `getOrCreate` until batches that must run again have: milliseconds. The process itself must start before, and the first new batch ends an interval later. */
  readonly ms: number;
  /** How many batches would run again. */
  readonly batches: number;
  /** How many bytes would be read: log and state. */
  readonly bytes: number;
}

/** Bytes per millisecond, on the two virtual cores that the benchmarks name; what differs here is in the part that is measured. */
const LOG_BYTES_PER_MS = 300_000;
const STATE_BYTES_PER_MS = 60_000;

function readingMs({ logBytes, stateBytes }: Pick<RecoveryFacts, 'logBytes' | 'stateBytes'>): number {
  return logBytes / LOG_BYTES_PER_MS + stateBytes / STATE_BYTES_PER_MS;
}

/**
 * Estimates.
 *
 * @param last - What the last start took without the batches that it ran again: what of it reading does not explain, the next one will take too.
 */
export function estimateRecovery({ logBytes, stateBytes, batchesMs }: RecoveryFacts, last: MeasuredStart): RecoveryEstimate {
  const fixedMs = Math.max(0, last.ms - readingMs(last));
  const againMs = batchesMs.reduce((sum, ms) => sum + ms, 0);
  return { ms: Math.round(fixedMs + readingMs({ logBytes, stateBytes }) + againMs), batches: batchesMs.length, bytes: logBytes + stateBytes };
}
