// Checkpoints in the memory of the process: for a context that has no directory.
import { StorageError } from '../core/errors.ts';
import type { CheckpointStore } from './checkpoint-store.ts';
import { applyToMemory, readFromMemory } from './memory-values.ts';

/** Makes a store that goes with the process. */
export function createMemoryCheckpointStore(): CheckpointStore {
  const values = new Map<string, Uint8Array>();
  return {
    async open(mode) {
      if (mode === 'existing')
        throw new StorageError('STREAM_CHECKPOINT_STORE', 'Cannot open a checkpoint store in memory as it must exist: it goes with its process');
      values.clear();
    },
    read: (keys) => Promise.resolve(readFromMemory(values, keys)),
    keys: (prefix) => Promise.resolve([...values.keys()].filter((key) => key.startsWith(prefix)).sort()),
    async write(changes) {
      applyToMemory(values, changes);
    },
    close: () => Promise.resolve(),
  };
}
