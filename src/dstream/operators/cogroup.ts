// cogroup: per batch, for each key of either stream all its values on either side.
import { cogroupNode, type Cogrouped } from '../../rdd/cogroup.ts';
import type { Graph, StreamNode } from '../graph.ts';
import { resolveShuffleOptions, type ShuffleOptions } from '../options.ts';
import { addShuffled } from './shuffled.ts';

/** Adds cogroup to the graph. */
export function addCogroup<K, V, W>(
  graph: Graph,
  parents: readonly [StreamNode<readonly [K, V]>, StreamNode<readonly [K, W]>],
  options: ShuffleOptions,
): StreamNode<Cogrouped<K, V, W>> {
  const kind = 'cogroup';
  const [left, right] = parents;
  return addShuffled(graph, {
    kind,
    ...resolveShuffleOptions(graph, kind, { options }),
    parents,
    make: (scope, settings) => cogroupNode(left.rdd(scope), right.rdd(scope), settings),
  });
}
