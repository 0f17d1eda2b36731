// Blocks as a stream: each block of the batch is one partition, its bytes are turned into records when a task reads them.
import { present } from '../../core/assert.ts';
import { leaf } from '../../rdd/node.ts';
import type { PolledSource } from '../../sources/polled-source.ts';
import { recordCodec, type RecordCodecName } from '../../sources/record-codec.ts';
import type { Receiver } from '../../sources/receiver.ts';
import type { Graph, StreamNode } from '../graph.ts';

interface SourceName {
  readonly kind: string;
  readonly uid: string | undefined;
  /** Whether its records are logged. */
  readonly isLogged: boolean;
}

function addBlocks<T>(graph: Graph, name: SourceName, codec: RecordCodecName): StreamNode<T> {
  const descriptor = graph.register({ kind: name.kind, uid: name.uid, parents: [], codec, isStateful: false });
  const { uid } = descriptor;
  return {
    descriptor,
    partitions: (inputs) => inputs.get(uid) ?? 0,
    rdd: (scope) => {
      const blocks = scope.blocks(uid);
      return {
        lineage: leaf(name.kind),
        partitionCount: blocks.length,
        async prepare(partition) {
          const block = present(blocks[partition], `block ${partition} of "${uid}" is in the plan`);
          const bytes = await scope.readBlock(block);
          const decoder = recordCodec(block.codec);
          return (push) => decoder.decode(bytes, push as (record: unknown) => void);
        },
      };
    },
  };
}

/** Adds a receiver to the graph. */
export function addReceiver<T>(graph: Graph, receiver: Receiver<T>, name: SourceName): StreamNode<T> {
  const node = addBlocks<T>(graph, name, receiver.codec);
  graph.addSource({ kind: 'receiver', uid: node.descriptor.uid, receiver, isLogged: name.isLogged });
  return node;
}

/** Adds a source that appends blocks when it is asked. */
export function addPolledBlocks<T>(graph: Graph, source: PolledSource, name: SourceName): StreamNode<T> {
  const node = addBlocks<T>(graph, name, 'json-lines');
  graph.addSource({ kind: 'polled', uid: node.descriptor.uid, source, isLogged: name.isLogged });
  return node;
}
