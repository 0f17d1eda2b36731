// reduceByKey: per batch, the values of each key brought together by an associative function.
import { reducing, shuffle, shuffledPairs } from '../../rdd/shuffle.ts';
import type { Graph, StreamNode } from '../graph.ts';
import { resolveShuffleOptions, type ShuffleOptions } from '../options.ts';

/** Adds reduceByKey to the graph. */
export function addReduceByKey<K, V>(
  graph: Graph,
  parent: StreamNode<readonly [K, V]>,
  operator: { readonly f: (left: V, right: V) => V; readonly options: ShuffleOptions },
): StreamNode<[K, V]> {
  const { uid, numPartitions } = resolveShuffleOptions('reduceByKey', operator.options);
  const descriptor = graph.register({ kind: 'reduceByKey', uid, parents: [parent.descriptor.uid], partitions: numPartitions, isStateful: false });
  return {
    descriptor,
    partitions: () => numPartitions,
    rdd: (scope) =>
      scope.once(descriptor.uid, () => {
        const shuffled = shuffle(parent.rdd(scope), reducing(operator.f), {
          name: `"${descriptor.uid}"`,
          partitions: scope.shufflePartitions(descriptor.uid),
          tasks: scope.tasks,
        });
        return shuffledPairs<K, V>(shuffled);
      }),
  };
}
