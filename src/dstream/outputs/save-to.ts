// saveTo: the rows of each partition go into a sink, under the commit key of the partition.
import { UsageError } from '../../core/errors.ts';
import type { Sink } from '../../sinks/sink.ts';
import type { Graph, StreamNode } from '../graph.ts';
import { resolveOperatorOptions, type OperatorOptions } from '../options.ts';

const METHODS = ['look', 'open', 'prepare', 'commit', 'close'];

function isSink(value: unknown): boolean {
  return typeof value === 'object' && value !== null && METHODS.every((method) => typeof Reflect.get(value, method) === 'function');
}

/** Adds saveTo to the graph. */
export function addSaveTo<T>(graph: Graph, parent: StreamNode<T>, output: { readonly sink: Sink<T>; readonly options: OperatorOptions }): void {
  const { sink, options } = output;
  const { uid } = resolveOperatorOptions('saveTo', options);
  if (!isSink(sink))
    throw new UsageError('STREAM_INVALID_GRAPH', `Cannot save to this value as a sink must have the methods ${METHODS.join(', ')}: found ${typeof sink}`);
  const descriptor = graph.register({ kind: 'saveTo', uid, parents: [parent.descriptor.uid], isStateful: false });
  graph.addOutput({ kind: 'sink', uid: descriptor.uid, parent, sink: sink as Sink<unknown> });
}
