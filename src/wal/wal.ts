// The write-ahead log, open for appending: one group of records is written and synced at a time, and everybody in it is answered when the sync has returned.
import { StorageError, StreamError, toError, UsageError } from '../core/errors.ts';
import { isDiskFullError } from './disk-full.ts';
import { frameBytesOf, TYPE_MARK } from './frame.ts';
import { IdleWatch } from './idle-watch.ts';
import { PositionReader, type LogPosition } from './read-at.ts';
import type { SegmentSpan } from './scan.ts';
import type { FrameDraft, SegmentWriter, SegmentWriterOptions } from './segment-writer.ts';
import type { SyncTimes } from './sync-times.ts';

/** How a log is written. */
export interface WalOptions extends SegmentWriterOptions {
  /** The largest record it takes. */
  readonly recordBytesMax: number;
  /** As many bytes of records go into one group, unless the first alone is larger. */
  readonly groupBytesMax: number;
  /** A mark is written when nothing was appended for this long, so that damage to the last group can be told from a torn write. */
  readonly idleMarkMs: number;
  /** Called once, when the log is poisoned. */
  readonly onPoisoned: (error: StreamError) => void;
}

/** A record to append. */
export interface WalRecord {
  readonly type: number;
  readonly payload: readonly Uint8Array[];
  /** Called as soon as the record is durable, before its append resolves; records are called in the order of their lsn. */
  readonly onDurable?: (position: LogPosition) => void;
  /** Called as soon as the record is refused because there is no room, before its append rejects; in the order in which they were appended. */
  readonly onRefused?: () => void;
}

interface Waiting extends FrameDraft {
  readonly onDurable: ((position: LogPosition) => void) | undefined;
  readonly onRefused: (() => void) | undefined;
  readonly resolve: (position: LogPosition) => void;
  readonly reject: (error: Error) => void;
}

/** The next segment is prepared when nothing was appended for this long: a log that is never idle had better not share the disk with zeros. */
const PREPARE_IDLE_MS = 5;

const MARK: FrameDraft = { type: TYPE_MARK, payload: [], payloadBytes: 0 };

/** A log that is open for appending. Made by `openWal`. */
export class Wal {
  readonly #options: WalOptions;
  readonly #reader: PositionReader;
  readonly #writer: SegmentWriter;
  #nextLsn: number;
  #nextGroup: number;
  #queue: Waiting[] = [];
  #pumping: Promise<void> | undefined;
  #poison: StreamError | undefined;
  readonly #markWatch: IdleWatch;
  readonly #prepareWatch: IdleWatch;
  /** Whether the last group is a mark, or there is none to mark. */
  #isMarked = true;

  constructor(options: WalOptions, writer: SegmentWriter, next: { readonly lsn: number; readonly group: number }) {
    this.#options = options;
    this.#writer = writer;
    this.#nextLsn = next.lsn;
    this.#nextGroup = next.group;
    this.#reader = new PositionReader(options.env.files, options.directory);
    const { clock } = options.env;
    this.#markWatch = new IdleWatch(clock, options.idleMarkMs, () => void this.#mark());
    this.#prepareWatch = new IdleWatch(clock, PREPARE_IDLE_MS, () => writer.prepare(() => this.#pumping === undefined));
  }

  /** The lsn of the last record that is durable. */
  get durableLsn(): number {
    return this.#nextLsn - 1;
  }

  /** All segments, the one being written last, as far as they are valid now. */
  get spans(): readonly SegmentSpan[] {
    return this.#writer.spans;
  }

  /** Bytes that the log takes on the disk. */
  get bytes(): number {
    return this.#writer.bytes;
  }

  /** How long its syncs took. */
  get syncTimes(): SyncTimes {
    return this.#writer.times.times;
  }

