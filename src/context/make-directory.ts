// Makes a directory with all that is missing above it, each name durable before the next.
import { dirname } from 'node:path';
import { UsageError } from '../core/errors.ts';
import type { FileSystem } from '../env/file-system.ts';

/** Makes a directory if it is missing. */
export async function makeDirectoryDurably(files: FileSystem, directory: string): Promise<void> {
  const found = await files.stat(directory);
  if (found?.kind === 'directory') return;
  if (found !== undefined)
    throw new UsageError(
      'STREAM_DIRECTORY',
      `Cannot use "${directory}" as a store directory as it must be a directory: it is ${found.kind === 'file' ? 'a file' : 'neither file nor directory'}`,
    );
  const parent = dirname(directory);
  if (parent !== directory) await makeDirectoryDurably(files, parent);
  await files.makeDirectory(directory);
  await files.syncDirectory(parent);
}
