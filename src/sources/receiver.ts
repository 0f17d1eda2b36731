// What a user implements to bring records in: start, stop, and calls of store in between.
import type { SourceRange } from '../journal/events.ts';
import type { RecordCodecName } from './record-codec.ts';

/** What the engine gives to a receiver. */
export interface ReceiverContext<in T> {
  /** The uid of the stream. */
  readonly stream: string;
  /** Aborted when the receiver must stop. */
  readonly signal: AbortSignal;
  /**
   * Takes a record into the block that is being built.
   *
   * @param record - The record.
   * @param range - Where it stands in its source, for sources with positions: a block whose ranges do not continue what was received before is refused, and nothing of it is logged.
   * @returns Resolves when the record is durable in the write-ahead log: now the source may be told. The promise is the same for all records of a block.
   * @throws {SourceError} If the buffer is full (`STREAM_RECEIVER_BUFFER_FULL`; wait for `ready()` before) or the record cannot be encoded: nothing was taken.
   */
  store(record: T, range?: SourceRange): Promise<void>;
  /**
   * Takes records that are encoded already: each followed by a line feed, in the codec of the receiver.
   *
   * @param bytes - Not changed by the caller afterwards.
   * @param recordCount - How many records they are.
   */
  storeEncoded(bytes: Uint8Array, recordCount: number, range?: SourceRange): Promise<void>;
  /** Resolves when the buffer has room; at once if it has. */
  ready(): Promise<void>;
  /** Drops what is buffered and not yet on its way to the log, and resolves when what is on its way is durable. What was dropped was never acknowledged: its promises reject. */
  settle(): Promise<void>;
  /** The position behind the last durable record of a source partition; undefined if nothing was received from it. */
  position(partition: string): number | undefined;
  /** Stops the context with this error: for what no reconnect can mend. */
  fail(error: Error): void;
}

/** What a source can promise. */
export interface SourceGuarantee {
  /** `exactly-once`: what a crash interrupts is received again, and nothing twice. `best-effort`: what was in flight may be lost or come twice. */
  readonly kind: 'exactly-once' | 'best-effort';
  /** Why, for people: part of `explain()`. */
  readonly because: string;
  /**
   * What would make it `exactly-once`, for people, as an instruction: part of `explain()`.
   *
   * @defaultValue Nothing is known that would.
   */
  readonly remedy?: string;
}

/**
 * A source that pushes records.
 *
 * @typeParam T - The records.
 */
export interface Receiver<out T> {
  /** How its records are written to the log: `lines` for strings without line feeds, `json-lines` for everything the default codec carries. */
  readonly codec: RecordCodecName;
  /**
   * What the source can promise: `exactly-once` where every record is stored with its range and `run` begins at `position()`.
   *
   * @defaultValue `best-effort`
   */
  readonly guarantee?: SourceGuarantee;
  /**
   * Receives until the signal is aborted or the source ends, and resolves then; a graceful stop waits for it. When it returns or throws before it is asked to stop, it is started again after a pause.
   */
  run(context: ReceiverContext<T>): Promise<void>;
}
