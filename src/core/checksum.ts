// The two checksums of every format here: CRC-32 (IEEE 802.3, as in zlib) against damage of single frames, SHA-256 where two things must be known to be the same.
import { createHash } from 'node:crypto';
import { crc32 as zlibCrc32 } from 'node:zlib';

/** CRC-32 with the IEEE polynomial over several pieces, as if they stood in one. */
export function crc32(...pieces: readonly Uint8Array[]): number {
  let crc = 0;
  // zlib answers 0 for no bytes, whatever it was given to go on from.
  for (const piece of pieces) if (piece.length > 0) crc = zlibCrc32(piece, crc);
  return crc;
}

/** Goes on with a CRC-32: the result is that of all bytes so far and these. */
export function crc32From(crc: number, bytes: Uint8Array): number {
  return bytes.length === 0 ? crc : zlibCrc32(bytes, crc);
}

/** SHA-256 as 64 lower-case hex digits. */
export function sha256Hex(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}
