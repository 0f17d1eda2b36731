// What the commands have in common: where they read, write and print.
import type { CheckpointStore } from '../checkpoint/checkpoint-store.ts';
import type { Env } from '../env/env.ts';
import type { FileSystem } from '../env/file-system.ts';

/** The outside of a command. */
export interface Tool {
  readonly env: Env;
  /** The checkpoint store of a directory; nothing is opened yet. */
  readonly createStore: (directory: string) => CheckpointStore;
  /** Loads a module by its path; relative to where the command runs. */
  readonly load: (path: string) => Promise<{ readonly default?: unknown }>;
  /** Prints a line of the answer. */
  readonly out: (line: string) => void;
  /** Prints a line that is not the answer. */
  readonly err: (line: string) => void;
}

/** Uses an open file, and closes it whatever happens. */
export async function withHandle<T>(
  files: FileSystem,
  file: { readonly path: string; readonly mode: 'read' | 'update' },
  use: (handle: Awaited<ReturnType<FileSystem['open']>>) => Promise<T>,
): Promise<T> {
  const handle = await files.open(file.path, file.mode);
  try {
    return await use(handle);
  } finally {
    await handle.close();
  }
}
