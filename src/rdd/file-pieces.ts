// A file as an input that must not change: looked at once, with its identity and a hash per piece, and read piece by piece against them.
import { createHash } from 'node:crypto';
import { CorruptionError } from '../core/errors.ts';
import { isErrno } from '../env/errno.ts';
import type { FileHandle, FileInfo, FileSystem } from '../env/file-system.ts';
import type { InputFile } from '../journal/events.ts';

const HASH_HEX_DIGITS = 32;

/** How many bytes a piece has: what one partition of a large file reads at a time. */
export const PIECE_BYTES: number = 16 * 1024 * 1024;

/** A piece of a planned file. */
export interface FilePiece {
  readonly file: InputFile;
  /** From 0. */
  readonly piece: number;
}

/** A file that was planned is not there any more, or is another. */
function changedError(path: string, expected: InputFile, found: string): CorruptionError {
  return new CorruptionError(
    'STREAM_SOURCE_FILE_CHANGED',
    `Cannot read "${path}" as a file must stay as it was when its batch was planned, ${expected.size} bytes with inode ${expected.inode}: ${found}. Put the file back as it was`,
  );
}

function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, HASH_HEX_DIGITS);
}

async function withFile<R>(files: FileSystem, path: string, work: (handle: FileHandle) => Promise<R>): Promise<R> {
  const handle = await files.open(path, 'read');
  try {
    return await work(handle);
  } finally {
    await handle.close();
  }
}

/**
 * Looks at a file: identity and hashes.
 *
 * @returns Undefined if the file went or changed while it was looked at.
 */
export async function planFile(files: FileSystem, path: string, name: string): Promise<InputFile | undefined> {
  const before = await files.stat(path);
  if (before?.kind !== 'file') return undefined;
  const hashes: string[] = [];
  try {
    await withFile(files, path, async (handle) => {
      for (let from = 0; from < before.size; from += PIECE_BYTES) hashes.push(hashOf(await handle.read(from, Math.min(PIECE_BYTES, before.size - from))));
    });
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
  const after = await files.stat(path);
  return isSameFile(before, after) ? { name, size: before.size, inode: before.inode, pieceBytes: PIECE_BYTES, hashes } : undefined;
}

/** Whether two looks at a path saw the same file, unchanged in between. */
export function isSameFile(before: FileInfo, after: FileInfo | undefined): boolean {
  return after !== undefined && before.inode === after.inode && before.size === after.size && before.modifiedMs === after.modifiedMs;
}

/**
 * Reads a piece of a planned file.
 *
 * @throws {CorruptionError} If the file is gone or is not what was planned.
 */
export async function readPiece(files: FileSystem, path: string, place: FilePiece): Promise<Uint8Array> {
  const { file, piece } = place;
  const info = await files.stat(path);
  if (info === undefined) throw changedError(path, file, 'it is gone');
  if (info.size !== file.size || info.inode !== file.inode) throw changedError(path, file, `it has ${info.size} bytes and inode ${info.inode}`);
  const from = piece * file.pieceBytes;
  const bytes = await withFile(files, path, (handle) => handle.read(from, Math.min(file.pieceBytes, file.size - from)));
  if (hashOf(bytes) !== file.hashes[piece]) throw changedError(path, file, `its bytes from ${from} to ${from + bytes.length} are others`);
  return bytes;
}

/** Reads all of a planned file. */
export async function readWhole(files: FileSystem, path: string, file: InputFile): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for (let piece = 0; piece < file.hashes.length; piece++) pieces.push(await readPiece(files, path, { file, piece }));
  return pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces);
}
