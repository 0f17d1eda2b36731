// groupByKey: per batch, all values of each key as an array.
import { gathering } from '../../rdd/aggregators.ts';
import { shuffle, shuffledPairs } from '../../rdd/shuffle.ts';
import type { Graph, StreamNode } from '../graph.ts';
import { resolveShuffleOptions, type ShuffleOptions } from '../options.ts';
import { addShuffled } from './shuffled.ts';

/** Adds groupByKey to the graph. */
export function addGroupByKey<K, V>(graph: Graph, parent: StreamNode<readonly [K, V]>, options: ShuffleOptions): StreamNode<[K, V[]]> {
  const kind = 'groupByKey';
  return addShuffled(graph, {
    kind,
    ...resolveShuffleOptions(graph, kind, { options }),
    parents: [parent],
    make: (scope, settings) => shuffledPairs<K, V[]>(kind, shuffle(parent.rdd(scope), gathering<V>(), settings)),
  });
}
