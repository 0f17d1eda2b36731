// A context without a directory: its log and checkpoints are in memory and go with the process. What it refuses, and how it keeps small.
import { UsageError } from '../core/errors.ts';
import type { Graph } from '../dstream/graph.ts';
import type { ResolvedContextOptions } from './options.ts';

const SEGMENT_BYTES_MAX = 4 * 1024 * 1024;

/** Refuses what would promise something that a context without a directory cannot keep. */
export function refuseWithoutDirectory(graph: Graph): void {
  const [stateful] = graph.stateful;
  const sink = graph.outputs.find((output) => output.kind === 'sink' && output.sink.guarantee === 'transactional');
  const once = graph.outputs.find((output) => output.isExactlyOnce);
  const uid = stateful?.node.descriptor.uid ?? sink?.uid ?? once?.uid;
  if (uid === undefined) return;
  throw new UsageError(
    'STREAM_DIRECTORY',
    `Cannot start the context as "${uid}" must have a store directory for its ${stateful === undefined ? 'commits' : 'state'}: the context was made by new alone; open it with StreamingContext.getOrCreate(directory, create)`,
  );
}

/** Cuts the log after each batch, in small segments, since it takes memory. */
export function volatileSettings(settings: ResolvedContextOptions): ResolvedContextOptions {
  return { ...settings, checkpointInterval: settings.batchInterval, segmentBytesMax: Math.min(settings.segmentBytesMax, SEGMENT_BYTES_MAX) };
}