  /**
   * Appends a record. Resolves when it is durable (fdatasync has returned, and the store is still this driver's).
   *
   * @throws {UsageError} If the record is larger than the limit; nothing was written.
   * @throws {StorageError} `STREAM_DISK_FULL` if there is no room: nothing of the record is in the log, and it may be appended again. Otherwise writing failed, for this record or an
   * earlier one: whether the record is in the log is unknown until the next start.
   * @throws {LockedError} If another driver has taken over.
   */
  append(record: WalRecord): Promise<LogPosition> {
    if (this.#poison !== undefined) return Promise.reject(this.#poison);
    let payloadBytes = 0;
    for (const piece of record.payload) payloadBytes += piece.length;
    if (payloadBytes > this.#options.recordBytesMax) {
      return Promise.reject(
        new UsageError(
          'STREAM_RECORD_TOO_LARGE',
          `Cannot append a record as it must have at most ${this.#options.recordBytesMax} bytes: it has ${payloadBytes}`,
        ),
      );
    }
    const { type, payload, onDurable, onRefused } = record;
    return new Promise((resolve, reject) => {
      this.#queue.push({ type, payload, payloadBytes, onDurable, onRefused, resolve, reject });
      this.#pumping ??= this.#pump();
    });
  }

  /** The payload of a record by its position. */
  readAt(position: LogPosition): Promise<Uint8Array> {
    return this.#reader.read(position);
  }

  /** Removes whole segments that hold only records below `lowWater`, oldest first. Each removal is durable before the next, so that a crash leaves no hole. */
  async cut(lowWater: number): Promise<void> {
    const { env, directory } = this.#options;
    while (true) {
      const [oldest, next] = this.spans;
      if (oldest === undefined || next === undefined || next.header.firstLsn > lowWater) return;
      await this.#reader.close();
      await env.files.remove(oldest.path);
      await env.files.syncDirectory(directory);
      this.#writer.forgetOldest();
    }
  }

  /** Waits for what was appended, marks it, and closes the files. Safe to call again. */
  async close(): Promise<void> {
    await this.#pumping;
    await this.#mark();
    this.#markWatch.cancel();
    this.#prepareWatch.cancel();
    await this.#reader.close();
    await this.#writer.close();
  }

  async #pump(): Promise<void> {
    // One turn later, so that all appends of the same turn share a group.
    await Promise.resolve();
    while (this.#queue.length > 0 && this.#poison === undefined) {
      const group = this.#takeGroup();
      try {
        await this.#writeGroup(group);
      } catch (error) {
        if (isDiskFullError(error)) this.#refuse(error, group);
        else this.#poisonWith(toError(error), group);
      }
    }
    this.#pumping = undefined;
    if (this.#poison !== undefined) return;
    if (!this.#isMarked) this.#markWatch.touch();
    if (this.#writer.isPreparationDue) this.#prepareWatch.touch();
  }

  #takeGroup(): readonly Waiting[] {
    let bytes = 0;
    let count = 0;
    for (const waiting of this.#queue) {
      const frameBytes = frameBytesOf(waiting.payloadBytes);
      if (count > 0 && bytes + frameBytes > this.#options.groupBytesMax) break;
      bytes += frameBytes;
      count += 1;
    }
    return this.#queue.splice(0, count);
  }

  async #writeGroup(group: readonly Waiting[]): Promise<void> {
    const positions = await this.#writer.write(group, { group: this.#nextGroup, lsn: this.#nextLsn });
    this.#nextGroup += 1;
    this.#nextLsn += group.length;
    this.#isMarked = false;
    group.forEach((waiting, index) => {
      const position = positions[index];
      if (position === undefined) return;
      waiting.onDurable?.(position);
      waiting.resolve(position);
    });
  }

  /** Says in a group of its own that all before it is durable. */
  #mark(): Promise<void> {
    if (this.#isMarked || this.#pumping !== undefined || this.#poison !== undefined) return Promise.resolve();
    this.#pumping = this.#writeMark();
    return this.#pumping;
  }

  async #writeMark(): Promise<void> {
    try {
      await this.#writer.write([MARK], { group: this.#nextGroup, lsn: this.#nextLsn });
      this.#nextGroup += 1;
      this.#isMarked = true;
    } catch (error) {
      // Without room there is no mark; what it would have said is only less certain.
      if (!isDiskFullError(error)) this.#poisonWith(toError(error), []);
    }
    await this.#pump();
  }

  #refuse(error: StorageError, group: readonly Waiting[]): void {
    const waiting = this.#queue;
    this.#queue = [];
    for (const { onRefused, reject } of [...group, ...waiting]) {
      onRefused?.();
      reject(error);
    }
  }

  #poisonWith(cause: Error, group: readonly Waiting[]): void {
    const poison =
      this.#poison ??
      (cause instanceof StreamError
        ? cause
        : new StorageError(
            'STREAM_WAL_POISONED',
            `Cannot go on with the log as every write and sync must succeed: "${this.#writer.path}": ${cause.message}. Records in flight are indeterminate`,
            { cause },
          ));
    const isFirst = this.#poison === undefined;
    this.#poison = poison;
    const waiting = this.#queue;
    this.#queue = [];
    for (const { reject } of [...group, ...waiting]) reject(poison);
    if (isFirst) this.#options.onPoisoned(poison);
  }

  /** Ends the log from outside: the storage failed under something that belongs to it. What is in flight comes to its own end. */
  poison(cause: Error): void {
    this.#poisonWith(cause, []);
  }
}
