// The files of the log: their names, and how one comes into being. A segment appears under its name complete and synced, or not at all.
import { isErrno } from '../env/errno.ts';
import type { FileHandle, FileSystem } from '../env/file-system.ts';
import { CorruptionError, LockedError, StorageError, toError } from '../core/errors.ts';
import { writeFully } from './write-fully.ts';

const NAME = /^(\d{16})\.wal$/;
/** What a driver is making, with its epoch; or a repair. */
const TEMPORARY = /^(?:(\d+)-\d+|\d{16}\.wal\.broken)\.tmp$/;

/** What a repair leaves beside the segments: the bytes that it took away. */
const KEPT = /^\d{16}\.wal\.broken-\d+$/;

/** The file name of a segment: 16 digits, so that a gap shows in a listing. */
export function segmentName(segment: number): string {
  return `${String(segment).padStart(16, '0')}.wal`;
}

/**
 * The numbers of all segments in a directory, in order. Other names do not belong there and are reported in `foreign`; temporary files and what a repair kept are known.
 *
 * @throws {CorruptionError} If the name of a segment stands for something that is no file, such as a link: the log writes none, and what it leads to is not the log's.
 */
export async function listSegments(
  files: FileSystem,
  directory: string,
): Promise<{ readonly segments: readonly number[]; readonly foreign: readonly string[] }> {
  const segments: number[] = [];
  const foreign: string[] = [];
  for (const { name, kind } of await files.entries(directory)) {
    const match = NAME.exec(name);
    if (match?.[1] !== undefined) {
      if (kind !== 'file')
        throw new CorruptionError(
          'STREAM_WAL_CORRUPT',
          `Cannot open the log segment "${directory}/${name}" as it must be a file: it is ${kind === 'directory' ? 'a directory' : 'a link or a device'}`,
        );
      segments.push(Number(match[1]));
    } else if (!TEMPORARY.test(name) && !KEPT.test(name)) foreign.push(name);
  }
  return { segments: segments.sort((left, right) => left - right), foreign };
}

/** Removes what drivers of earlier epochs left unfinished. A newer driver may be at work. */
export async function removeTemporaries(files: FileSystem, directory: string, epoch: number): Promise<void> {
  for (const name of await files.list(directory)) {
    const match = TEMPORARY.exec(name);
    if (match !== null && Number(match[1] ?? 0) < epoch) await files.remove(`${directory}/${name}`);
  }
}

/** A file that will be a segment: under a temporary name that no other driver uses. */
export interface SegmentDraft {
  readonly path: string;
  readonly handle: FileHandle;
  /** Bytes of zeros that it holds, synced. */
  readonly zeroBytes: number;
  /** Bytes that it has, synced: the rest of them is a hole. */
  readonly fileBytes: number;
}

/** Another driver has taken the store over: nobody may be told anything any more. */
export function fencedError(directory: string): LockedError {
  return new LockedError('STREAM_FENCED', `Cannot go on with the log in "${directory}" as its store must be this driver's: another driver has taken over`);
}

/** The name is taken already: another driver has made this segment. */
export class SegmentTakenError extends LockedError {
  constructor(path: string, cause: unknown) {
    super('STREAM_FENCED', `Cannot create the log segment "${path}" as the name must be free: another driver made it`, { cause });
  }
}

/** A segment that comes into being. */
export interface NewSegment {
  readonly path: string;
  readonly pieces: readonly Uint8Array[];
  /** Whether this driver still owns the store. A driver that woke too late must not add to the log of another. */
  readonly isOwner: () => boolean;
}

/**
 * Makes a draft the segment `path`, with its first bytes: written, synced, linked to the name, the directory synced, the temporary name removed. Returns where the first bytes end.
 * A link never replaces: when the name is taken, another driver made it.
 *
 * @throws {SegmentTakenError} If it is taken.
 * @throws {LockedError} If another driver has taken over.
 */
export async function finishSegment(files: FileSystem, draft: SegmentDraft, { path, pieces, isOwner }: NewSegment): Promise<number> {
  const directory = path.slice(0, path.lastIndexOf('/'));
  const end = writeFully(draft.handle, pieces, 0);
  await draft.handle.sync();
  if (!isOwner()) throw fencedError(directory);
  try {
    await files.link(draft.path, path);
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error;
    throw new SegmentTakenError(path, error);
  }
  try {
    await files.syncDirectory(directory);
    await files.remove(draft.path);
  } catch (error) {
    // The name is there, and may be durable or not: no longer a refusal that changed nothing, whatever the reason.
    throw new StorageError('STREAM_WAL_POISONED', `Cannot make the name of the log segment "${path}" durable: ${toError(error).message}`, { cause: error });
  }
  return end;
}
