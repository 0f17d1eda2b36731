// One record on disk: a header of 40 bytes, the payload, zeros up to a multiple of 8. All numbers are little-endian; docs/format-wal.md has the byte table.
import { crc32 } from '../core/checksum.ts';

/** Bytes of the header of a frame. Part of the format. */
export const FRAME_HEADER_BYTES = 40;

/** Frames begin at multiples of this. Part of the format. */
export const FRAME_ALIGNMENT = 8;

/** Set in `flags` of the last frame of a group. Part of the format. */
export const FLAG_GROUP_END = 1;

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

/** The answer of {@link readFrame}: a frame, only zeros or nothing up to the end, or bytes that are no frame. */
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
  const padding = PADDING.subarray(0, frameBytesOf(payloadBytes) - FRAME_HEADER_BYTES - payloadBytes);
  head.writeUInt32LE(crc32(head.subarray(OFFSET_LENGTH), ...payload, padding), 0);
  return [head, ...payload, padding];
}

function isBlank(bytes: Buffer): boolean {
  for (let index = 0; index < bytes.length; index++) if (bytes[index] !== 0) return false;
  return true;
}

/**
 * Reads the frame that begins at `offset`. The length is checked against the limit and the bytes that are there before it is used for anything.
 *
 * @param limits - `end`: where the segment's valid bytes end; `payloadBytesMax`: the largest payload that is ever written.
 */
export function readFrame(segment: Buffer, offset: number, limits: { readonly end: number; readonly payloadBytesMax: number }): FrameReading {
  const left = limits.end - offset;
  if (left <= 0) return { kind: 'blank' };
  if (left < FRAME_HEADER_BYTES) return isBlank(segment.subarray(offset, limits.end)) ? { kind: 'blank' } : { kind: 'bad', why: `${left} bytes are no header` };
  const payloadBytes = segment.readUInt32LE(offset + OFFSET_LENGTH);
  const frameBytes = frameBytesOf(payloadBytes);
  if (payloadBytes > limits.payloadBytesMax || frameBytes > left) {
    return { kind: 'bad', why: `its length ${payloadBytes} is over the limit ${Math.min(limits.payloadBytesMax, left - FRAME_HEADER_BYTES)}` };
  }
  const crc = segment.readUInt32LE(offset);
  const isAllZero = crc === 0 && payloadBytes === 0;
  if (isAllZero && isBlank(segment.subarray(offset, limits.end))) return { kind: 'blank' };
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

/** Whether a frame of the segment with this salt could begin at `offset`: a cheap test before {@link readFrame} when searching. */
export function hasSaltAt(segment: Buffer, offset: number, salt: number): boolean {
  return offset + FRAME_HEADER_BYTES <= segment.length && segment.readUInt32LE(offset + OFFSET_SALT) === salt;
}
