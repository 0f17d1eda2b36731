// Writes groups behind one another into segments: one write and one sync for each, a new segment when the old one is full.
import { toError } from '../core/errors.ts';
import type { Incarnation, StoreId } from '../core/ids.ts';
import type { Env } from '../env/env.ts';
import { isNoSpace, diskFullError } from './disk-full.ts';
import { chainWith, encodeFrame, frameBytesOf, FLAG_GROUP_END, isRecord } from './frame.ts';
import { isPreparationDue, isRotationDue } from './is-rotation-due.ts';
import type { LogPosition } from './read-at.ts';
import type { SegmentSpan } from './scan.ts';
import { fencedError, finishSegment, segmentName, type SegmentDraft } from './segment-files.ts';
import { encodeSegmentHeader, type SegmentHeader } from './segment-header.ts';
import { createDraft, dropDraft, type SegmentSupply } from './segment-supply.ts';
import { SyncHistogram } from './sync-times.ts';
import { PartialWriteError, writeFully, writeOrTell } from './write-fully.ts';

const SALT_BYTES = 4;

/** A sync that takes longer is logged as a warning. */
const SLOW_SYNC_MS = 1000;

/** How segments are written. */
export interface SegmentWriterOptions {
  readonly env: Env;
  readonly directory: string;
  readonly storeId: StoreId;
  readonly epoch: number;
  readonly incarnation: Incarnation;
  /** A segment is closed when the next group would make it larger. */
  readonly segmentBytesMax: number;
  /** Whether segments are filled with zeros ahead: on a disk, not in memory. */
  readonly isPrepared: boolean;
  /** Whether this driver still owns the store: asked after each sync, before anybody is answered. */
  readonly isOwner: () => boolean;
}

/** A segment that is being written. */
export interface OpenSegment {
  readonly header: SegmentHeader;
  readonly path: string;
  readonly draft: SegmentDraft;
  /** Where its valid bytes end. */
  readonly size: number;
  /** The chain over its frames. */
  readonly chain: number;
}

/** What is written as one frame. */
export interface FrameDraft {
  readonly type: number;
  readonly payload: readonly Uint8Array[];
  readonly payloadBytes: number;
}

/** Where the log stands: what the next group is numbered with. */
export interface GroupNumbers {
  readonly group: number;
  /** The lsn of its first record. */
  readonly lsn: number;
}

/** A header for a segment at this place. */
export function headerFor(
  options: Pick<SegmentWriterOptions, 'env' | 'storeId' | 'epoch' | 'incarnation'>,
  place: Pick<SegmentHeader, 'segment' | 'firstLsn' | 'firstGroup' | 'previousEnd' | 'previousChain' | 'fileBytes'>,
): SegmentHeader {
  const { env, storeId, epoch, incarnation } = options;
  // 0 would be found in every stretch of zeros.
  const salt = Buffer.from(env.random.bytes(SALT_BYTES)).readUInt32LE(0) || 1;
  return { storeId, epoch, incarnation, salt, ...place };
}

/** Writes at the end of the log. One call at a time. */
export class SegmentWriter {
  readonly #options: SegmentWriterOptions;
  readonly #supply: SegmentSupply;
  readonly #times = new SyncHistogram();
  #closed: SegmentSpan[];
  #closedBytes: number;
  #current: OpenSegment;
  #nextLsn: number;

  constructor(
    options: SegmentWriterOptions,
    supply: SegmentSupply,
    log: { readonly spans: readonly SegmentSpan[]; readonly current: OpenSegment; readonly nextLsn: number },
  ) {
    this.#options = options;
    this.#supply = supply;
    this.#closed = [...log.spans];
    this.#closedBytes = log.spans.reduce((sum, span) => sum + bytesOf(span), 0);
    this.#current = log.current;
    this.#nextLsn = log.nextLsn;
  }

