// mapAsync: a user function that returns a promise, applied to each record with a bounded number of calls under way.
import { refuseUnknownOptions, wholeOption } from '../../core/options.ts';
import { mapAsyncNode, type AsyncFunction } from '../../rdd/map-async.ts';
import type { Graph, StreamNode } from '../graph.ts';
import type { MapAsyncOptions } from '../options.ts';

const CONCURRENCY = 8;

/** Adds mapAsync to the graph. */
export function addMapAsync<T, U>(
  graph: Graph,
  parent: StreamNode<T>,
  operator: { readonly f: AsyncFunction<T, U>; readonly options: MapAsyncOptions },
): StreamNode<U> {
  const kind = 'mapAsync';
  const { f, options } = operator;
  refuseUnknownOptions(kind, options, ['uid', 'concurrency']);
  const concurrency = wholeOption(kind, 'concurrency', { value: options.concurrency, fallback: CONCURRENCY, min: 1 });
  const descriptor = graph.register({ kind, uid: options.uid, parents: [parent.descriptor.uid], isStateful: false });
  return {
    descriptor,
    partitions: (inputs) => parent.partitions(inputs),
    rdd: (scope) => scope.once(descriptor.uid, () => mapAsyncNode(parent.rdd(scope), f, { concurrency, signal: scope.tasks.signal })),
  };
}
