// Lets long work on the driver's thread step aside: it works for at most a slice of time, then timers and sockets have their turn.
import type { Clock } from './env.ts';
import { pause } from './pause.ts';

/** Tells when a slice is over. */
export interface Pacer {
  /** Undefined while the slice lasts; else what to wait for. The next slice begins behind it. */
  step(): Promise<void> | undefined;
}

/**
 * Makes a {@link Pacer}. The first slice begins at once.
 *
 * @param sliceMs - How long a slice lasts, in milliseconds of the clock.
 */
export function createPacer(clock: Clock, sliceMs: number, signal: AbortSignal): Pacer {
  let begunAt = clock.monotonic();
  const rest = async (): Promise<void> => {
    await pause(clock, 0, signal);
    begunAt = clock.monotonic();
  };
  return { step: () => (clock.monotonic() - begunAt < sliceMs ? undefined : rest()) };
}
