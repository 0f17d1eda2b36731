// combineByKey: per batch, the values of each key combined into something of another type, before the shuffle and behind it.
import { optionError } from '../../core/options.ts';
import { combining, gathering, type Combiner } from '../../rdd/aggregators.ts';
import { mapNode, type RddNode } from '../../rdd/node.ts';
import { shuffle, shuffledPairs, type ShuffleSettings } from '../../rdd/shuffle.ts';
import type { Graph, StreamNode } from '../graph.ts';
import { resolveShuffleOptions, type CombineOptions } from '../options.ts';
import { addShuffled } from './shuffled.ts';

const KIND = 'combineByKey';

function combineBehind<K, V, C>(parent: RddNode<readonly [K, V]>, combiner: Combiner<V, C>, settings: ShuffleSettings): RddNode<[K, C]> {
  const fold = ([first, ...rest]: readonly V[]): C => rest.reduce((combined, value) => combiner.mergeValue(combined, value), combiner.create(first as V));
  return mapNode(shuffledPairs<K, V[]>(KIND, shuffle(parent, gathering<V>(), settings)), ([key, values]): [K, C] => [key, fold(values)], KIND);
}

/** Adds combineByKey to the graph. */
export function addCombineByKey<K, V, C>(
  graph: Graph,
  parent: StreamNode<readonly [K, V]>,
  operator: { readonly combiner: Combiner<V, C>; readonly options: CombineOptions },
): StreamNode<[K, C]> {
  const { combiner, options } = operator;
  const resolved = resolveShuffleOptions(graph, KIND, { options, also: ['mapSideCombine'] });
  const isMapSide: unknown = options.mapSideCombine ?? true;
  if (typeof isMapSide !== 'boolean') throw optionError(KIND, 'mapSideCombine', { expected: 'true or false', found: isMapSide });
  return addShuffled(graph, {
    kind: KIND,
    ...resolved,
    parents: [parent],
    make: (scope, settings) =>
      isMapSide ? shuffledPairs<K, C>(KIND, shuffle(parent.rdd(scope), combining(combiner), settings)) : combineBehind(parent.rdd(scope), combiner, settings),
  });
}
