// A new file that is durable before anybody learns its final name.
import type { FileHandle, FileSystem } from '../env/file-system.ts';

/** Writes a new file, in place of one of that name that was left behind, and syncs it. The caller gives it its final name and syncs the directory. */
export async function createSynced(
  files: FileSystem,
  file: { readonly path: string; readonly mode: 'create' | 'create-public' },
  write: (handle: FileHandle) => void,
): Promise<void> {
  await files.remove(file.path);
  const handle = await files.open(file.path, file.mode);
  try {
    write(handle);
    await handle.sync();
  } finally {
    await handle.close();
  }
}
