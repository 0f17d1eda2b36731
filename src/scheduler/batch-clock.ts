// Which batch is due, and when. The wall clock is read once, at the start; from there on time is monotonic, so a clock that jumps neither doubles nor skips a batch.
import { batchAfter, type BatchTime, type Duration } from '../core/time.ts';
import type { Clock } from '../env/env.ts';

/** Names batch times, each later than the one before. */
export class BatchClock {
  readonly #clock: Clock;
  readonly #interval: Duration;
  readonly #wallAtStart: number;
  readonly #monotonicAtStart: number;
  #last: BatchTime;

  /**
   * @param last - The last batch that was ever planned; 0 if there was none. No batch is made for intervals between it and now.
   */
  constructor(clock: Clock, interval: Duration, last: BatchTime) {
    this.#clock = clock;
    this.#interval = interval;
    this.#wallAtStart = Math.max(clock.now(), last);
    this.#monotonicAtStart = clock.monotonic();
    this.#last = last;
    this.#last = (batchAfter(this.#wallAtStart, interval) - interval) as BatchTime;
    if (this.#last < last) this.#last = last;
  }

  /** The time of the next batch. */
  get next(): BatchTime {
    return batchAfter(this.#last, this.#interval);
  }

  /** The time now, in milliseconds since the Unix epoch: what the wall clock said at the start plus what has passed since. */
  get nowMs(): number {
    return this.#wallAtStart + (this.#clock.monotonic() - this.#monotonicAtStart);
  }

  /** Milliseconds until the interval of the next batch ends; 0 if it has. */
  get untilNextMs(): number {
    return Math.max(0, this.next - this.nowMs);
  }

  /** Notes that the next batch was planned. */
  advance(): void {
    this.#last = this.next;
  }
}
