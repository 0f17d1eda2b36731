// Writes all the bytes. A system call may take fewer than it was given without an error, also on a full disk: then the next call tells.
import type { FileHandle } from '../env/file-system.ts';

function dropWritten(pieces: readonly Uint8Array[], written: number): readonly Uint8Array[] {
  let rest = written;
  for (let index = 0; index < pieces.length; index++) {
    const piece = pieces[index];
    if (piece === undefined) continue;
    if (rest < piece.length) return [piece.subarray(rest), ...pieces.slice(index + 1)];
    rest -= piece.length;
  }
  return [];
}

/** Writes the pieces from `position`, however many calls it takes, and returns the position behind them. Throws what the file system throws; nothing is synced. */
export function writeFully(handle: FileHandle, pieces: readonly Uint8Array[], position: number): number {
  let left = pieces.reduce((sum, piece) => sum + piece.length, 0);
  let rest = pieces;
  let at = position;
  while (left > 0) {
    const written = handle.write(rest, at);
    if (written <= 0) throw new Error(`Cannot write ${left} bytes at ${at} as the file system must take some: it took ${written}`);
    at += written;
    left -= written;
    if (left > 0) rest = dropWritten(rest, written);
  }
  return at;
}
