// foreachRDD: a user function per batch, at least once.
import type { BatchTime } from '../../core/time.ts';
import type { RDD } from '../../rdd/rdd.ts';
import type { Graph, StreamNode } from '../graph.ts';
import { resolveOperatorOptions, type OperatorOptions } from '../options.ts';

/** Adds foreachRDD to the graph. */
export function addForeachRdd<T>(
  graph: Graph,
  parent: StreamNode<T>,
  output: { readonly f: (rdd: RDD<T>, batchTime: BatchTime) => void | Promise<void>; readonly options: OperatorOptions; readonly kind?: 'print' },
): void {
  const { f, options, kind = 'foreachRDD' } = output;
  const { uid } = resolveOperatorOptions(kind, options);
  const descriptor = graph.register({ kind, uid, parents: [parent.descriptor.uid], isStateful: false });
  graph.addOutput({ kind: 'foreach', uid: descriptor.uid, parent, run: f as (rdd: RDD<unknown>, batchTime: BatchTime) => void | Promise<void> });
}
