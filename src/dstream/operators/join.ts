// join and its outer forms: per batch, each value of a key on the left paired with each on the right.
import { joinNode, type JoinKind } from '../../rdd/cogroup.ts';
import type { Graph, StreamNode } from '../graph.ts';
import { resolveShuffleOptions, type ShuffleOptions } from '../options.ts';
import { addShuffled } from './shuffled.ts';

/** Adds a join to the graph. */
export function addJoin<K, V, W>(
  graph: Graph,
  parents: readonly [StreamNode<readonly [K, V]>, StreamNode<readonly [K, W]>],
  operator: { readonly kind: JoinKind; readonly options: ShuffleOptions },
): StreamNode<[K, [V | null, W | null]]> {
  const { kind } = operator;
  const [left, right] = parents;
  return addShuffled(graph, {
    kind,
    ...resolveShuffleOptions(graph, kind, operator),
    parents,
    make: (scope, settings) => joinNode(left.rdd(scope), right.rdd(scope), { ...settings, kind }),
  });
}
