// A queue in the memory of the program as a source: each batch takes what stands at its head. What was taken is in the log before its batch is planned; what still stands in the
// queue goes with the process.
import { RDD } from '../rdd/rdd.ts';
import { BlockBuilder, type BuiltBlock } from './block-builder.ts';
import { recordCodec } from './record-codec.ts';
import type { PolledContext, PolledSource } from './polled-source.ts';

const BLOCK_BYTES = 1024 * 1024;
const NOTHING = { files: [], filesGone: [] } as const;

/** What may stand in a queue: a dataset, or its records. */
export type QueueItem<T> = RDD<T> | readonly T[];

/** How a queue is emptied. */
export interface QueueSettings<T> {
  readonly oneAtATime: boolean;
  /** What a batch gets when the queue is empty. */
  readonly fallback: QueueItem<T> | undefined;
}

/** Appends an item as blocks of about a mebibyte; all of it is computed and encoded before anything of it is journaled. */
async function addItem<T>(context: PolledContext, item: QueueItem<T>): Promise<void> {
  const records: readonly unknown[] = item instanceof RDD ? await item.collect() : item;
  const codec = recordCodec('json-lines');
  const builder = new BlockBuilder();
  const blocks: (BuiltBlock | undefined)[] = [];
  for (const record of records) {
    builder.add(Buffer.from(`${codec.encode(record)}\n`), 1, undefined);
    if (builder.bytes >= BLOCK_BYTES) blocks.push(builder.take());
  }
  blocks.push(builder.take());
  for (const block of blocks) if (block !== undefined) await context.addBlock(block);
}

/** Makes a source of a queue. Items leave the queue when their records are durable. */
export function createQueueSource<T>(queue: QueueItem<T>[], settings: QueueSettings<T>): PolledSource {
  const { oneAtATime, fallback } = settings;
  return {
    guarantee: {
      kind: 'best-effort',
      because: 'what stands in the queue at a crash is lost',
      remedy: 'take the records from fromAsyncIterable with a position',
    },
    begin: () => Promise.resolve(),
    async poll(context) {
      const count = oneAtATime ? Math.min(1, queue.length) : queue.length;
      if (count === 0 && fallback !== undefined) await addItem(context, fallback);
      for (let taken = 0; taken < count; taken++) {
        const [item] = queue;
        if (item === undefined) break;
        await addItem(context, item);
        queue.shift();
      }
      return NOTHING;
    },
    filePartitions: () => 0,
  };
}
