// Reads what is still whole behind a damage, and says which records are not.
import { isRecord, type Frame } from '../wal/frame.ts';
import { searchFrames } from '../wal/look-behind.ts';
import { readFrames } from '../wal/read-frames.ts';
import type { DamagedHead, ScanOptions, SegmentHead } from '../wal/scan.ts';
import { SEGMENT_HEADER_BYTES } from '../wal/segment-header.ts';
import { readRecord, type RecordLine } from './describe-record.ts';
import { isWhole, type LogPlace } from './survey.ts';
import { withHandle } from './tool.ts';

/** Records from `from` up to and including `to`; `to` is undefined where it is unknown how many there were. */
export interface LsnRange {
  readonly from: number;
  readonly to: number | undefined;
}

/** What stands behind a damage. */
export interface Behind {
  /** Records that are whole, in the order of their lsn. */
  readonly records: readonly RecordLine[];
  readonly unreadable: readonly LsnRange[];
}

/**
 * The records that are missing between `from` and the last known one.
 *
 * @param lsns - The records that are there, in order.
 * @param to - The last record that there must have been; undefined where that is unknown.
 */
export function missingRanges(lsns: readonly number[], from: number, to: number | undefined): readonly LsnRange[] {
  const ranges: LsnRange[] = [];
  let next = from;
  for (const lsn of lsns) {
    if (lsn > next) ranges.push({ from: next, to: lsn - 1 });
    next = Math.max(next, lsn + 1);
  }
  if (to === undefined || to >= next) ranges.push({ from: next, to });
  return ranges;
}

interface Found {
  readonly records: Map<number, RecordLine>;
  /** The last record that the segments name. */
  lastLsn: number;
  /** Whether bytes that say nothing stand at the end. */
  isOpenEnd: boolean;
}

/** Reads one segment that is damaged, or stands behind the damage. */
async function readSegment(
  options: ScanOptions,
  at: { readonly head: SegmentHead; readonly next: SegmentHead | DamagedHead | undefined; readonly from: number },
  found: Found,
): Promise<void> {
  const { head, next, from } = at;
  const named = next !== undefined && isWhole(next) ? next.header.previousEnd : head.fileBytes;
  const end = Math.min(named, head.fileBytes);
  const visit = (frame: Frame): void => {
    if (!isRecord(frame) || found.records.has(frame.lsn)) return;
    found.records.set(frame.lsn, readRecord(frame, head.segment).line);
    found.lastLsn = Math.max(found.lastLsn, frame.lsn);
  };
  await withHandle(options.files, { path: head.path, mode: 'read' }, async (handle) => {
    const use = { handle, header: head.header, end, payloadBytesMax: options.payloadBytesMax };
    const isDamagedSegment = from > SEGMENT_HEADER_BYTES;
    const reading = isDamagedSegment ? undefined : await readFrames(use, visit);
    const rest = reading?.end ?? from;
    let searchedLsn = 0;
    const isBlank = await searchFrames(use, rest, (frame) => {
      searchedLsn = Math.max(searchedLsn, frame.lsn);
      visit(frame);
    });
    found.lastLsn = Math.max(found.lastLsn, head.header.firstLsn - 1);
    found.isOpenEnd = next === undefined ? !isBlank && searchedLsn === 0 : found.isOpenEnd;
  });
}

/**
 * Reads what is whole from the end of the whole part of a log on. A segment with a damaged header is not read: its frames cannot be told from others.
 *
 * @param heads - All segments of the log.
 * @param end - Where the whole part ends.
 */
export async function readBehind(options: ScanOptions, heads: readonly (SegmentHead | DamagedHead)[], end: LogPlace): Promise<Behind> {
  const found: Found = { records: new Map(), lastLsn: end.lsn - 1, isOpenEnd: false };
  for (const [index, head] of heads.entries()) {
    // The last whole segment as well: the damage is in it, or its rest is only zeros or void.
    if (head.segment < end.segment) continue;
    const next = heads[index + 1];
    if (!isWhole(head)) found.isOpenEnd = next === undefined;
    else await readSegment(options, { head, next, from: head.segment === end.segment ? end.offset : SEGMENT_HEADER_BYTES }, found);
  }
  const records = [...found.records.values()].filter(({ lsn }) => lsn >= end.lsn).sort((left, right) => left.lsn - right.lsn);
  const lsns = records.map(({ lsn }) => lsn);
  return { records, unreadable: missingRanges(lsns, end.lsn, found.isOpenEnd ? undefined : found.lastLsn) };
}
