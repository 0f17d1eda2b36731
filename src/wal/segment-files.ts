// The files of the log: their names, and how one comes into being and goes. A segment appears under its name complete and synced, or not at all.
import { isErrno } from '../env/errno.ts';
import type { FileHandle, FileSystem } from '../env/file-system.ts';
import { LockedError } from '../core/errors.ts';
import { writeFully } from './write-fully.ts';

const NAME = /^(\d{16})\.wal$/;
const TEMPORARY = /\.tmp$/;

/** The file name of a segment: 16 digits, so that a gap shows in a listing. */
export function segmentName(segment: number): string {
  return `${String(segment).padStart(16, '0')}.wal`;
}

/** The numbers of all segments in a directory, in order. Names that are neither segments nor temporary files are reported in `foreign`. */
export async function listSegments(
  files: FileSystem,
  directory: string,
): Promise<{ readonly segments: readonly number[]; readonly foreign: readonly string[] }> {
  const segments: number[] = [];
  const foreign: string[] = [];
  for (const name of await files.list(directory)) {
    const match = NAME.exec(name);
    if (match?.[1] !== undefined) segments.push(Number(match[1]));
    else if (!TEMPORARY.test(name)) foreign.push(name);
  }
  return { segments: segments.sort((left, right) => left - right), foreign };
}

/** Removes what an earlier driver left unfinished. */
export async function removeTemporaries(files: FileSystem, directory: string): Promise<void> {
  for (const name of await files.list(directory)) if (TEMPORARY.test(name)) await files.remove(`${directory}/${name}`);
}

/**
 * Makes a segment with its first bytes: written to a temporary file, synced, linked to its name, the directory synced, the temporary name removed.
 * A link never replaces: when the name is taken, another driver made it, and this one must stop.
 */
export async function createSegment(
  files: FileSystem,
  path: string,
  pieces: readonly Uint8Array[],
): Promise<{ readonly handle: FileHandle; readonly size: number }> {
  const temporary = `${path}.tmp`;
  const handle = await files.open(temporary, 'create');
  const size = writeFully(handle, pieces, 0);
  await handle.sync();
  try {
    await files.link(temporary, path);
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error;
    throw new LockedError('STREAM_FENCED', `Cannot create the log segment "${path}" as the name must be free: another driver made it`, { cause: error });
  }
  const directory = path.slice(0, path.lastIndexOf('/'));
  await files.syncDirectory(directory);
  await files.remove(temporary);
  return { handle, size };
}
