// map, flatMap and filter: the dataset of the parent with one more function fused into its loop.
import type { RddNode } from '../../rdd/node.ts';
import type { Graph, StreamNode } from '../graph.ts';
import { resolveOperatorOptions, type OperatorOptions } from '../options.ts';

/** Adds a narrow operator to the graph. */
export function addNarrow<T, U>(
  graph: Graph,
  parent: StreamNode<T>,
  operator: { readonly kind: 'map' | 'flatMap' | 'filter'; readonly options: OperatorOptions; readonly apply: (node: RddNode<T>) => RddNode<U> },
): StreamNode<U> {
  const { kind, options, apply } = operator;
  const { uid } = resolveOperatorOptions(kind, options);
  const descriptor = graph.register({ kind, uid, parents: [parent.descriptor.uid], isStateful: false });
  return {
    descriptor,
    partitions: (blocks) => parent.partitions(blocks),
    rdd: (scope) => scope.once(descriptor.uid, () => apply(parent.rdd(scope))),
  };
}
