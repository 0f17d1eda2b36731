// Makes a directory with all that is missing above it, each name durable before the next.
import { dirname } from 'node:path';
import { UsageError } from '../core/errors.ts';
import type { FileSystem } from './file-system.ts';

/** What a directory is made for. */
export interface DirectoryUse {
  /** Says so in the error. */
  readonly purpose: string;
  readonly access: 'private' | 'public';
}

/** Makes a directory if it is missing. */
export async function makeDirectoryDurably(files: FileSystem, directory: string, use: DirectoryUse): Promise<void> {
  const found = await files.stat(directory);
  if (found?.kind === 'directory' || directory === '.') return;
  if (found?.kind === 'file' || (found !== undefined && (await files.stat(`${directory}/.`))?.kind !== 'directory'))
    throw new UsageError(
      'STREAM_DIRECTORY',
      `Cannot use "${directory}" as ${use.purpose} as it must be a directory: it is ${found.kind === 'file' ? 'a file' : 'neither file nor directory'}`,
    );
  if (found !== undefined) return;
  const parent = dirname(directory);
  if (parent !== directory) await makeDirectoryDurably(files, parent, use);
  await files.makeDirectory(directory, use.access);
  await files.syncDirectory(parent);
}
