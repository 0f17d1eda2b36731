// The built-in checkpoint store: LevelDB, embedded. It never repairs by itself, since LevelDB's repair reads its log without checksums.
import { Level } from 'level';
import { present } from '../core/assert.ts';
import { CorruptionError, LockedError, StorageError, toError, type StreamError } from '../core/errors.ts';
import type { CheckpointStore } from './checkpoint-store.ts';
import { probeLevel } from './level-probe.ts';

function causeCode(error: Error): string | undefined {
  const { cause } = error;
  if (cause instanceof Error && 'code' in cause && typeof cause.code === 'string') return cause.code;
  return 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** Whether LevelDB says that its files are damaged, or that one is not there. Starting again mends neither. */
function isDamage(error: Error, detail: string): boolean {
  const code = causeCode(error);
  return code === 'LEVEL_CORRUPTION' || (code === 'LEVEL_IO_ERROR' && detail.includes('No such file or directory'));
}

function openError(path: string, thrown: unknown): StreamError {
  const error = toError(thrown);
  const detail = error.cause instanceof Error ? error.cause.message : error.message;
  const code = causeCode(error);
  if (code === 'LEVEL_LOCKED')
    return new LockedError('STREAM_LOCKED', `Cannot open the checkpoint store "${path}" as no other process may have it open: ${detail}`, { cause: error });
  if (code === 'LEVEL_IO_ERROR' && !isDamage(error, detail))
    return new StorageError('STREAM_CHECKPOINT_STORE', `Cannot open the checkpoint store "${path}" as it must be readable and writable: ${detail}`, {
      cause: error,
    });
  return new CorruptionError('STREAM_CHECKPOINT_STORE', `Cannot open the checkpoint store "${path}" as it must be whole: ${detail}`, { cause: error });
}

function storeError(action: string, path: string, thrown: unknown): StreamError {
  const error = toError(thrown);
  if (isDamage(error, error.message))
    return new CorruptionError('STREAM_CHECKPOINT_STORE', `Cannot ${action} the checkpoint store "${path}" as it must be whole: ${error.message}`, {
      cause: error,
    });
  return new StorageError('STREAM_CHECKPOINT_STORE', `Cannot ${action} the checkpoint store "${path}": ${error.message}`, { cause: error });
}

/**
 * Makes the LevelDB checkpoint store of a directory; nothing is opened yet.
 *
 * @param path - The directory that LevelDB has for itself.
 */
export function createLevelCheckpointStore(path: string): CheckpointStore {
  // Made when it is opened: a Level object opens itself in the background otherwise, and its failure would have nobody to hear it.
  let db: Level<string, Uint8Array> | undefined;
  const opened = (): Level<string, Uint8Array> => present(db, 'the checkpoint store is open');
  const attempt = async <T>(action: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw storeError(action, path, error);
    }
  };
  return {
    async open(mode) {
      db ??= new Level<string, Uint8Array>(path, { keyEncoding: 'utf8', valueEncoding: 'view', createIfMissing: false });
      try {
        await db.open({ createIfMissing: mode === 'create' });
      } catch (error) {
        throw openError(path, error);
      }
    },
    read: (keys) => attempt('read', () => opened().getMany([...keys])),
    keys: (prefix) =>
      attempt('list', () =>
        opened()
          .keys({ gte: prefix, lt: `${prefix}\uffff` })
          .all(),
      ),
    write: (changes) =>
      attempt('write', () => {
        // A chained batch takes a third of the time of an array of operations.
        const batch = opened().batch();
        for (const change of changes) {
          if (change.kind === 'put') batch.put(change.key, change.value);
          else batch.del(change.key);
        }
        return batch.write({ sync: true });
      }),
    close: () => attempt('close', async () => db?.close()),
    probe: () => probeLevel(path),
  };
}
