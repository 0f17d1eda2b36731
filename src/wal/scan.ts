// Reads the whole log at a start: checks every segment and frame, finds where the valid part ends and what the last group was. Changes nothing.
import { CorruptionError, type LogDamage } from '../core/errors.ts';
import type { StoreId } from '../core/ids.ts';
import type { FileHandle, FileSystem } from '../env/file-system.ts';
import { isRecord, readFrame, type Frame } from './frame.ts';
import { dataEnd, lookBehind, NOTHING_BEHIND, type Behind } from './look-behind.ts';
import { readFrames, type SegmentFrames } from './read-frames.ts';
import { decodeSegmentHeader, SEGMENT_HEADER_BYTES, WAL_FORMAT_VERSION, type SegmentHeader } from './segment-header.ts';
import { listSegments, segmentName } from './segment-files.ts';
import { judgeTail } from './tail-verdict.ts';

/** A segment and the part of it that is valid. */
export interface SegmentSpan {
  readonly path: string;
  readonly header: SegmentHeader;
  /** Where its valid bytes end. */
  readonly end: number;
  /** The lsn of the record that would follow its last. */
  readonly nextLsn: number;
  /** The chain over its frames. */
  readonly chain: number;
}

/** The frames of the last group as far as they stand in the newest segment: not proven durable, to be written afresh before they are trusted. */
export interface LastGroup {
  readonly frames: readonly Frame[];
  readonly offset: number;
  readonly lsn: number;
  /** The chain over the frames before it. */
  readonly chain: number;
}

/** What a scan found. */
export interface WalScan {
  /** All segments in order; empty for a log that never began. */
  readonly spans: readonly SegmentSpan[];
  /** The lsn the next record gets. */
  readonly nextLsn: number;
  /** The number the next group gets. */
  readonly nextGroup: number;
  readonly lastGroup: LastGroup | undefined;
  /** Bytes behind the valid end of the newest segment that are a torn write. */
  readonly tornBytes: number;
}

/** How to scan. */
export interface ScanOptions {
  readonly files: FileSystem;
  readonly directory: string;
  readonly storeId: StoreId;
  readonly payloadBytesMax: number;
  /** Whether each file is synced before it is read: what is read may be only in the page cache of a driver that died. */
  readonly isSynced: boolean;
  /** The last segment that is read; all are, if it is not given. For tools that read what stands before a damage. */
  readonly segmentMax?: number;
}

/** Takes the records of a scan in order. Their payloads must be copied to be kept. */
export type RecordVisitor = (frame: Frame, segment: number) => void;

/** A segment whose header is whole. */
export interface SegmentHead {
  readonly segment: number;
  readonly path: string;
  readonly header: SegmentHeader;
  readonly fileBytes: number;
}

/** A segment whose header is damaged. */
export interface DamagedHead {
  readonly segment: number;
  readonly path: string;
  /** Why. */
  readonly bad: string;
}

const HOLDS_NOTHING: WalScan = { spans: [], nextLsn: 1, nextGroup: 1, lastGroup: undefined, tornBytes: 0 };

function recordsOf({ lsnFrom, lsnTo }: LogDamage): string {
  if (lsnTo === undefined) return `record ${lsnFrom} and what follows`;
  return lsnTo <= lsnFrom ? `record ${lsnFrom}` : `records ${lsnFrom} to ${lsnTo}`;
}

function corrupt(path: string, damage: LogDamage, why: string): CorruptionError {
  return new CorruptionError(
    'STREAM_WAL_CORRUPT',
    `Cannot open the log as its records must be whole: segment ${damage.segment}, "${path}" at offset ${damage.offset}, ${recordsOf(damage)}: ${why}. Nothing was changed`,
    { damage },
  );
}

async function withFile<T>(files: FileSystem, path: string, use: (handle: FileHandle) => Promise<T>): Promise<T> {
  const handle = await files.open(path, 'read');
  try {
    return await use(handle);
  } finally {
    await handle.close();
  }
}

/**
 * Reads the header of a segment. Damage is returned.
 *
 * @throws {CorruptionError} If it is of another version or store.
 */
