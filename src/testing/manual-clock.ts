// A clock that stands still until a test moves it.
import type { Clock, Timer } from '../env/env.ts';

interface SetTimer {
  readonly at: number;
  readonly order: number;
  readonly task: () => void;
}

/** A clock for tests: time passes only by {@link ManualClock.advance}. */
export class ManualClock implements Clock {
  #now: number;
  #monotonic = 0;
  #order = 0;
  readonly #timers = new Set<SetTimer>();

  /**
   * @param startMs - The wall-clock time at first.
   */
  constructor(startMs: number) {
    this.#now = startMs;
  }

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  setTimer(delayMs: number, task: () => void): Timer {
    this.#order += 1;
    const timer: SetTimer = { at: this.#monotonic + Math.max(0, delayMs), order: this.#order, task };
    this.#timers.add(timer);
    return { cancel: () => void this.#timers.delete(timer) };
  }

  /** Milliseconds until the next timer is due; undefined if none is set. */
  get nextTimerMs(): number | undefined {
    const next = this.#next();
    return next === undefined ? undefined : next.at - this.#monotonic;
  }

  /** Lets time pass and calls the timers that are due, in order, each at its time. */
  advance(ms: number): void {
    const until = this.#monotonic + ms;
    for (let timer = this.#next(); timer !== undefined && timer.at <= until; timer = this.#next()) {
      this.#timers.delete(timer);
      this.#moveTo(timer.at);
      timer.task();
    }
    this.#moveTo(until);
  }

  /** Moves the wall clock alone, forwards or backwards. */
  jump(ms: number): void {
    this.#now += ms;
  }

  #moveTo(monotonic: number): void {
    this.#now += monotonic - this.#monotonic;
    this.#monotonic = monotonic;
  }

  #next(): SetTimer | undefined {
    let first: SetTimer | undefined;
    for (const timer of this.#timers) if (first === undefined || timer.at < first.at || (timer.at === first.at && timer.order < first.order)) first = timer;
    return first;
  }
}
