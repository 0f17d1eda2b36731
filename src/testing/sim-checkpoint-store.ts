// A checkpoint store in memory whose calls are steps of a simulated process: the process can die before a batch is applied, or after it and before the answer.
import { LockedError, StorageError } from '../core/errors.ts';
import type { CheckpointStore } from '../checkpoint/checkpoint-store.ts';
import { applyToMemory, readFromMemory } from '../checkpoint/memory-values.ts';
import type { SimProcess } from './sim-process.ts';

/** What survives of a simulated store. */
export class SimCheckpointImage {
  readonly values: Map<string, Uint8Array> = new Map();
  isCreated = false;
  owner: SimProcess | undefined;
}

/** Makes the store that a process sees. */
export function createSimCheckpointStore(image: SimCheckpointImage, process: SimProcess): CheckpointStore {
  return {
    open: (mode) =>
      process.run(`store.open-${mode}`, () => {
        if (image.owner?.isAlive === true)
          throw new LockedError('STREAM_LOCKED', 'Cannot open the simulated checkpoint store as no other process may have it open');
        if (mode === 'existing' && !image.isCreated)
          throw new StorageError('STREAM_CHECKPOINT_STORE', 'Cannot open the simulated checkpoint store as it must exist');
        if (mode === 'create') image.values.clear();
        image.isCreated = true;
        image.owner = process;
      }),
    read: (keys) => process.run('store.read', () => readFromMemory(image.values, keys)),
    keys: (prefix) => process.run('store.keys', () => [...image.values.keys()].filter((key) => key.startsWith(prefix)).sort()),
    async write(changes) {
      await process.run('store.write', () => applyToMemory(image.values, changes));
      await process.run('store.written', () => undefined);
    },
    close: () =>
      process.run('store.close', () => {
        if (image.owner === process) image.owner = undefined;
      }),
  };
}
