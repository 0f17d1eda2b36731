// Whether code runs inside a user function of a batch: there, waiting for the context to end would wait for itself.
import { AsyncLocalStorage } from 'node:async_hooks';
import { UsageError } from '../core/errors.ts';

const storage = new AsyncLocalStorage<true>();

/** Runs a user function that may call back into the context. */
export function insideBatch<R>(work: () => R): R {
  return storage.run(true, work);
}

/** Whether the caller was called, over however many promises, by a user function of a batch. */
export function isInsideBatch(): boolean {
  return storage.getStore() === true;
}

/** Refuses a call that would wait for the batch it is made in. */
export function refuseInsideBatch(method: string): void {
  if (!isInsideBatch()) return;
  throw new UsageError(
    'STREAM_ILLEGAL_STATE',
    `Cannot call ${method} in a user function of a batch as the batch must end before the context can: it would wait for itself. Call it in the main program, and stop() here`,
  );
}