export async function readHead(options: ScanOptions, segment: number): Promise<SegmentHead | DamagedHead> {
  const path = `${options.directory}/${segmentName(segment)}`;
  const { bytes, fileBytes } = await withFile(options.files, path, async (handle) => {
    if (options.isSynced) await handle.sync();
    return { bytes: await handle.read(0, SEGMENT_HEADER_BYTES), fileBytes: await handle.size() };
  });
  const reading = decodeSegmentHeader(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  if (reading.kind === 'bad') return { segment, path, bad: `the segment header is damaged: ${reading.why}` };
  if (reading.kind === 'version') {
    throw new CorruptionError(
      'STREAM_WAL_VERSION',
      `Cannot open the log segment "${path}" as its format version must be ${WAL_FORMAT_VERSION} without further features: found version ${reading.version}, features ${reading.incompatible}`,
    );
  }
  const { header } = reading;
  if (header.storeId !== options.storeId) {
    throw new CorruptionError(
      'STREAM_IDENTITY',
      `Cannot open the log segment "${path}" as it must belong to the store ${options.storeId}: it belongs to ${header.storeId}`,
    );
  }
  if (header.segment !== segment) return { segment, path, bad: `its header names segment ${header.segment}` };
  if (fileBytes < header.fileBytes) return { segment, path, bad: `its file was cut short: it has ${fileBytes} bytes, not ${header.fileBytes}` };
  return { segment, path, header, fileBytes };
}

/** Reads all headers, and checks what can be told from them alone: no gap, no older epoch behind a newer one. */
async function readHeads(options: ScanOptions): Promise<readonly SegmentHead[]> {
  const { segments } = await listSegments(options.files, options.directory);
  const readings = [];
  for (const segment of segments.filter((each) => each <= (options.segmentMax ?? each))) readings.push(await readHead(options, segment));
  const heads: SegmentHead[] = [];
  for (const [index, reading] of readings.entries()) {
    const previous = heads.at(-1);
    const next = readings[index + 1];
    const lsnTo = next !== undefined && 'header' in next ? next.header.firstLsn - 1 : undefined;
    const damage: LogDamage = { segment: reading.segment, offset: 0, lsnFrom: previous === undefined ? 1 : previous.header.firstLsn, lsnTo };
    if (previous !== undefined && reading.segment !== previous.segment + 1)
      throw corrupt(reading.path, damage, `segment ${previous.segment + 1} must follow segment ${previous.segment}: found ${reading.segment}`);
    if (!('header' in reading)) throw corrupt(reading.path, damage, reading.bad);
    const own = { ...damage, lsnFrom: reading.header.firstLsn };
    if (previous !== undefined && reading.header.epoch < previous.header.epoch)
      throw corrupt(reading.path, own, `its epoch ${reading.header.epoch} is older than the epoch ${previous.header.epoch} before it`);
    heads.push(reading);
  }
  return heads;
}

/** Reads the last group once more, to keep it. */
async function readLastGroup(use: { readonly handle: FileHandle; readonly payloadBytesMax: number }, reading: SegmentFrames): Promise<LastGroup | undefined> {
  const { lastGroup, end } = reading;
  if (lastGroup === undefined) return undefined;
  const bytes = await use.handle.read(lastGroup.offset, end - lastGroup.offset);
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const frames: Frame[] = [];
  for (let offset = 0; offset < buffer.length;) {
    const found = readFrame(buffer, offset, { end: buffer.length, payloadBytesMax: use.payloadBytesMax });
    if (found.kind !== 'frame')
      throw new Error(`Cannot read the last group of the log as it was whole a moment ago: found ${found.kind === 'bad' ? found.why : 'zeros'}`);
    if (isRecord(found.frame)) frames.push(found.frame);
    offset += found.frame.frameBytes;
  }
  return { frames, offset: lastGroup.offset, lsn: lastGroup.lsn, chain: lastGroup.chain };
}

/** Scans segment after segment; one object for one scan. */
class Scanner {
  readonly #options: ScanOptions;
  readonly #visit: RecordVisitor;
  readonly #spans: SegmentSpan[] = [];
  #group = 0;
  #result: WalScan = HOLDS_NOTHING;

  constructor(options: ScanOptions, visit: RecordVisitor) {
    this.#options = options;
    this.#visit = visit;
  }

  async run(heads: readonly SegmentHead[]): Promise<WalScan> {
    for (const [index, head] of heads.entries()) {
      this.#checkChain(head);
      const next = heads[index + 1];
      await withFile(this.#options.files, head.path, (handle) => this.#scanSegment(handle, head, next));
    }
    return this.#result;
  }

  /** The segment must go on where the one before it ended, in the same history. */
  #checkChain({ path, segment, header }: SegmentHead): void {
    const previous = this.#spans.at(-1);
    if (previous === undefined) return;
    const damage: LogDamage = { segment, offset: 0, lsnFrom: previous.nextLsn, lsnTo: undefined };
    if (header.firstLsn !== previous.nextLsn)
      throw corrupt(path, damage, `it begins with record ${header.firstLsn}, the segment before it ends before record ${previous.nextLsn}`);
    if (header.firstGroup !== this.#group + 1)
      throw corrupt(path, damage, `it begins with group ${header.firstGroup}, the segment before it ends with group ${this.#group}`);
    if (header.previousChain !== previous.chain)
      throw corrupt(path, damage, 'the segment before it is not the one it was written behind: the chain of its frames is another');
  }

  async #scanSegment(handle: FileHandle, head: SegmentHead, next: SegmentHead | undefined): Promise<void> {
    const { path, segment, header, fileBytes } = head;
    const named = next?.header.previousEnd;
    const missing: LogDamage = { segment, offset: fileBytes, lsnFrom: header.firstLsn, lsnTo: next === undefined ? undefined : next.header.firstLsn - 1 };
    if (named !== undefined && (named > fileBytes || named < SEGMENT_HEADER_BYTES))
      throw corrupt(path, missing, `the next segment says that it ends at ${named}`);
    const use = { handle, header, end: named ?? fileBytes, payloadBytesMax: this.#options.payloadBytesMax };
    const reading = await readFrames(use, (frame) => {
      if (isRecord(frame)) this.#visit(frame, segment);
    });
    const tornBytes = await this.#judgeEnd(use, { head, next, reading });
    this.#group = reading.lastGroup?.group ?? header.firstGroup - 1;
    this.#spans.push({ path, header, end: reading.end, nextLsn: reading.nextLsn, chain: reading.chain });
    const lastGroup = next === undefined ? await readLastGroup(use, reading) : undefined;
    // A mark is not written afresh: its number goes to the next group, so that groups stay without a gap.
    const isMark = lastGroup !== undefined && lastGroup.frames.length === 0;
    this.#result = { spans: this.#spans, nextLsn: reading.nextLsn, nextGroup: isMark ? this.#group : this.#group + 1, lastGroup, tornBytes };
  }

  /** Where the good frames end: is it the end of the log? Returns how many bytes of a torn write stand behind. */
  async #judgeEnd(
    use: Parameters<typeof lookBehind>[0],
    at: { readonly head: SegmentHead; readonly next: SegmentHead | undefined; readonly reading: SegmentFrames },
  ): Promise<number> {
    const { next, reading } = at;
    const isNamedEnd = next !== undefined && reading.end === use.end;
    const place = {
      badLsn: reading.nextLsn,
      groupBefore: reading.lastGroup?.group ?? use.header.firstGroup - 1,
      isGroupEnded: reading.lastGroup?.isEnded ?? true,
    };
    const behind = isNamedEnd ? NOTHING_BEHIND : await lookBehind(use, reading.end, place);
    const verdict = judgeTail({ isNewest: next === undefined, isNamedEnd, isMisplaced: reading.isMisplaced, ...behind });
    if (verdict !== 'corrupt') return verdict === 'torn' ? (await dataEnd(use, reading.end)) - reading.end : 0;
    throw damageAt(at, behind, use.end);
  }
}

function damageAt(
  { head, next, reading }: { readonly head: SegmentHead; readonly next: SegmentHead | undefined; readonly reading: SegmentFrames },
  behind: Behind,
  end: number,
): CorruptionError {
  const followingLsn = behind.nextLsn ?? next?.header.firstLsn;
  return corrupt(
    head.path,
    { segment: head.segment, offset: reading.end, lsnFrom: reading.nextLsn, lsnTo: followingLsn === undefined ? undefined : followingLsn - 1 },
    `${reading.bad ?? 'zeros stand where a frame must'}, and ${behind.proof ?? `the next segment says that this one goes on to ${end}`}`,
  );
}

/**
 * Scans a log, once from front to back.
 *
 * @param visit - Called for each record in order, as it is read. If the scan throws, what it was given was whole, and stands before the damage.
 * @throws {CorruptionError} If a segment or an acknowledged record is damaged or missing, belongs to another store, or is of an unknown version.
 */
export async function scanWal(options: ScanOptions, visit: RecordVisitor = () => undefined): Promise<WalScan> {
  if (options.isSynced) await options.files.syncDirectory(options.directory);
  const heads = await readHeads(options);
  return new Scanner(options, visit).run(heads);
}
