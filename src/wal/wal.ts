// The write-ahead log, open for appending: one group of records is written and synced at a time, and everybody in it is answered when the sync has returned.
import { StorageError, StreamError, toError, UsageError } from '../core/errors.ts';
import type { Incarnation, StoreId } from '../core/ids.ts';
import type { Env } from '../env/env.ts';
import type { FileHandle } from '../env/file-system.ts';
import { encodeFrame, FLAG_GROUP_END, frameBytesOf, type Frame } from './frame.ts';
import { PositionReader, type LogPosition } from './read-at.ts';
import type { SegmentSpan, WalScan } from './scan.ts';
import { createSegment, removeTemporaries, segmentName } from './segment-files.ts';
import { encodeSegmentHeader, SEGMENT_HEADER_BYTES, type SegmentHeader } from './segment-header.ts';
import { writeFully } from './write-fully.ts';

const SALT_BYTES = 4;

/** How a log is written. */
export interface WalOptions {
  readonly env: Env;
  readonly directory: string;
  readonly storeId: StoreId;
  readonly epoch: number;
  readonly incarnation: Incarnation;
  /** A segment is closed when the next group would make it larger. */
  readonly segmentBytesMax: number;
  /** The largest record it takes. */
  readonly recordBytesMax: number;
  /** As many bytes of records go into one group, unless the first alone is larger. */
  readonly groupBytesMax: number;
  /** Called once, when the log is poisoned. */
  readonly onPoisoned: (error: StreamError) => void;
}

/** A record to append. */
export interface WalRecord {
  readonly type: number;
  readonly payload: readonly Uint8Array[];
  /** Called as soon as the record is durable, before its append resolves; records are called in the order of their lsn. */
  readonly onDurable?: (position: LogPosition) => void;
}

interface Waiting {
  readonly record: WalRecord;
  readonly frameBytes: number;
  readonly resolve: (position: LogPosition) => void;
  readonly reject: (error: Error) => void;
}

/** A log that is open for appending. Made by {@link openWal}. */
export class Wal {
  readonly #options: WalOptions;
  readonly #reader: PositionReader;
  #spans: readonly SegmentSpan[];
  #current: { readonly header: SegmentHeader; readonly path: string; readonly handle: FileHandle; size: number };
  #nextLsn: number;
  #nextGroup: number;
  #queue: Waiting[] = [];
  #pumping: Promise<void> | undefined;
  #poison: StreamError | undefined;

  constructor(
    options: WalOptions,
    scan: WalScan,
    current: { readonly header: SegmentHeader; readonly path: string; readonly handle: FileHandle; size: number },
  ) {
    this.#options = options;
    this.#spans = scan.spans;
    this.#nextLsn = scan.nextLsn;
    this.#nextGroup = scan.nextGroup;
    this.#current = current;
    this.#reader = new PositionReader(options.env.files, options.directory);
  }

  /** The lsn of the last record that is durable. */
  get durableLsn(): number {
    return this.#nextLsn - 1;
  }

  /** All segments, the one being written last, as far as they are valid now. */
  get spans(): readonly SegmentSpan[] {
    const { path, header, size } = this.#current;
    return [...this.#spans, { path, header, end: size, nextLsn: this.#nextLsn }];
  }

  /**
   * Appends a record. Resolves when it is durable (fdatasync has returned).
   *
   * @throws {UsageError} If the record is larger than the limit; nothing was written.
   * @throws {StorageError} If writing failed, for this record or an earlier one: whether the record is in the log is unknown until the next start.
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
    return new Promise((resolve, reject) => {
      this.#queue.push({ record, frameBytes: frameBytesOf(payloadBytes), resolve, reject });
      this.#pumping ??= this.#pump();
    });
  }

  /** The payload of a record by its position. */
  readAt(position: LogPosition): Promise<Uint8Array> {
    return this.#reader.read(position);
  }

  /** Removes whole segments that hold only records below `lowWater`, oldest first. Each removal is durable before the next, so that a crash leaves no hole. */
  async cut(lowWater: number): Promise<void> {
    while (true) {
      const [oldest, next] = this.spans;
      if (oldest === undefined || next === undefined || next.header.firstLsn > lowWater) return;
      await this.#reader.close();
      await this.#options.env.files.remove(oldest.path);
      await this.#options.env.files.syncDirectory(this.#options.directory);
      this.#spans = this.#spans.slice(1);
    }
  }

  /** Waits for what was appended, then closes the files. Safe to call again. */
  async close(): Promise<void> {
    await this.#pumping;
    await this.#reader.close();
    await this.#current.handle.close();
  }

  async #pump(): Promise<void> {
    // One turn later, so that all appends of the same turn share a group.
    await Promise.resolve();
    while (this.#queue.length > 0 && this.#poison === undefined) {
      const group = this.#takeGroup();
      try {
        await this.#writeGroup(group);
      } catch (error) {
        this.#poisonWith(toError(error), group);
      }
    }
    this.#pumping = undefined;
  }

