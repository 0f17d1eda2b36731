// A computation that is made once, when it is asked for first. One that failed is made again when it is asked for again: an attempt leaves nothing behind.

/** Wraps `compute` so that all callers share one successful run of it. */
export function memoised<T>(compute: () => Promise<T>): () => Promise<T> {
  let known: Promise<T> | undefined;
  return () => {
    if (known !== undefined) return known;
    const running = compute();
    known = running;
    running.catch(() => {
      if (known === running) known = undefined;
    });
    return running;
  };
}
