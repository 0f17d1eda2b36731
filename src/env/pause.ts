// Waits for a time or for a signal, whichever comes first.
import type { Clock } from './env.ts';

/** Resolves after `ms` milliseconds of the clock, or as soon as the signal is aborted. */
export function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = clock.setTimer(ms, finish);
    signal.addEventListener('abort', finish, { once: true });
    function finish(): void {
      timer.cancel();
      signal.removeEventListener('abort', finish);
      resolve();
    }
  });
}