  #takeGroup(): readonly Waiting[] {
    let bytes = 0;
    let count = 0;
    for (const waiting of this.#queue) {
      if (count > 0 && bytes + waiting.frameBytes > this.#options.groupBytesMax) break;
      bytes += waiting.frameBytes;
      count += 1;
    }
    return this.#queue.splice(0, count);
  }

  async #writeGroup(group: readonly Waiting[]): Promise<void> {
    const bytes = group.reduce((sum, waiting) => sum + waiting.frameBytes, 0);
    if (this.#current.size > SEGMENT_HEADER_BYTES && this.#current.size + bytes > this.#options.segmentBytesMax) await this.#rotate();
    const current = this.#current;
    const durableLsn = this.durableLsn;
    const pieces: Uint8Array[] = [];
    const positions: LogPosition[] = [];
    let offset = current.size;
    group.forEach((waiting, index) => {
      const lsn = this.#nextLsn + index;
      const flags = index === group.length - 1 ? FLAG_GROUP_END : 0;
      pieces.push(
        ...encodeFrame({ type: waiting.record.type, flags, salt: current.header.salt, lsn, group: this.#nextGroup, durableLsn }, waiting.record.payload),
      );
      positions.push({ lsn, segment: current.header.segment, offset, frameBytes: waiting.frameBytes });
      offset += waiting.frameBytes;
    });
    writeFully(current.handle, pieces, current.size);
    await current.handle.sync();
    current.size = offset;
    this.#nextGroup += 1;
    this.#nextLsn += group.length;
    group.forEach((waiting, index) => {
      const position = positions[index];
      if (position === undefined) return;
      waiting.record.onDurable?.(position);
      waiting.resolve(position);
    });
  }

  async #rotate(): Promise<void> {
    const previous = this.#current;
    const header = headerAfter(this.#options, { segment: previous.header.segment + 1, firstLsn: this.#nextLsn, previousEnd: previous.size });
    const path = `${this.#options.directory}/${segmentName(header.segment)}`;
    const { handle, size } = await createSegment(this.#options.env.files, path, [encodeSegmentHeader(header)]);
    this.#spans = this.spans;
    this.#current = { header, path, handle, size };
    await previous.handle.close();
  }

  #poisonWith(cause: Error, group: readonly Waiting[]): void {
    const { path } = this.#current;
    const poison =
      cause instanceof StreamError
        ? cause
        : new StorageError(
            'STREAM_WAL_POISONED',
            `Cannot go on with the log as every write and sync must succeed: "${path}": ${cause.message}. Records in flight are indeterminate`,
            {
              cause,
            },
          );
    this.#poison = poison;
    const waiting = this.#queue;
    this.#queue = [];
    for (const { reject } of [...group, ...waiting]) reject(poison);
    this.#options.onPoisoned(poison);
  }
}

function headerAfter(options: WalOptions, place: { readonly segment: number; readonly firstLsn: number; readonly previousEnd: number }): SegmentHeader {
  const salt = Buffer.from(options.env.random.bytes(SALT_BYTES)).readUInt32LE(0);
  return { storeId: options.storeId, epoch: options.epoch, incarnation: options.incarnation, salt, ...place };
}

function relogged(frames: readonly Frame[], salt: number): readonly Uint8Array[] {
  const lastIndex = frames.length - 1;
  return frames.flatMap((frame, index) => encodeFrame({ ...frame, salt, flags: index === lastIndex ? FLAG_GROUP_END : 0 }, [frame.payload]));
}

/**
 * Opens a scanned log for appending, in a new segment of its own. The last group of the log is written afresh into it, with its numbers, before the segment appears under its
 * name: its driver may have died of a failed write-back, and then the page cache shows what the disk does not hold. What stands behind in the old segment is void from then on.
 */
export async function openWal(options: WalOptions, scan: WalScan): Promise<Wal> {
  const { files } = options.env;
  await removeTemporaries(files, options.directory);
  const newest = scan.spans.at(-1);
  const [first] = scan.lastGroup;
  const header = headerAfter(options, {
    segment: (newest?.header.segment ?? 0) + 1,
    firstLsn: first?.lsn ?? scan.nextLsn,
    previousEnd: first?.offset ?? newest?.end ?? 0,
  });
  const path = `${options.directory}/${segmentName(header.segment)}`;
  const { handle, size } = await createSegment(files, path, [encodeSegmentHeader(header), ...relogged(scan.lastGroup, header.salt)]);
  const spans = newest === undefined ? [] : [...scan.spans.slice(0, -1), { ...newest, end: header.previousEnd, nextLsn: header.firstLsn }];
  return new Wal(options, { ...scan, spans }, { header, path, handle, size });
}
