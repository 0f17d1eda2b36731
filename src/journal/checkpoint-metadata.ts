// What a checkpoint keeps besides ledger and state: the graph it belongs to, and what it needs of the log.
import { graphDescriptorShape, type GraphDescriptor } from '../core/graph-descriptor.ts';
import { count, object, string } from '../core/shape.ts';

/** The metadata of a checkpoint. */
export interface CheckpointMetadata {
  readonly graph: GraphDescriptor;
  readonly codeVersion: string;
  /** The lowest record of the log that is needed to go on from this checkpoint. */
  readonly neededLsn: number;
}

const shape = object<{ [K in keyof CheckpointMetadata]: CheckpointMetadata[K] }>({ graph: graphDescriptorShape, codeVersion: string, neededLsn: count });

/** The text of the metadata, as a head carries it. */
export function encodeMetadata(metadata: CheckpointMetadata): string {
  return JSON.stringify(metadata);
}

/** Reads the metadata of a head. Throws SyntaxError or ShapeError if the text is none. */
export function decodeMetadata(text: string): CheckpointMetadata {
  return shape(JSON.parse(text), 'metadata');
}
