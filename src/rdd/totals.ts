// count and reduce of a whole dataset as a dataset of one partition: each partition gives its part, the parts come together in order.
import { detach } from '../core/detach.ts';
import { memoised } from '../core/memoised.ts';
import type { Producer, RddNode } from './node.ts';
import { eachPartition, type ShuffleSettings } from './shuffle.ts';

/** How many records a producer pushes. */
export function countRecords(produce: Producer<unknown>): number {
  let records = 0;
  produce(() => {
    records += 1;
  });
  return records;
}

/** What `f` makes of the records of a producer; undefined if there is none. */
export function reduceRecords<T>(produce: Producer<T>, f: (left: T, right: T) => T): { readonly value: T } | undefined {
  let total: { value: T } | undefined;
  produce((value) => {
    if (total === undefined) total = { value };
    else total.value = f(total.value, value);
  });
  return total;
}

type TotalSettings = Pick<ShuffleSettings, 'name' | 'tasks'>;

/** One record: how many records there are; 0 when there is none. */
export function countNode(parent: RddNode<unknown>, settings: TotalSettings): RddNode<number> {
  const counts = memoised(() => eachPartition(parent, settings, async (partition) => countRecords(await parent.prepare(partition))));
  return {
    lineage: { name: 'count', parents: [parent], isShuffled: true },
    partitionCount: 1,
    async prepare() {
      const total = (await counts()).reduce((sum, records) => sum + records, 0);
      return (push) => push(total);
    },
  };
}

/** One record, all records brought together by `f`; none when there is none. */
export function reduceNode<T>(parent: RddNode<T>, f: (left: T, right: T) => T, settings: TotalSettings): RddNode<T> {
  const parts = memoised(() => eachPartition(parent, settings, async (partition) => reduceRecords(await parent.prepare(partition), f)));
  return {
    lineage: { name: 'reduce', parents: [parent], isShuffled: true },
    partitionCount: 1,
    async prepare() {
      const found = (await parts()).flatMap((part) => (part === undefined ? [] : [part.value]));
      return (push) => {
        const total = reduceRecords((each: (value: T) => void) => found.forEach((value) => each(detach(value))), f);
        if (total !== undefined) push(total.value);
      };
    },
  };
}
