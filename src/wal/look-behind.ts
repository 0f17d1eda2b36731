// Looks at everything behind bytes that are no frame, to the end of the file: for whole frames of the segment, which say what the bytes were.
import { FileWindow } from './file-window.ts';
import { findSalt, FRAME_ALIGNMENT, FRAME_HEADER_BYTES, isBlank, isRecord, type Frame } from './frame.ts';
import { frameAt, type SegmentUse } from './read-frames.ts';
import { factsFrom, type BadPlace } from './tail-verdict.ts';

/** What stands behind bytes that are no frame. */
export interface Behind {
  readonly isBlank: boolean;
  readonly hasLaterGroup: boolean;
  readonly hasLaterDurable: boolean;
  /** The lowest record that is whole behind them. */
  readonly nextLsn: number | undefined;
  /** For people: the frame that proves damage. */
  readonly proof: string | undefined;
}

/** Nothing. */
export const NOTHING_BEHIND: Behind = { isBlank: true, hasLaterGroup: false, hasLaterDurable: false, nextLsn: undefined, proof: undefined };

/** What is known with one more frame. */
function withFrame(behind: Behind, place: BadPlace, frame: Frame): Behind {
  const { hasLaterGroup, hasLaterDurable } = factsFrom(place, frame);
  const proof = hasLaterGroup
    ? `record ${frame.lsn} of the later group ${frame.group} follows it`
    : hasLaterDurable
      ? `record ${frame.lsn} says that all up to ${frame.durableLsn} was durable`
      : undefined;
  const isNext = isRecord(frame) && frame.lsn > place.badLsn && (behind.nextLsn === undefined || frame.lsn < behind.nextLsn);
  return {
    isBlank: false,
    hasLaterGroup: behind.hasLaterGroup || hasLaterGroup,
    hasLaterDurable: behind.hasLaterDurable || hasLaterDurable,
    nextLsn: isNext ? frame.lsn : behind.nextLsn,
    proof: behind.proof ?? proof,
  };
}

/** Where zeros end, from `offset` on; the end of the segment if there is nothing else. */
async function skipZeros(window: FileWindow, offset: number, use: SegmentUse): Promise<number> {
  let at = offset;
  while (at < use.end) {
    if (!window.has(at, FRAME_HEADER_BYTES)) await window.fill(at, FRAME_HEADER_BYTES);
    if (!isBlank(window.bytes.subarray(at - window.base))) return at;
    at = window.end;
  }
  return use.end;
}

/** Bytes that are read at a time from the end. */
const PIECE_BYTES = 64 * 1024;

/** More than a header, so that each search brings new bytes. */
const SEARCH_BYTES = FRAME_HEADER_BYTES + FRAME_ALIGNMENT;

/** The next place where a frame may begin; undefined if there is none up to the end. */
async function nextCandidate(window: FileWindow, offset: number, use: SegmentUse): Promise<number | undefined> {
  let at = offset;
  while (at < use.end) {
    if (!window.has(at, SEARCH_BYTES)) await window.fill(at, SEARCH_BYTES);
    const found = findSalt(window.bytes, use.header.salt, at - window.base);
    if (found >= 0) return window.base + found;
    if (window.end >= use.end) return undefined;
    // A salt may straddle the end of what is here.
    at = window.end - FRAME_HEADER_BYTES;
  }
  return undefined;
}

/**
 * Gives each whole frame of the segment that stands from `offset` on to `visit`, wherever it begins; its payload must be copied to be kept. Returns whether there are only zeros.
 */
export async function searchFrames(use: SegmentUse, offset: number, visit: (frame: Frame) => void): Promise<boolean> {
  const window = new FileWindow(use.handle, offset, use.end);
  const first = await skipZeros(window, offset, use);
  if (first >= use.end) return true;
  let at = await nextCandidate(window, first, use);
  while (at !== undefined) {
    const frame = await frameAt(window, at, use);
    if (frame !== undefined) visit({ ...frame, offset: at });
    at = await nextCandidate(window, at + (frame?.frameBytes ?? FRAME_ALIGNMENT), use);
  }
  return false;
}

/** Where the last byte stands that is not zero, from `offset` on, plus one. */
export async function dataEnd({ handle, end }: SegmentUse, offset: number): Promise<number> {
  for (let to = end; to > offset; to = Math.max(offset, to - PIECE_BYTES)) {
    const from = Math.max(offset, to - PIECE_BYTES);
    const bytes = await handle.read(from, to - from);
    const last = bytes.findLastIndex((byte) => byte !== 0);
    if (last >= 0) return from + last + 1;
  }
  return offset;
}

/** Looks at all that stands from `offset` to the end of the segment, whatever it takes. */
export async function lookBehind(use: SegmentUse, offset: number, place: BadPlace): Promise<Behind> {
  let behind: Behind = { ...NOTHING_BEHIND, isBlank: false };
  const isBlank = await searchFrames(use, offset, (frame) => {
    if (frame.lsn >= place.badLsn) behind = withFrame(behind, place, frame);
  });
  return isBlank ? NOTHING_BEHIND : behind;
}
