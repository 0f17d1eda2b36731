// foreachRDD: a user function per batch, at least once.
import type { BatchTime } from '../../core/time.ts';
import { RDD } from '../../rdd/rdd.ts';
import { rddScopeOf, type Graph, type StreamNode } from '../graph.ts';
import { resolveOutputOptions, type OutputOptions } from '../options.ts';

/** Adds an output that calls a function per batch to the graph. */
export function addForeachRdd<T>(
  graph: Graph,
  parent: StreamNode<T>,
  output: {
    readonly f: (rdd: RDD<T>, batchTime: BatchTime) => void | Promise<void>;
    readonly options: OutputOptions;
    readonly kind?: 'print' | 'saveAsTextFiles';
  },
): void {
  const { f, options, kind = 'foreachRDD' } = output;
  const { uid: given, isExactlyOnce } = resolveOutputOptions(kind, options);
  const { uid } = graph.register({ kind, uid: given, parents: [parent.descriptor.uid], isStateful: false });
  graph.addOutput({
    kind: 'foreach',
    uid,
    parent,
    isExactlyOnce,
    run: async (scope) => f(new RDD(parent.rdd(scope), rddScopeOf(scope, uid)), scope.batchTime),
  });
}
