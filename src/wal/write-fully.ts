// Writes all the bytes. A system call may take fewer than it was given without an error, also on a full disk: then the next call tells.
import type { FileHandle } from '../env/file-system.ts';

/** A write that failed in the middle: so many bytes of it were taken. */
export class PartialWriteError extends Error {
  override readonly name = 'PartialWriteError';
  readonly bytesWritten: number;

  constructor(bytesWritten: number, cause: unknown) {
    super(`a write failed after ${bytesWritten} bytes`, { cause });
    this.bytesWritten = bytesWritten;
  }
}

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

/**
 * As {@link writeFully}, but tells how far it came.
 *
 * @throws {PartialWriteError} If the file system fails; its cause is what the file system threw.
 */
export function writeOrTell(handle: FileHandle, pieces: readonly Uint8Array[], position: number): number {
  const total = pieces.reduce((sum, piece) => sum + piece.length, 0);
  let rest = pieces;
  let done = 0;
  try {
    while (done < total) {
      const written = handle.write(rest, position + done);
      if (written <= 0) throw new Error(`Cannot write ${total - done} bytes at ${position + done} as the file system must take some: it took ${written}`);
      done += written;
      if (done < total) rest = dropWritten(rest, written);
    }
  } catch (error) {
    throw new PartialWriteError(done, error);
  }
  return position + done;
}

/** Writes the pieces from `position`, however many calls it takes, and returns the position behind them. Throws what the file system throws; nothing is synced. */
export function writeFully(handle: FileHandle, pieces: readonly Uint8Array[], position: number): number {
  try {
    return writeOrTell(handle, pieces, position);
  } catch (error) {
    throw error instanceof PartialWriteError ? error.cause : error;
  }
}
