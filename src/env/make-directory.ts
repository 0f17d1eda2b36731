// Makes a directory with all that is missing above it, each name durable before the next.
import { dirname } from 'node:path';
import { UsageError } from '../core/errors.ts';
import type { FileSystem } from './file-system.ts';

/** Makes a directory if it is missing. `purpose` says in the error what it is for. */
export async function makeDirectoryDurably(files: FileSystem, directory: string, purpose: string): Promise<void> {
  const found = await files.stat(directory);
  if (found?.kind === 'directory' || directory === '.') return;
  if (found !== undefined && (await files.stat(`${directory}/.`))?.kind !== 'directory')
    throw new UsageError(
      'STREAM_DIRECTORY',
      `Cannot use "${directory}" as ${purpose} as it must be a directory: it is ${found.kind === 'file' ? 'a file' : 'neither file nor directory'}`,
    );
  if (found !== undefined) return;
  const parent = dirname(directory);
  if (parent !== directory) await makeDirectoryDurably(files, parent, purpose);
  await files.makeDirectory(directory);
  await files.syncDirectory(parent);
}
