// Names of things that outlive a process, and the key under which a sink commits.
import type { BatchTime } from './time.ts';

/** The random id of one store directory: 32 hex digits. */
export type StoreId = string;

/** The random id of one start of a driver: 32 hex digits. */
export type Incarnation = string;

/** The random id of one batch plan: 32 hex digits. */
export type PlanId = string;

/** The stable name of a stream, stateful operator or output. */
export type Uid = string;

/** The name of a block: the epoch that made it and a counter within the epoch, as `epoch-counter`. */
export type BlockId = string;

/** What a sink commits under: at most one commit stands for each key. */
export interface CommitKey {
  /** The application's id. */
  readonly app: string;
  /** The uid of the output. */
  readonly sink: Uid;
  /** The batch, in milliseconds since the Unix epoch. */
  readonly batchTime: BatchTime;
  /** The partition of the output, from 0. */
  readonly partitionId: number;
}

/** Makes the name of a block. */
export function blockIdOf(epoch: number, counter: number): BlockId {
  return `${epoch}-${counter}`;
}

/** The lower-case hex digits of `bytes`. */
export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}

/** The bytes of hex digits. */
export function fromHex(hex: string): Uint8Array {
  return Buffer.from(hex, 'hex');
}
