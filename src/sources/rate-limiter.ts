// Lets records in at a rate: a bucket of tokens that holds what one second may bring. Records are counted when they come, and the next wait until the bucket is out of debt.
import type { Clock } from '../env/env.ts';

const MS_PER_SECOND = 1000;

/** A bucket of tokens. */
export class RateLimiter {
  readonly #clock: Clock;
  #rate: number;
  #tokens: number;
  #filledMs: number;

  /**
   * @param rate - Records per second.
   */
  constructor(clock: Clock, rate: number) {
    this.#clock = clock;
    this.#rate = rate;
    this.#tokens = rate;
    this.#filledMs = clock.monotonic();
  }

  /** Records per second. */
  get rate(): number {
    return this.#rate;
  }

  set rate(rate: number) {
    this.#fill();
    this.#rate = rate;
    this.#tokens = Math.min(this.#tokens, rate);
  }

  /** Takes tokens for records that came; may go into debt. */
  take(records: number): void {
    this.#fill();
    this.#tokens -= records;
  }

  /** Milliseconds until the bucket is out of debt; 0 if it is. */
  get waitMs(): number {
    this.#fill();
    return this.#tokens > 0 ? 0 : Math.floor((-this.#tokens / this.#rate) * MS_PER_SECOND) + 1;
  }

  #fill(): void {
    const now = this.#clock.monotonic();
    this.#tokens = Math.min(this.#rate, this.#tokens + ((now - this.#filledMs) / MS_PER_SECOND) * this.#rate);
    this.#filledMs = now;
  }
}
