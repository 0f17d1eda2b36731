// The disk has no room. Nothing is broken then: what was refused is not in the log, and may be appended again.
import { StorageError } from '../core/errors.ts';
import { isErrno } from '../env/errno.ts';

/** Whether an error says that there is no room: on the disk, in the quota of the user, or in the size of a file the process may write. */
export function isNoSpace(error: unknown): boolean {
  return isErrno(error, 'ENOSPC', 'EDQUOT', 'EFBIG');
}

/** The refusal that may be tried again. */
export function diskFullError(directory: string, cause: unknown): StorageError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new StorageError(
    'STREAM_DISK_FULL',
    `Cannot append to the log in "${directory}" as the disk must have room: ${reason}. Nothing of the record is in the log; it may be appended again when there is room`,
    { cause },
  );
}

/** Whether an error is that refusal. */
export function isDiskFullError(error: unknown): error is StorageError {
  return error instanceof StorageError && error.code === 'STREAM_DISK_FULL';
}
