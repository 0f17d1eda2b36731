// Which batch is due, and when. The wall clock is read once, at the start; from there on time is monotonic, so a clock that jumps neither doubles nor skips a batch.
//
// 1. Every interval of a life makes a batch. One that passes while a batch runs, or while the process stands still, is run behind it: in turn, none twice, none skipped. Nothing is
//    listed: the next batch is the last one plus an interval, so it takes no more memory to be a million intervals behind than to be one.
// 2. A clock that is behind the last batch at the start counts as standing at that batch: the next one comes an interval later.
// 3. A gap that the monotonic clock does not count, as when a machine sleeps, is no interval of this life: batch times fall behind the wall clock, and the next start finds it missed.
import { batchAfter, type BatchTime, type Duration, type MissedBatches } from '../core/time.ts';
import type { Clock } from '../env/env.ts';

/** Names batch times, each later than the one before. */
export class BatchClock {
  readonly #clock: Clock;
  readonly #interval: Duration;
  readonly #startMs: number;
  readonly #monotonicAtStart: number;
  #last: BatchTime;

  /**
   * @param before - The last batch that was ever planned or put out, 0 if there was none; and what becomes of the intervals between it and now.
   */
  constructor(clock: Clock, interval: Duration, before: { readonly last: BatchTime; readonly missedBatches: MissedBatches }) {
    const { last, missedBatches } = before;
    this.#clock = clock;
    this.#interval = interval;
    this.#startMs = Math.max(clock.now(), last);
    this.#monotonicAtStart = clock.monotonic();
    const current = (batchAfter(this.#startMs, interval) - interval) as BatchTime;
    // Before the first batch ever no interval was missed.
    this.#last = (missedBatches === 'run' && last > 0) || last > current ? last : current;
  }

  /** The time of the next batch. */
  get next(): BatchTime {
    return batchAfter(this.#last, this.#interval);
  }

  /** Whether the interval of the next batch ended before this driver started. */
  get isNextMissed(): boolean {
    return this.next <= this.#startMs;
  }

  /** The time now, in milliseconds since the Unix epoch: what the wall clock said at the start plus what has passed since. */
  get nowMs(): number {
    return this.#startMs + (this.#clock.monotonic() - this.#monotonicAtStart);
  }

  /** Milliseconds until the interval of the next batch ends; 0 if it has. */
  get untilNextMs(): number {
    return Math.max(0, this.next - this.nowMs);
  }

  /** How long a batch that begins now has waited since it could have: since the end of its interval, or since the start if that was later. */
  delayMs(batchTime: BatchTime): number {
    return Math.max(0, this.nowMs - Math.max(batchTime, this.#startMs));
  }

  /** Notes that the next batch was planned. */
  advance(): void {
    this.#last = this.next;
  }
}
