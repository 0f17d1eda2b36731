// repartition: records dealt out evenly. Record i of partition p goes to partition (p + i) modulo n, so that the same inputs always give the same partitions in the same order.
import { detach } from '../core/detach.ts';
import { memoised } from '../core/memoised.ts';
import type { RddNode } from './node.ts';
import { eachPartition, type ShuffleSettings } from './shuffle.ts';

async function dealOut<T>(parent: RddNode<T>, partition: number, partitions: number): Promise<readonly (readonly T[])[]> {
  const dealt: T[][] = Array.from({ length: partitions }, () => []);
  let next = partition;
  (await parent.prepare(partition))((value) => {
    dealt[next % partitions]?.push(value);
    next += 1;
  });
  return dealt;
}

/** Deals the records out into as many partitions as the settings say. */
export function repartitionNode<T>(parent: RddNode<T>, settings: ShuffleSettings): RddNode<T> {
  const { partitions } = settings;
  const dealt = memoised(() => eachPartition(parent, settings, (partition) => dealOut(parent, partition, partitions)));
  return {
    lineage: { name: 'repartition', parents: [parent], isShuffled: true },
    partitionCount: partitions,
    async prepare(partition) {
      const parts = await dealt();
      return (push) => {
        for (const part of parts) for (const value of part[partition] ?? []) push(detach(value));
      };
    },
  };
}
