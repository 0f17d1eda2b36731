// Makes a directory with all that is missing above it, each name durable before the next.
import { dirname } from 'node:path';
import { UsageError } from '../core/errors.ts';
import { isErrno } from './errno.ts';
import type { FileSystem } from './file-system.ts';

/** What a directory is made for. */
export interface DirectoryUse {
  /** Says so in the error. */
  readonly purpose: string;
  readonly access: 'private' | 'public';
}

/** What a directory answers that may not be synced by this user or on this file system. Whoever made it had other means. */
const NOT_OURS: readonly string[] = ['EACCES', 'EPERM', 'EROFS', 'EINVAL'];

/** Makes the name of a directory that is there durable, and of those above it: a process may have made them and died before it came to that. */
async function syncNames(files: FileSystem, directory: string): Promise<void> {
  for (let path = directory; dirname(path) !== path; path = dirname(path)) {
    try {
      await files.syncDirectory(dirname(path));
    } catch (error) {
      if (!NOT_OURS.some((code) => isErrno(error, code))) throw error;
    }
  }
}

/** Makes a directory if it is missing; resolves when its name is durable, whoever made it. */
export async function makeDirectoryDurably(files: FileSystem, directory: string, use: DirectoryUse): Promise<void> {
  const found = await files.stat(directory);
  if (found?.kind === 'directory' || directory === '.') return syncNames(files, directory);
  if (found?.kind === 'file' || (found !== undefined && (await files.stat(`${directory}/.`))?.kind !== 'directory'))
    throw new UsageError(
      'STREAM_DIRECTORY',
      `Cannot use "${directory}" as ${use.purpose} as it must be a directory: it is ${found.kind === 'file' ? 'a file' : 'neither file nor directory'}`,
    );
  if (found !== undefined) return syncNames(files, directory);
  const parent = dirname(directory);
  if (parent !== directory) await makeDirectoryDurably(files, parent, use);
  await files.makeDirectory(directory, use.access);
  await files.syncDirectory(parent);
}
