// Reads the whole log at a start: checks every segment and frame, finds where the valid part ends and what the last group was. Changes nothing.
import { CorruptionError } from '../core/errors.ts';
import type { StoreId } from '../core/ids.ts';
import type { FileSystem } from '../env/file-system.ts';
import { FLAG_GROUP_END, FRAME_ALIGNMENT, hasSaltAt, readFrame, type Frame } from './frame.ts';
import { decodeSegmentHeader, SEGMENT_HEADER_BYTES, WAL_FORMAT_VERSION, type SegmentHeader } from './segment-header.ts';
import { listSegments, segmentName } from './segment-files.ts';
import { judgeTail } from './tail-verdict.ts';

/** A segment and the part of it that is valid. */
export interface SegmentSpan {
  readonly path: string;
  readonly header: SegmentHeader;
  /** Where its valid bytes end. */
  readonly end: number;
  /** The lsn of the frame that would follow its last. */
  readonly nextLsn: number;
}

/** What a scan found. */
export interface WalScan {
  /** All segments in order; empty for a log that never began. */
  readonly spans: readonly SegmentSpan[];
  /** The lsn the next record gets. */
  readonly nextLsn: number;
  /** The number the next group gets. */
  readonly nextGroup: number;
  /** The frames of the last group as far as they stand in the newest segment: not proven durable, to be written afresh before they are trusted. */
  readonly lastGroup: readonly Frame[];
  /** Bytes behind the valid end of the newest segment that were cut as a torn write. */
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
}

/** The frames of one segment, as far as they are good. */
interface SegmentFrames {
  readonly end: number;
  readonly nextLsn: number;
  readonly frames: readonly Frame[];
  readonly bad: string | undefined;
}

function corrupt(path: string, offset: number, why: string): CorruptionError {
  return new CorruptionError(
    'STREAM_WAL_CORRUPT',
    `Cannot open the log as its records must be whole: "${path}" at offset ${offset}, ${why}. Nothing was changed`,
  );
}

async function readSegment(options: ScanOptions, path: string): Promise<Buffer> {
  const handle = await options.files.open(path, 'read');
  try {
    if (options.isSynced) await handle.sync();
    const bytes = await handle.read(0, await handle.size());
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  } finally {
    await handle.close();
  }
}

function headerOf(options: ScanOptions, path: string, bytes: Buffer): SegmentHeader {
  const reading = decodeSegmentHeader(bytes.subarray(0, SEGMENT_HEADER_BYTES));
  if (reading.kind === 'bad') throw corrupt(path, 0, `the segment header is damaged: ${reading.why}`);
  if (reading.kind === 'version') {
    throw new CorruptionError(
      'STREAM_WAL_VERSION',
      `Cannot open the log segment "${path}" as its format version must be ${WAL_FORMAT_VERSION} without further features: found version ${reading.version}, features ${reading.incompatible}`,
    );
  }
  if (reading.header.storeId !== options.storeId) {
    throw new CorruptionError(
      'STREAM_IDENTITY',
      `Cannot open the log segment "${path}" as it must belong to the store ${options.storeId}: it belongs to ${reading.header.storeId}`,
    );
  }
  return reading.header;
}

/** Reads frames from the header on, until the end or the first bytes that are no frame of this place. */
function readFrames(bytes: Buffer, header: SegmentHeader, limits: { readonly end: number; readonly payloadBytesMax: number }): SegmentFrames {
  const frames: Frame[] = [];
  let offset = SEGMENT_HEADER_BYTES;
  let lsn = header.firstLsn;
  let group = 0;
  for (;;) {
    const reading = readFrame(bytes, offset, limits);
    if (reading.kind === 'blank') return { end: offset, nextLsn: lsn, frames, bad: undefined };
    if (reading.kind === 'bad') return { end: offset, nextLsn: lsn, frames, bad: reading.why };
    const { frame } = reading;
    const misplaced =
      frame.salt !== header.salt ? 'salt' : frame.lsn !== lsn ? `record number ${frame.lsn}` : frame.group < group ? `group ${frame.group}` : undefined;
    if (misplaced !== undefined) return { end: offset, nextLsn: lsn, frames, bad: `it carries the ${misplaced} of another place` };
    frames.push(frame);
    offset += frame.frameBytes;
    lsn += 1;
    group = frame.group;
  }
}

function laterFrames(bytes: Buffer, from: number, expected: { readonly salt: number; readonly payloadBytesMax: number }): readonly Frame[] {
  const found: Frame[] = [];
  for (let offset = from + FRAME_ALIGNMENT; offset < bytes.length; offset += FRAME_ALIGNMENT) {
    if (!hasSaltAt(bytes, offset, expected.salt)) continue;
    const reading = readFrame(bytes, offset, { end: bytes.length, payloadBytesMax: expected.payloadBytesMax });
    if (reading.kind === 'frame') found.push(reading.frame);
  }
  return found;
}

