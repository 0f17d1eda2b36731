// The ballast: a file of zeros that is given up when the disk is full, so that what was decided can still be written, and the log be cut.
import { StorageError, toError, type StreamError } from '../core/errors.ts';
import type { FileSystem } from '../env/file-system.ts';
import { isNoSpace } from '../wal/disk-full.ts';
import { createSynced } from '../wal/create-synced.ts';
import { writeFully } from '../wal/write-fully.ts';

const PIECE_BYTES = 1024 * 1024;

/** Room that LevelDB wants to open, or to take a checkpoint: its write buffer, once as a log and once as a table. */
export const STORE_ROOM_BYTES: number = 8 * 1024 * 1024;

/** Where the ballast is, and how large. */
export interface BallastPlace {
  readonly files: FileSystem;
  /** The store directory. */
  readonly directory: string;
  /** 0 for none. */
  readonly bytes: number;
}

function pathOf({ directory }: BallastPlace): string {
  return `${directory}/ballast`;
}

/** What a driver leaves that dies while it makes the ballast. */
function temporaryOf(place: BallastPlace): string {
  return `${pathOf(place)}.tmp`;
}

/** Whether the ballast is there. */
export async function hasBallast(place: BallastPlace): Promise<boolean> {
  return (await place.files.stat(pathOf(place))) !== undefined;
}

/**
 * Gives it up; nothing happens if it is not there.
 *
 * @throws {StorageError} If the storage fails.
 */
export async function releaseBallast(place: BallastPlace): Promise<void> {
  try {
    await place.files.remove(pathOf(place));
    await place.files.remove(temporaryOf(place));
    await place.files.syncDirectory(place.directory);
  } catch (error) {
    throw asStorageError(place, error);
  }
}

/** Gives it up if the store could not be opened otherwise. Returns whether it did. */
export async function releaseBallastIfFull(place: BallastPlace): Promise<boolean> {
  const { files, directory } = place;
  const isThere = (await hasBallast(place)) || (await files.stat(temporaryOf(place))) !== undefined;
  if (!isThere || (await files.freeBytes(directory)) >= STORE_ROOM_BYTES) return false;
  await releaseBallast(place);
  return true;
}

/**
 * Makes it again if there is room for twice as much, so that it does not take the last room from others. Resolves with whether it is there, durable.
 *
 * @throws {StorageError} If the storage fails, for another reason than that it is full.
 */
export async function restoreBallast(place: BallastPlace): Promise<boolean> {
  const { files, directory, bytes } = place;
  await files.remove(temporaryOf(place));
  const room = await files.freeBytes(directory);
  if (bytes === 0) return room >= STORE_ROOM_BYTES;
  if (await hasBallast(place)) return true;
  if (room < 2 * bytes) return false;
  const temporary = temporaryOf(place);
  try {
    await createSynced(files, { path: temporary, mode: 'create' }, (handle) => {
      for (let filled = 0; filled < bytes; filled += PIECE_BYTES) writeFully(handle, [Buffer.alloc(Math.min(PIECE_BYTES, bytes - filled))], filled);
    });
    await files.rename(temporary, pathOf(place));
    await files.syncDirectory(directory);
    return true;
  } catch (error) {
    if (!isNoSpace(error)) throw asStorageError(place, error);
    await files.remove(temporary);
    return false;
  }
}

function asStorageError(place: BallastPlace, error: unknown): StreamError {
  return new StorageError(
    'STREAM_WAL_POISONED',
    `Cannot make or remove the ballast "${pathOf(place)}" as every write and sync must succeed: ${toError(error).message}`,
    {
      cause: error,
    },
  );
}
