// Pure: which partition of the topic a record goes to, and how the records of a partition are cut into sends.
import type { Message } from './client.ts';
import { murmur2 } from './murmur2.ts';

/** A record, encoded, before the number of partitions is known. */
export interface EncodedRow extends Message {
  /** What the option `partition` said. */
  readonly partition?: number;
  /** How many bytes it takes, about. */
  readonly bytes: number;
}

/** Records for one partition of the topic, small enough for one send. */
export interface Chunk {
  readonly partition: number;
  readonly messages: readonly EncodedRow[];
}

/** kafkajs groups the records of a send in quadratic time. */
export const CHUNK_ROWS_MAX = 2000;
/** A send is one record batch, which brokers refuse above `message.max.bytes`, 1 MiB unless set. */
export const CHUNK_BYTES_MAX = 900_000;

const POSITIVE = 0x7fffffff;

/** Where records go. */
export interface Target {
  /** How many partitions the topic has. */
  readonly count: number;
  /** The partition of the batch they are of: where records without a key go. */
  readonly partitionId: number;
}

function partitionOf({ key, partition }: EncodedRow, { count, partitionId }: Target): number {
  if (partition !== undefined) return partition;
  return key === null ? partitionId % count : (murmur2(key) & POSITIVE) % count;
}

/** The first partition of the rows that the topic does not have. */
export function missingPartition(rows: readonly EncodedRow[], { count }: Target): number | undefined {
  return rows.find(({ partition }) => partition !== undefined && partition >= count)?.partition;
}

/** Cuts rows into sends, each of one partition, in the order of the rows. A row that is larger than a send has one of its own. */
export function cutIntoChunks(rows: readonly EncodedRow[], target: Target): readonly Chunk[] {
  const chunks: Chunk[] = [];
  const open = new Map<number, { messages: EncodedRow[]; bytes: number }>();
  for (const row of rows) {
    const partition = partitionOf(row, target);
    let chunk = open.get(partition);
    if (chunk === undefined || chunk.messages.length === CHUNK_ROWS_MAX || chunk.bytes + row.bytes > CHUNK_BYTES_MAX) {
      chunk = { messages: [], bytes: 0 };
      open.set(partition, chunk);
      chunks.push({ partition, messages: chunk.messages });
    }
    chunk.messages.push(row);
    chunk.bytes += row.bytes;
  }
  return chunks;
}
