// The operators that work inside a partition: the dataset of the parent with one more function fused into its loop.
import type { RddNode } from '../../rdd/node.ts';
import type { Graph, StreamNode } from '../graph.ts';
import { resolveOperatorOptions, type OperatorOptions } from '../options.ts';

/** The names of these operators. */
type NarrowKind = 'map' | 'flatMap' | 'filter' | 'mapPartitions' | 'glom' | 'mapValues' | 'flatMapValues';

/** Adds a narrow operator to the graph. */
export function addNarrow<T, U>(
  graph: Graph,
  parent: StreamNode<T>,
  operator: { readonly kind: NarrowKind; readonly options: OperatorOptions; readonly apply: (node: RddNode<T>) => RddNode<U> },
): StreamNode<U> {
  const { kind, options, apply } = operator;
  const { uid } = resolveOperatorOptions(kind, options);
  const descriptor = graph.register({ kind, uid, parents: [parent.descriptor.uid], isStateful: false });
  return {
    descriptor,
    partitions: (inputs) => parent.partitions(inputs),
    rdd: (scope) => scope.once(descriptor.uid, () => apply(parent.rdd(scope))),
  };
}
