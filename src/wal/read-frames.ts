// Reads the frames of one segment in order, up to its end or the first bytes that are no frame of this place.
import type { FileHandle } from '../env/file-system.ts';
import { FileWindow } from './file-window.ts';
import { chainWith, FLAG_GROUP_END, FRAME_HEADER_BYTES, frameBytesAt, isRecord, readFrame, type Frame, type FrameReading } from './frame.ts';
import { SEGMENT_HEADER_BYTES, type SegmentHeader } from './segment-header.ts';

/** A segment as it is read. */
export interface SegmentUse {
  readonly handle: FileHandle;
  readonly header: SegmentHeader;
  /** Where its valid bytes end at most: where the next segment says, or the end of the file. */
  readonly end: number;
  readonly payloadBytesMax: number;
}

/** A group of a segment: where it begins, and what stood before. */
export interface GroupPlace {
  readonly group: number;
  readonly offset: number;
  readonly lsn: number;
  /** The chain over the frames before it. */
  readonly chain: number;
}

/** The frames of one segment, as far as they are good. */
export interface SegmentFrames {
  /** Where the good frames end. */
  readonly end: number;
  /** The lsn of the record that would follow. */
  readonly nextLsn: number;
  /** The chain over the good frames. */
  readonly chain: number;
  /** The last group, if there is a frame. */
  readonly lastGroup: (GroupPlace & { readonly isEnded: boolean }) | undefined;
  /** Why the bytes behind are no frame; undefined where there are only zeros or nothing in the place of a header. */
  readonly bad: string | undefined;
  /** Whether the bytes behind are a whole frame that belongs elsewhere. */
  readonly isMisplaced: boolean;
}

/** What the next frame must carry. */
interface Expected {
  readonly lsn: number;
  readonly group: number;
}

/** Why a whole frame does not belong where it stands. */
function misplacement(frame: Frame, header: SegmentHeader, expected: Expected): string | undefined {
  if (frame.salt !== header.salt) return 'a whole frame stands there with the salt of another place';
  if (frame.lsn !== expected.lsn) return `a whole frame stands there with the record number ${frame.lsn} of another place`;
  return frame.group === expected.group ? undefined : `a whole frame stands there with the group ${frame.group} in the place of group ${expected.group}`;
}

/** Brings the frame at `offset` into the window, as far as the segment has it, and reads it. */
async function readAt(window: FileWindow, offset: number, { end, payloadBytesMax }: SegmentUse): Promise<FrameReading> {
  if (!window.has(offset, FRAME_HEADER_BYTES)) await window.fill(offset, FRAME_HEADER_BYTES);
  const left = end - offset;
  const frameBytes = left < FRAME_HEADER_BYTES ? undefined : frameBytesAt(window.bytes, offset - window.base, payloadBytesMax);
  if (frameBytes !== undefined && frameBytes <= left && !window.has(offset, frameBytes)) await window.fill(offset, frameBytes);
  return readFrame(window.bytes, offset - window.base, { end: end - window.base, payloadBytesMax });
}

/** Reads frames from the header on. `visit` may keep nothing of a frame's payload: its bytes are used again. */
export async function readFrames(use: SegmentUse, visit: (frame: Frame) => void): Promise<SegmentFrames> {
  const { header, end } = use;
  const window = new FileWindow(use.handle, SEGMENT_HEADER_BYTES, end);
  let offset = SEGMENT_HEADER_BYTES;
  let lsn = header.firstLsn;
  let chain = 0;
  let last: (GroupPlace & { isEnded: boolean }) | undefined;
  for (;;) {
    const reading = await readAt(window, offset, use);
    const group = last === undefined ? header.firstGroup : last.isEnded ? last.group + 1 : last.group;
    const misplaced = reading.kind === 'frame' ? misplacement(reading.frame, header, { lsn, group }) : undefined;
    if (reading.kind !== 'frame' || misplaced !== undefined) {
      const bad = misplaced ?? (reading.kind === 'bad' ? reading.why : undefined);
      return { end: offset, nextLsn: lsn, chain, lastGroup: last, bad, isMisplaced: misplaced !== undefined };
    }
    const { frame } = reading;
    if (frame.group !== last?.group) last = { group: frame.group, offset, lsn, chain, isEnded: false };
    last.isEnded = (frame.flags & FLAG_GROUP_END) !== 0;
    chain = chainWith(chain, window.bytes.subarray(offset - window.base));
    visit({ ...frame, offset });
    offset += frame.frameBytes;
    if (isRecord(frame)) lsn += 1;
  }
}

/** The whole frame of this segment at `offset`, if there is one. */
export async function frameAt(window: FileWindow, offset: number, use: SegmentUse): Promise<Frame | undefined> {
  const reading = await readAt(window, offset, use);
  return reading.kind === 'frame' && reading.frame.salt === use.header.salt ? reading.frame : undefined;
}
