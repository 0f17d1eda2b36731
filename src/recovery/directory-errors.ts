// Turns errors of the file system that come up while a store is opened into errors that say what to do.
import { StorageError, StreamError, toError, UsageError } from '../core/errors.ts';

const USER_CODES = ['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'ENOENT', 'EEXIST', 'EISDIR', 'ELOOP'];

/** Runs `work`; an errno error becomes a {@link UsageError} if the directory is unusable as it is, a {@link StorageError} if the storage failed. */
export async function withDirectoryErrors<T>(directory: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    const error = toError(thrown);
    if (error instanceof StreamError || !('code' in error) || typeof error.code !== 'string') throw error;
    const message = `Cannot use the store directory "${directory}" as it must be a directory that can be read and written: ${error.message}`;
    throw USER_CODES.includes(error.code)
      ? new UsageError('STREAM_DIRECTORY', message, { cause: error })
      : new StorageError('STREAM_DIRECTORY', message, { cause: error });
  }
}
