// repartition: the records of a batch dealt out evenly over a number of partitions.
import { partitionsOption } from '../../core/options.ts';
import { repartitionNode } from '../../rdd/repartition.ts';
import type { Graph, StreamNode } from '../graph.ts';
import { resolveOperatorOptions, type OperatorOptions } from '../options.ts';
import { addShuffled } from './shuffled.ts';

/** Adds repartition to the graph. */
export function addRepartition<T>(
  graph: Graph,
  parent: StreamNode<T>,
  operator: { readonly numPartitions: number; readonly options: OperatorOptions },
): StreamNode<T> {
  const kind = 'repartition';
  return addShuffled(graph, {
    kind,
    ...resolveOperatorOptions(kind, operator.options),
    numPartitions: partitionsOption(kind, operator.numPartitions, 1),
    parents: [parent],
    make: (scope, settings) => repartitionNode(parent.rdd(scope), settings),
  });
}