  /** All segments, the one being written last, as far as they are valid now. */
  get spans(): readonly SegmentSpan[] {
    return [...this.#closed, this.#currentSpan()];
  }

  /** How long the syncs took. */
  get times(): SyncHistogram {
    return this.#times;
  }

  /** Bytes that the log takes on the disk: its segments with the zeros that were written ahead, and what is prepared. Holes count as if they were filled. */
  get bytes(): number {
    const { size, draft } = this.#current;
    return this.#closedBytes + Math.max(size, draft.zeroBytes) + this.#supply.bytes;
  }

  /** The path of the segment that is being written. */
  get path(): string {
    return this.#current.path;
  }

  /** Forgets the oldest segment, whose file is gone. */
  forgetOldest(): void {
    const [oldest] = this.#closed;
    this.#closedBytes -= oldest === undefined ? 0 : bytesOf(oldest);
    this.#closed = this.#closed.slice(1);
  }

  /**
   * Writes a group and syncs it. Resolves when it is durable and this driver still owns the store.
   *
   * @returns The position of each frame.
   * @throws {StorageError} `STREAM_DISK_FULL` if there is no room: what was written of the group is zeroed and synced, so that it never comes back.
   * @throws {LockedError} If another driver has taken over: the group may be in the log or void, nobody may be told that it is durable.
   * @throws {Error} What the file system threw: nothing is known about the group any more.
   */
  async write(frames: readonly FrameDraft[], numbers: GroupNumbers): Promise<readonly LogPosition[]> {
    const groupBytes = frames.reduce((sum, { payloadBytes }) => sum + frameBytesOf(payloadBytes), 0);
    await this.#makeRoom(groupBytes, numbers.group);
    const current = this.#current;
    const { pieces, positions, chain } = layOut(frames, current, numbers);
    await this.#writeOrErase(pieces);
    await this.#sync();
    if (!this.#options.isOwner()) throw fencedError(this.#options.directory);
    this.#current = { ...current, size: current.size + groupBytes, chain };
    this.#nextLsn = numbers.lsn + frames.filter(isRecord).length;
    return positions;
  }

  /** Closes the files. */
  async close(): Promise<void> {
    await this.#supply.close();
    await this.#current.draft.handle.close();
  }

  #currentSpan(): SegmentSpan {
    const { path, header, size, chain } = this.#current;
    return { path, header, end: size, nextLsn: this.#nextLsn, chain };
  }

  /** Whether the next segment should be prepared. */
  get isPreparationDue(): boolean {
    const { size, draft } = this.#current;
    return this.#options.isPrepared && !this.#supply.isReady && isPreparationDue({ size, zeroEnd: draft.zeroBytes });
  }

  /** Goes on preparing the next segment as long as nothing else is to be written. */
  prepare(isIdle: () => boolean): void {
    this.#supply.prepare(this.#options.segmentBytesMax, isIdle);
  }

  async #makeRoom(groupBytes: number, group: number): Promise<void> {
    const { segmentBytesMax } = this.#options;
    const { size, draft } = this.#current;
    if (isRotationDue({ size, groupBytes, zeroEnd: draft.zeroBytes, segmentBytesMax, isNextReady: this.#supply.isReady })) await this.#rotate(group);
  }

  /** Everything in the old segment was synced before this. */
  async #rotate(group: number): Promise<void> {
    const { env, directory, isOwner, isPrepared, segmentBytesMax } = this.#options;
    const { files } = env;
    const previous = this.#current;
    const segment = previous.header.segment + 1;
    const path = `${directory}/${segmentName(segment)}`;
    let draft: SegmentDraft | undefined;
    try {
      draft = this.#supply.take() ?? (await createDraft(files, this.#supply.nextPath(), { zeroBytes: 0, fileBytes: isPrepared ? segmentBytesMax : 0 }));
      const header = headerFor(this.#options, {
        segment,
        firstLsn: this.#nextLsn,
        firstGroup: group,
        previousEnd: previous.size,
        previousChain: previous.chain,
        fileBytes: draft.fileBytes,
      });
      const size = await finishSegment(files, draft, { path, pieces: [encodeSegmentHeader(header)], isOwner });
      const closed = this.#currentSpan();
      this.#closed.push(closed);
      this.#closedBytes += bytesOf(closed);
      this.#current = { header, path, draft, size, chain: 0 };
    } catch (error) {
      const dropped = draft === undefined ? Promise.resolve() : dropDraft(files, draft);
      if (isNoSpace(error)) {
        await dropped;
        throw diskFullError(directory, error);
      }
      // The log ends with the first error; what it leaves goes at the next start.
      await dropped.catch(() => undefined);
      throw error;
    }
    await previous.draft.handle.close();
  }

  async #writeOrErase(pieces: readonly Uint8Array[]): Promise<void> {
    const { draft, size } = this.#current;
    try {
      writeOrTell(draft.handle, pieces, size);
    } catch (error) {
      const cause = error instanceof PartialWriteError ? error.cause : error;
      if (!isNoSpace(cause)) throw toError(cause);
      const written = error instanceof PartialWriteError ? error.bytesWritten : 0;
      if (written > 0) {
        writeFully(draft.handle, [Buffer.alloc(written)], size);
        await this.#sync();
      }
      throw diskFullError(this.#options.directory, cause);
    }
  }

  async #sync(): Promise<void> {
    const { clock, logger } = this.#options.env;
    const start = clock.monotonic();
    await this.#current.draft.handle.sync();
    const syncMs = clock.monotonic() - start;
    this.#times.record(syncMs);
    if (syncMs > SLOW_SYNC_MS) logger.warn({ syncMs, segment: this.#current.path }, 'a sync of the log was slow');
  }
}

/** Bytes that a segment takes. */
function bytesOf({ end, header }: SegmentSpan): number {
  return Math.max(end, header.fileBytes);
}

/** The bytes of a group, and where each frame of it will stand. */
function layOut(
  frames: readonly FrameDraft[],
  current: OpenSegment,
  numbers: GroupNumbers,
): { readonly pieces: readonly Uint8Array[]; readonly positions: readonly LogPosition[]; readonly chain: number } {
  const { header } = current;
  const pieces: Uint8Array[] = [];
  const positions: LogPosition[] = [];
  let { size: offset, chain } = current;
  let { lsn } = numbers;
  const durableLsn = lsn - 1;
  frames.forEach((frame, index) => {
    const flags = index === frames.length - 1 ? FLAG_GROUP_END : 0;
    const encoded = encodeFrame({ type: frame.type, flags, salt: header.salt, lsn, group: numbers.group, durableLsn }, frame.payload);
    const [head] = encoded;
    if (head !== undefined) chain = chainWith(chain, head);
    pieces.push(...encoded);
    const frameBytes = frameBytesOf(frame.payloadBytes);
    positions.push({ lsn, segment: header.segment, offset, frameBytes });
    offset += frameBytes;
    if (isRecord(frame)) lsn += 1;
  });
  return { pieces, positions, chain };
}
