// A receiver as a stream: each block of the batch is one partition, its bytes are turned into records when a task reads them.
import { recordCodec } from '../../sources/record-codec.ts';
import type { Receiver } from '../../sources/receiver.ts';
import type { Graph, StreamNode } from '../graph.ts';
import { present } from '../../core/assert.ts';

/** Adds a receiver to the graph. */
export function addBlockSource<T>(graph: Graph, receiver: Receiver<T>, source: { readonly kind: string; readonly uid: string | undefined }): StreamNode<T> {
  const descriptor = graph.register({ ...source, parents: [], codec: receiver.codec, isStateful: false });
  const { uid } = descriptor;
  graph.addSource({ uid, receiver: receiver as Receiver<unknown> });
  return {
    descriptor,
    partitions: (blocks) => blocks.get(uid) ?? 0,
    rdd: (scope) => {
      const blocks = scope.blocks(uid);
      return {
        partitionCount: blocks.length,
        async prepare(partition) {
          const block = present(blocks[partition], `block ${partition} of "${uid}" is in the plan`);
          const bytes = await scope.readBlock(block);
          const codec = recordCodec(block.codec);
          return (push) => codec.decode(bytes, push as (record: unknown) => void);
        },
      };
    },
  };
}
