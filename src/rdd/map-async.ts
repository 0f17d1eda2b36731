// mapAsync: a user function that returns a promise, a bounded number of calls at a time. Results come in the order of the records.
import { detach } from '../core/detach.ts';
import { memoised } from '../core/memoised.ts';
import { collectPartition, type RddNode } from './node.ts';

/** A function for mapAsync. */
export type AsyncFunction<T, U> = (value: T, context: { readonly signal: AbortSignal }) => Promise<U>;

/** Calls `f` for each value, at most `concurrency` at a time, and gives the results in the order of the values. After a failure no further call begins. */
export async function mapConcurrently<T, U>(values: readonly T[], concurrency: number, f: (value: T) => Promise<U>): Promise<U[]> {
  const results: U[] = Array.from({ length: values.length });
  let next = 0;
  let hasFailed = false;
  const work = async (): Promise<void> => {
    while (next < values.length && !hasFailed) {
      const index = next;
      next += 1;
      try {
        results[index] = await f(values[index] as T);
      } catch (error) {
        hasFailed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, values.length) }, work));
  return results;
}

/** Applies `f` to each record, once per dataset: all that read a partition share its results. */
export function mapAsyncNode<T, U>(
  parent: RddNode<T>,
  f: AsyncFunction<T, U>,
  settings: { readonly concurrency: number; readonly signal: AbortSignal },
): RddNode<U> {
  const { concurrency, signal } = settings;
  const partitions = Array.from({ length: parent.partitionCount }, (_, partition) =>
    memoised(async () => mapConcurrently(await collectPartition(parent, partition), concurrency, (value) => f(value, { signal }))),
  );
  return {
    lineage: { name: 'mapAsync', parents: [parent], isShuffled: false },
    partitionCount: parent.partitionCount,
    async prepare(partition) {
      const results = (await partitions[partition]?.()) ?? [];
      return (push) => {
        for (const result of results) push(detach(result));
      };
    },
  };
}
