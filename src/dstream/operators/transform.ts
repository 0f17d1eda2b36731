// transform: a user function from the datasets of a batch to a dataset, called once per batch on the driver's thread. How many partitions the result has is known only when the
// function has run, yet the plan of the batch must say it before; so the result is laid over as many partitions as the plan says, in order.
import { UsageError } from '../../core/errors.ts';
import { memoised } from '../../core/memoised.ts';
import { partitionsOption, refuseUnknownOptions } from '../../core/options.ts';
import type { BatchTime } from '../../core/time.ts';
import type { RddNode } from '../../rdd/node.ts';
import { RDD } from '../../rdd/rdd.ts';
import { rddScopeOf, type BatchScope, type Graph, type StreamNode } from '../graph.ts';
import type { TransformOptions } from '../options.ts';

/** A function for transform, over any number of streams. */
export type TransformFunction<U> = (rdds: readonly RDD<unknown>[], time: BatchTime) => RDD<U> | Promise<RDD<U>>;

/** The partitions of a dataset laid over `partitions`: contiguous ranges, in order. */
function laidOver<U>(make: () => Promise<RddNode<U>>, parents: readonly RddNode<unknown>[], partitions: number): RddNode<U> {
  return {
    lineage: { name: 'transform', parents, isShuffled: false },
    partitionCount: partitions,
    async prepare(partition) {
      const node = await make();
      const from = Math.floor((partition * node.partitionCount) / partitions);
      const until = Math.floor(((partition + 1) * node.partitionCount) / partitions);
      const producers = await Promise.all(Array.from({ length: until - from }, (_, index) => node.prepare(from + index)));
      return (push) => {
        for (const produce of producers) produce(push);
      };
    },
  };
}

function transformed<U>(
  scope: BatchScope,
  uid: string,
  parts: { readonly parents: readonly RddNode<unknown>[]; readonly f: TransformFunction<U> },
): () => Promise<RddNode<U>> {
  const { parents, f } = parts;
  return memoised(async () => {
    const rdds = parents.map((parent) => new RDD(parent, rddScopeOf(scope, uid)));
    const result: unknown = await f(rdds, scope.batchTime);
    if (result instanceof RDD) return RDD.nodeOf(result as RDD<U>);
    throw new UsageError(
      'STREAM_INVALID_GRAPH',
      `Cannot transform "${uid}" as its function must return a dataset: it returned ${result === null ? 'null' : typeof result}. For nothing, return rddContext.parallelize([])`,
    );
  });
}

/** Adds transform to the graph. */
export function addTransform<U>(
  graph: Graph,
  parents: readonly StreamNode<unknown>[],
  operator: { readonly kind: 'transform' | 'transformWith'; readonly f: TransformFunction<U>; readonly options: TransformOptions },
): StreamNode<U> {
  const { kind, f, options } = operator;
  refuseUnknownOptions(kind, options, ['uid', 'numPartitions']);
  const fixed = partitionsOption(kind, options.numPartitions, undefined);
  const descriptor = graph.register({ kind, uid: options.uid, parents: parents.map((parent) => parent.descriptor.uid), isStateful: false, partitions: fixed });
  const { uid } = descriptor;
  return {
    descriptor,
    partitions: (inputs) =>
      fixed ??
      Math.max(
        1,
        parents.reduce((sum, parent) => sum + parent.partitions(inputs), 0),
      ),
    rdd: (scope) =>
      scope.once(uid, () => {
        const nodes = parents.map((parent) => parent.rdd(scope));
        const partitions =
          fixed === undefined
            ? Math.max(
                1,
                nodes.reduce((sum, node) => sum + node.partitionCount, 0),
              )
            : scope.shufflePartitions(uid);
        return laidOver(transformed(scope, uid, { parents: nodes, f }), nodes, partitions);
      }),
  };
}
