// One record on disk: a header of 40 bytes, the payload, zeros up to a multiple of 8. All numbers are little-endian; docs/format-wal.md has the byte table.
import { crc32, crc32From } from '../core/checksum.ts';

/** Bytes of the header of a frame. Part of the format. */
export const FRAME_HEADER_BYTES = 40;

/** Frames begin at multiples of this. Part of the format. */
export const FRAME_ALIGNMENT = 8;

/** Set in `flags` of the last frame of a group. Part of the format. */
export const FLAG_GROUP_END = 1;

/** Types from here on belong to the log itself: such a frame holds no record, its lsn is that of the next record, and a reader that does not know its type passes over it. */
export const LOG_TYPE_MIN = 0x80;

/** A frame that says only what is durable: written when nothing else was for a while, so that damage to the last group can be told from a torn write. Part of the format. */
export const TYPE_MARK = 0x80;

/** Bytes of the checksum at the beginning of a frame. */
const CHECKSUM_BYTES = 4;

const OFFSET_LENGTH = 4;
const OFFSET_TYPE = 8;
const OFFSET_FLAGS = 9;
const OFFSET_RESERVED = 10;
const OFFSET_SALT = 12;
const OFFSET_LSN = 16;
const OFFSET_GROUP = 24;
const OFFSET_DURABLE_LSN = 32;

/** What the header of a frame says besides its length and checksum. */
export interface FrameHeader {
  /** The kind of record, for the layer above. */
  readonly type: number;
  readonly flags: number;
  /** The number of the segment's own salt: frames of another segment are never taken for frames of this one. */
  readonly salt: number;
  /** The number of the record, from 1, without gaps. */
  readonly lsn: number;
  /** The number of the group that was written and synced together. */
  readonly group: number;
  /** The last lsn that was known to be durable when the frame was written. */
  readonly durableLsn: number;
}

/** A frame as it was read. */
export interface Frame extends FrameHeader {
  /** Where the frame begins in its segment. */
  readonly offset: number;
  /** Bytes from its beginning to the beginning of the next. */
  readonly frameBytes: number;
  readonly payload: Uint8Array;
}

/** The answer of {@link readFrame}: a frame, zeros or nothing in the place of its header, or bytes that are no frame. */
export type FrameReading = { readonly kind: 'frame'; readonly frame: Frame } | { readonly kind: 'blank' } | { readonly kind: 'bad'; readonly why: string };

/** Bytes that a frame with this payload takes. */
export function frameBytesOf(payloadBytes: number): number {
  return Math.ceil((FRAME_HEADER_BYTES + payloadBytes) / FRAME_ALIGNMENT) * FRAME_ALIGNMENT;
}

function writeU64(target: Buffer, value: number, offset: number): void {
  target.writeUInt32LE(value % 0x1_0000_0000, offset);
  target.writeUInt32LE(Math.floor(value / 0x1_0000_0000), offset + 4);
}

function readU64(source: Buffer, offset: number): number {
  return source.readUInt32LE(offset) + source.readUInt32LE(offset + 4) * 0x1_0000_0000;
}

const PADDING = Buffer.alloc(FRAME_ALIGNMENT);

/** The pieces of a frame in the order in which they are written: header, payload, padding. */
export function encodeFrame(header: FrameHeader, payload: readonly Uint8Array[]): readonly Uint8Array[] {
  let payloadBytes = 0;
  for (const piece of payload) payloadBytes += piece.length;
  const head = Buffer.alloc(FRAME_HEADER_BYTES);
  head.writeUInt32LE(payloadBytes, OFFSET_LENGTH);
  head.writeUInt8(header.type, OFFSET_TYPE);
  head.writeUInt8(header.flags, OFFSET_FLAGS);
  head.writeUInt32LE(header.salt, OFFSET_SALT);
  writeU64(head, header.lsn, OFFSET_LSN);
  writeU64(head, header.group, OFFSET_GROUP);
  writeU64(head, header.durableLsn, OFFSET_DURABLE_LSN);
  const paddingBytes = frameBytesOf(payloadBytes) - FRAME_HEADER_BYTES - payloadBytes;
  // An empty piece would cost a system call of its own.
  const pieces = paddingBytes === 0 ? payload : [...payload, PADDING.subarray(0, paddingBytes)];
  head.writeUInt32LE(crc32(head.subarray(OFFSET_LENGTH), ...pieces), 0);
  return [head, ...pieces];
}

