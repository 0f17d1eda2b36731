// saveTo: the rows of each partition go into a sink, under the commit key of the partition.
import { UsageError } from '../../core/errors.ts';
import type { Sink } from '../../sinks/sink.ts';
import type { Graph, StreamNode } from '../graph.ts';
import { resolveOutputOptions, type OutputOptions } from '../options.ts';

const METHODS = ['look', 'open', 'prepare', 'commit', 'close'];

function isSink(value: unknown): boolean {
  return typeof value === 'object' && value !== null && METHODS.every((method) => typeof Reflect.get(value, method) === 'function');
}

/** Adds saveTo to the graph. */
export function addSaveTo<T>(graph: Graph, parent: StreamNode<T>, output: { readonly sink: Sink<T>; readonly options: OutputOptions }): void {
  const { sink, options } = output;
  const { uid, isExactlyOnce } = resolveOutputOptions('saveTo', options);
  if (!isSink(sink))
    throw new UsageError('STREAM_INVALID_GRAPH', `Cannot save to this value as a sink must have the methods ${METHODS.join(', ')}: found ${typeof sink}`);
  const descriptor = graph.register({ kind: 'saveTo', uid, parents: [parent.descriptor.uid], isStateful: false });
  graph.addOutput({ kind: 'sink', uid: descriptor.uid, parent, isExactlyOnce, sink: sink as Sink<unknown> });
}
