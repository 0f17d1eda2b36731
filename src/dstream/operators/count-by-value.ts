// countByValue: per batch, how many equal records there are of each.
import { reducing } from '../../rdd/aggregators.ts';
import { mapNode } from '../../rdd/node.ts';
import { shuffle, shuffledPairs } from '../../rdd/shuffle.ts';
import type { Graph, StreamNode } from '../graph.ts';
import { resolveShuffleOptions, type ShuffleOptions } from '../options.ts';
import { addShuffled } from './shuffled.ts';

/** Adds countByValue to the graph. */
export function addCountByValue<T>(graph: Graph, parent: StreamNode<T>, options: ShuffleOptions): StreamNode<[T, number]> {
  const kind = 'countByValue';
  return addShuffled(graph, {
    kind,
    ...resolveShuffleOptions(graph, kind, { options }),
    parents: [parent],
    make: (scope, settings) => {
      const ones = mapNode(parent.rdd(scope), (value): [T, number] => [value, 1]);
      return shuffledPairs<T, number>(
        kind,
        shuffle(
          ones,
          reducing<number>((left, right) => left + right),
          settings,
        ),
      );
    },
  });
}