const ZEROS = Buffer.alloc(64 * 1024);

/** Whether there are only zeros. */
export function isBlank(bytes: Buffer): boolean {
  for (let offset = 0; offset < bytes.length; offset += ZEROS.length) {
    const part = bytes.subarray(offset, offset + ZEROS.length);
    if (!part.equals(ZEROS.subarray(0, part.length))) return false;
  }
  return true;
}

/** Whether a frame holds a record, and is not one of the log itself. */
export function isRecord(header: Pick<FrameHeader, 'type'>): boolean {
  return header.type < LOG_TYPE_MIN;
}

/** The chain over the frames of a segment: CRC-32 over their checksums, from 0. The next segment's header names it, so that a segment of another history does not pass. */
export function chainWith(chain: number, frame: Uint8Array): number {
  return crc32From(chain, frame.subarray(0, CHECKSUM_BYTES));
}

/**
 * Reads the frame that begins at `offset`. The length is checked against the limit and the bytes that are there before it is used for anything.
 *
 * @param segment - Bytes of a segment, up to the end of the frame if it is one.
 * @param limits - `end`: where in them the segment's valid bytes end, or would if they were all there; `payloadBytesMax`: the largest payload that is ever written.
 */
export function readFrame(segment: Buffer, offset: number, limits: { readonly end: number; readonly payloadBytesMax: number }): FrameReading {
  const left = limits.end - offset;
  if (isBlank(segment.subarray(offset, offset + Math.min(left, FRAME_HEADER_BYTES)))) return { kind: 'blank' };
  if (left < FRAME_HEADER_BYTES) return { kind: 'bad', why: `${left} bytes are no header` };
  const payloadBytes = segment.readUInt32LE(offset + OFFSET_LENGTH);
  const frameBytes = frameBytesOf(payloadBytes);
  if (payloadBytes > limits.payloadBytesMax || frameBytes > left) {
    return { kind: 'bad', why: `its length ${payloadBytes} is over the limit ${Math.min(limits.payloadBytesMax, left - FRAME_HEADER_BYTES)}` };
  }
  const crc = segment.readUInt32LE(offset);
  const found = crc32(segment.subarray(offset + OFFSET_LENGTH, offset + frameBytes));
  if (found !== crc) return { kind: 'bad', why: `its checksum is ${found}, not ${crc}` };
  if (segment.readUInt16LE(offset + OFFSET_RESERVED) !== 0) return { kind: 'bad', why: 'its reserved bytes are not 0' };
  return {
    kind: 'frame',
    frame: {
      type: segment.readUInt8(offset + OFFSET_TYPE),
      flags: segment.readUInt8(offset + OFFSET_FLAGS),
      salt: segment.readUInt32LE(offset + OFFSET_SALT),
      lsn: readU64(segment, offset + OFFSET_LSN),
      group: readU64(segment, offset + OFFSET_GROUP),
      durableLsn: readU64(segment, offset + OFFSET_DURABLE_LSN),
      offset,
      frameBytes,
      payload: segment.subarray(offset + FRAME_HEADER_BYTES, offset + FRAME_HEADER_BYTES + payloadBytes),
    },
  };
}

/** Bytes that the frame at `offset` says it has, its header whole; undefined if its payload would be over the limit. */
export function frameBytesAt(segment: Buffer, offset: number, payloadBytesMax: number): number | undefined {
  const payloadBytes = segment.readUInt32LE(offset + OFFSET_LENGTH);
  return payloadBytes > payloadBytesMax ? undefined : frameBytesOf(payloadBytes);
}

/** The first place from `from` on where a frame with this salt may begin: a search for four bytes before {@link readFrame} looks closer. -1 if there is none. */
export function findSalt(segment: Buffer, salt: number, from: number): number {
  const pattern = Buffer.alloc(CHECKSUM_BYTES);
  pattern.writeUInt32LE(salt, 0);
  for (let found = segment.indexOf(pattern, from + OFFSET_SALT); found >= 0; found = segment.indexOf(pattern, found + 1)) {
    const offset = found - OFFSET_SALT;
    if (offset % FRAME_ALIGNMENT === 0) return offset;
  }
  return -1;
}
