// Lets everything run that is only waiting for promises.

/** Resolves when all promise callbacks that were due have run: one turn of the event loop, in which nothing simulated waits for real time. */
export function settle(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
