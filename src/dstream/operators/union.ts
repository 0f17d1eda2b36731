// union: per batch, the records of all streams, one stream after another. Nothing is removed.
import { unionNode } from '../../rdd/node.ts';
import type { Graph, StreamNode } from '../graph.ts';
import { resolveOperatorOptions, type OperatorOptions } from '../options.ts';

/** Adds union to the graph. */
export function addUnion<T>(graph: Graph, parents: readonly StreamNode<T>[], options: OperatorOptions): StreamNode<T> {
  const kind = 'union';
  const { uid } = resolveOperatorOptions(kind, options);
  const descriptor = graph.register({ kind, uid, parents: parents.map((parent) => parent.descriptor.uid), isStateful: false });
  return {
    descriptor,
    partitions: (inputs) => parents.reduce((sum, parent) => sum + parent.partitions(inputs), 0),
    rdd: (scope) => scope.once(descriptor.uid, () => unionNode(parents.map((parent) => parent.rdd(scope)))),
  };
}
