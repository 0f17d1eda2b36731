// What the operators that shuffle have in common: a partition count that is fixed by the program and stands in the plan.
import type { RddNode } from '../../rdd/node.ts';
import type { ShuffleSettings } from '../../rdd/shuffle.ts';
import type { BatchScope, Graph, StreamNode } from '../graph.ts';

/** How an operator that shuffles is made. */
export interface ShuffledOperator<U> {
  readonly kind: string;
  readonly uid: string | undefined;
  readonly numPartitions: number;
  readonly parents: readonly StreamNode<unknown>[];
  /** Its dataset in a batch. */
  make(scope: BatchScope, settings: ShuffleSettings): RddNode<U>;
}

/** Adds an operator that shuffles to the graph. */
export function addShuffled<U>(graph: Graph, operator: ShuffledOperator<U>): StreamNode<U> {
  const { kind, uid, numPartitions, parents } = operator;
  const descriptor = graph.register({ kind, uid, parents: parents.map((parent) => parent.descriptor.uid), partitions: numPartitions, isStateful: false });
  return {
    descriptor,
    partitions: () => numPartitions,
    rdd: (scope) =>
      scope.once(descriptor.uid, () =>
        operator.make(scope, { name: `"${descriptor.uid}"`, partitions: scope.shufflePartitions(descriptor.uid), tasks: scope.tasks }),
      ),
  };
}
