// Whether code runs inside a user function of a batch: there, waiting for the context to end would wait for itself.
import { AsyncLocalStorage } from 'node:async_hooks';

const storage = new AsyncLocalStorage<true>();

/** Runs a user function that may call back into the context. */
export function insideBatch<R>(work: () => R): R {
  return storage.run(true, work);
}

/** Whether the caller was called, over however many promises, by a user function of a batch. */
export function isInsideBatch(): boolean {
  return storage.getStore() === true;
}
