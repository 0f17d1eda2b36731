// reduceByKey: per batch, the values of each key brought together by an associative function.
import { reducing } from '../../rdd/aggregators.ts';
import { shuffle, shuffledPairs } from '../../rdd/shuffle.ts';
import type { Graph, StreamNode } from '../graph.ts';
import { resolveShuffleOptions, type ShuffleOptions } from '../options.ts';
import { addShuffled } from './shuffled.ts';

/** Adds reduceByKey to the graph. */
export function addReduceByKey<K, V>(
  graph: Graph,
  parent: StreamNode<readonly [K, V]>,
  operator: { readonly f: (left: V, right: V) => V; readonly options: ShuffleOptions },
): StreamNode<[K, V]> {
  const kind = 'reduceByKey';
  return addShuffled(graph, {
    kind,
    ...resolveShuffleOptions(graph, kind, operator),
    parents: [parent],
    make: (scope, settings) => shuffledPairs<K, V>(kind, shuffle(parent.rdd(scope), reducing(operator.f), settings)),
  });
}
