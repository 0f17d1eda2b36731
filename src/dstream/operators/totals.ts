// count and reduce: one record for a whole batch. An empty batch has the count 0, and nothing to reduce.
import { countNode, reduceNode } from '../../rdd/totals.ts';
import type { RddNode } from '../../rdd/node.ts';
import type { BatchScope, Graph, StreamNode } from '../graph.ts';
import { resolveOperatorOptions, type OperatorOptions } from '../options.ts';

function addTotal<T, U>(
  graph: Graph,
  parent: StreamNode<T>,
  operator: { readonly kind: 'count' | 'reduce'; readonly options: OperatorOptions; readonly make: (scope: BatchScope, uid: string) => RddNode<U> },
): StreamNode<U> {
  const { kind, options, make } = operator;
  const { uid } = resolveOperatorOptions(kind, options);
  const descriptor = graph.register({ kind, uid, parents: [parent.descriptor.uid], isStateful: false });
  return { descriptor, partitions: () => 1, rdd: (scope) => scope.once(descriptor.uid, () => make(scope, descriptor.uid)) };
}

/** Adds count to the graph. */
export function addCount(graph: Graph, parent: StreamNode<unknown>, options: OperatorOptions): StreamNode<number> {
  return addTotal(graph, parent, { kind: 'count', options, make: (scope, uid) => countNode(parent.rdd(scope), { name: `"${uid}"`, tasks: scope.tasks }) });
}

/** Adds reduce to the graph. */
export function addReduce<T>(
  graph: Graph,
  parent: StreamNode<T>,
  operator: { readonly f: (left: T, right: T) => T; readonly options: OperatorOptions },
): StreamNode<T> {
  const { f, options } = operator;
  return addTotal(graph, parent, { kind: 'reduce', options, make: (scope, uid) => reduceNode(parent.rdd(scope), f, { name: `"${uid}"`, tasks: scope.tasks }) });
}
