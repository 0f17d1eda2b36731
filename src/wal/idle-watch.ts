// Calls a task when nothing happened for a while. What happens often only notes the time; the timer looks at it when it fires.
import type { Clock, Timer } from '../env/env.ts';

/** Watches for a stretch of time without activity. */
export class IdleWatch {
  readonly #clock: Clock;
  readonly #idleMs: number;
  readonly #task: () => void;
  #lastMs = 0;
  #timer: Timer | undefined;

  /**
   * @param idleMs - The stretch, in milliseconds.
   * @param task - Called once after each stretch; activity begins the next.
   */
  constructor(clock: Clock, idleMs: number, task: () => void) {
    this.#clock = clock;
    this.#idleMs = idleMs;
    this.#task = task;
  }

  /** Notes activity. */
  touch(): void {
    this.#lastMs = this.#clock.monotonic();
    this.#timer ??= this.#arm(this.#idleMs);
  }

  /** Ends the watch until the next activity. */
  cancel(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #arm(delayMs: number): Timer {
    return this.#clock.setTimer(delayMs, () => {
      const left = this.#idleMs - (this.#clock.monotonic() - this.#lastMs);
      // At least a millisecond: a rest that is lost in rounding must not come at once, again and again.
      this.#timer = left > 0 ? this.#arm(Math.max(1, left)) : undefined;
      if (left <= 0) this.#task();
    });
  }
}
