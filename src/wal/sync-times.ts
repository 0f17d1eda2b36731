// How long the syncs of the log took: a histogram, since the mean says nothing about the one that made everybody wait.
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';

/** How long syncs took, in milliseconds, since the log was opened. */
export interface SyncTimes {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

const US_PER_MS = 1000;

/** Collects times; exact to a microsecond, percentiles to three digits. */
export class SyncHistogram {
  readonly #histogram: RecordableHistogram = createHistogram({ figures: 3 });

  /** Takes a time in. */
  record(ms: number): void {
    this.#histogram.record(Math.max(1, Math.round(ms * US_PER_MS)));
  }

  /** What it holds. */
  get times(): SyncTimes {
    const { count } = this.#histogram;
    if (count === 0) return { count, p50: 0, p99: 0, max: 0 };
    return {
      count,
      p50: this.#histogram.percentile(50) / US_PER_MS,
      p99: this.#histogram.percentile(99) / US_PER_MS,
      max: this.#histogram.max / US_PER_MS,
    };
  }
}