function checkTail(
  path: string,
  newest: { readonly bytes: Buffer; readonly header: SegmentHeader },
  reading: SegmentFrames & { readonly payloadBytesMax: number; readonly groupBefore: number },
): void {
  if (reading.bad === undefined) return;
  const last = reading.frames.at(-1);
  const verdict = judgeTail({
    badLsn: reading.nextLsn,
    groupBefore: last?.group ?? reading.groupBefore,
    isGroupEnded: last === undefined || (last.flags & FLAG_GROUP_END) !== 0,
    later: laterFrames(newest.bytes, reading.end, { salt: newest.header.salt, payloadBytesMax: reading.payloadBytesMax }),
  });
  if (verdict.kind === 'corrupt') throw corrupt(path, reading.end, `record ${reading.nextLsn} is damaged (${reading.bad}), and ${verdict.why}`);
}

function checkChain(previous: SegmentSpan | undefined, path: string, header: SegmentHeader): void {
  if (previous === undefined) return;
  if (header.segment !== previous.header.segment + 1) {
    throw corrupt(path, 0, `segment ${previous.header.segment + 1} must follow segment ${previous.header.segment}: found ${header.segment}`);
  }
  if (header.epoch < previous.header.epoch) throw corrupt(path, 0, `its epoch ${header.epoch} is older than the epoch ${previous.header.epoch} before it`);
  if (header.firstLsn !== previous.nextLsn)
    throw corrupt(path, 0, `it begins with record ${header.firstLsn}, the segment before it ends before record ${previous.nextLsn}`);
}

/**
 * Scans a log.
 *
 * @throws {CorruptionError} If a segment or an acknowledged record is damaged or missing, belongs to another store, or is of an unknown version.
 */
export async function scanWal(options: ScanOptions): Promise<WalScan> {
  const { files, directory, payloadBytesMax } = options;
  if (options.isSynced) await files.syncDirectory(directory);
  const { segments } = await listSegments(files, directory);
  const spans: SegmentSpan[] = [];
  let newest: { readonly bytes: Buffer; readonly header: SegmentHeader; readonly path: string } | undefined;
  let nextGroup = 1;
  const finish = (end: number | undefined): SegmentFrames => {
    if (newest === undefined) throw corrupt(directory, 0, 'there is no segment');
    const { bytes, header, path } = newest;
    if (end !== undefined && (end > bytes.length || end < SEGMENT_HEADER_BYTES))
      throw corrupt(path, bytes.length, `the next segment says that it ends at ${end}`);
    const reading = readFrames(bytes, header, { end: end ?? bytes.length, payloadBytesMax });
    if (end === undefined) checkTail(path, newest, { ...reading, payloadBytesMax, groupBefore: nextGroup - 1 });
    else if (reading.end !== end) throw corrupt(path, reading.end, `record ${reading.nextLsn} is damaged: ${reading.bad ?? 'only zeros are left'}`);
    spans.push({ path, header, end: reading.end, nextLsn: reading.nextLsn });
    nextGroup = Math.max(nextGroup, (reading.frames.at(-1)?.group ?? 0) + 1);
    return reading;
  };
  for (const segment of segments) {
    const path = `${directory}/${segmentName(segment)}`;
    const bytes = await readSegment(options, path);
    const header = headerOf(options, path, bytes);
    if (header.segment !== segment) throw corrupt(path, 0, `its header names segment ${header.segment}`);
    if (newest !== undefined) finish(header.previousEnd);
    checkChain(spans.at(-1), path, header);
    newest = { bytes, header, path };
  }
  if (newest === undefined) return { spans, nextLsn: 1, nextGroup, lastGroup: [], tornBytes: 0 };
  const reading = finish(undefined);
  const group = reading.frames.at(-1)?.group;
  return {
    spans,
    nextLsn: reading.nextLsn,
    nextGroup,
    lastGroup: reading.frames.filter((frame) => frame.group === group),
    tornBytes: reading.bad === undefined ? 0 : newest.bytes.length - reading.end,
  };
}

/** Calls `visit` for each frame of the scanned spans whose lsn is at least `fromLsn`, in order, with the segment it stands in. */
export async function replaySpans(
  options: ScanOptions,
  spans: readonly SegmentSpan[],
  replay: { readonly fromLsn: number; readonly visit: (frame: Frame, segment: number) => void },
): Promise<void> {
  for (const span of spans) {
    if (span.nextLsn <= replay.fromLsn) continue;
    const bytes = await readSegment({ ...options, isSynced: false }, span.path);
    const reading = readFrames(bytes, span.header, { end: span.end, payloadBytesMax: options.payloadBytesMax });
    if (reading.end !== span.end) throw corrupt(span.path, reading.end, `record ${reading.nextLsn} changed since it was scanned`);
    for (const frame of reading.frames) if (frame.lsn >= replay.fromLsn) replay.visit(frame, span.header.segment);
  }
}
