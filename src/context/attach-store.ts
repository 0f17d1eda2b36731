// Takes a store directory for a context: locks it, reads it, compares it with the graph. Nothing in it changes, but LevelDB's own files, the mark of its opening and, on a full disk, the ballast.
import { toError, UsageError } from '../core/errors.ts';
import type { CheckpointStore } from '../checkpoint/checkpoint-store.ts';
import { guardStore, type GuardedStore } from '../checkpoint/guarded-store.ts';
import { createMemoryCheckpointStore } from '../checkpoint/memory-checkpoint-store.ts';
import { readSavepoint, readSavepointDigest } from '../checkpoint/savepoint-file.ts';
import type { Env } from '../env/env.ts';
import type { FileLock } from '../env/file-system.ts';
import { makeDirectoryDurably } from '../env/make-directory.ts';
import { createMemoryFileSystem } from '../env/memory-file-system.ts';
import { withDirectoryErrors } from '../recovery/directory-errors.ts';
import type { Program } from '../recovery/bound-batches.ts';
import { assess, EMPTY_STORE, requireConsent, type Acceptance } from '../recovery/judge-consent.ts';
import { readStore, type StoreReading } from '../recovery/read-store.ts';
import { importSavepoint } from '../recovery/savepoints.ts';
import { checkpointDirectory } from '../recovery/store-layout.ts';
import { lockDirectory } from './directory-lock.ts';
import { RECORD_BYTES_MAX, type ResolvedContextOptions } from './options.ts';

/** The store directory a context belongs to, locked and read. */
export interface Attachment {
  readonly env: Env;
  /** The same, with the files of the store: those of `env`, or files in memory. */
  readonly storeEnv: Env;
  readonly isDurable: boolean;
  readonly directory: string;
  readonly lock: FileLock;
  readonly store: GuardedStore;
  readonly isStoreOpen: boolean;
  /** What may be given up. */
  readonly accept: Acceptance;
  /** Why the context must not start. */
  readonly refusal: Error | undefined;
}

/** What is attached to what. */
export interface AttachOptions {
  readonly env: Env;
  readonly directory: string;
  /** Makes the checkpoint store; without it the store is in memory. */
  readonly createStore: ((directory: string) => CheckpointStore) | undefined;
  readonly settings: ResolvedContextOptions;
  readonly program: Program;
  /** What may be given up. */
  readonly accept: Acceptance;
  /** The savepoint that the store begins with. */
  readonly fromSavepoint: string | undefined;
}

/** Locks and reads a directory. */
export async function attachStore(options: AttachOptions): Promise<Attachment> {
  const { env, directory, createStore, settings } = options;
  const isDurable = createStore !== undefined;
  const storeEnv = isDurable ? env : { ...env, files: createMemoryFileSystem() };
  return withDirectoryErrors(directory, async () => {
    await makeDirectoryDurably(storeEnv.files, directory, { purpose: 'a store directory', access: 'private' });
    const lock = await lockDirectory(storeEnv, directory);
    const made = createStore?.(checkpointDirectory(directory)) ?? createMemoryCheckpointStore();
    const store = guardStore(made, { files: storeEnv.files, directory });
    try {
      const { applicationId: app, ballastBytes } = settings;
      const place = { directory, app, recordBytesMax: RECORD_BYTES_MAX, ballastBytes };
      let reading = await readStore(storeEnv, place, store);
      if (options.fromSavepoint !== undefined && (await beginStore(reading, options, store))) reading = await readStore(storeEnv, place, store);
      const isStoreOpen = reading.kind === 'store';
      const refusal = refusalOf(reading, options);
      return { env, storeEnv, isDurable, directory, lock, store, isStoreOpen, accept: options.accept, refusal };
    } catch (error) {
      await store.close();
      await lock.release();
      throw error;
    }
  });
}

/**
 * Begins a store with a savepoint, where there is none; returns whether it did. A store that began with this savepoint goes on: a process manager starts the driver with the same options again.
 */
async function beginStore(
  reading: StoreReading,
  { env, directory, settings, fromSavepoint: path = '' }: AttachOptions,
  store: CheckpointStore,
): Promise<boolean> {
  if (reading.kind === 'store') {
    const isThere = (await env.files.stat(path)) !== undefined;
    // A process manager starts with this option again and again: what is not used is not read.
    const digest = isThere ? await readSavepointDigest(env.files, path) : reading.origin;
    if (reading.origin !== undefined && digest === reading.origin) return false;
    const found = reading.origin === undefined ? 'began without one' : `began with the savepoint ${reading.origin}`;
    throw new UsageError(
      'STREAM_SAVEPOINT',
      `Cannot begin "${directory}" with the savepoint "${path}" as no other store must be there: the one there ${found}`,
    );
  }
  const savepoint = await readSavepoint(env.files, path);
  if (savepoint.header.app !== settings.applicationId)
    throw new UsageError(
      'STREAM_SAVEPOINT',
      `Cannot begin "${directory}" with the savepoint "${path}" as it must be of the application "${settings.applicationId}": it is of "${savepoint.header.app}"`,
    );
  await importSavepoint(env, { directory, savepoint }, store);
  await store.close();
  return true;
}

/** Why the program may not go on with what was read; undefined if it may, or the start must find out. */
function refusalOf(reading: StoreReading, { directory, program, accept }: AttachOptions): Error | undefined {
  const content = reading.kind === 'absent' ? EMPTY_STORE : reading.content;
  if (content === undefined) return undefined;
  try {
    requireConsent(assess(content, program), accept, { directory, program });
    return undefined;
  } catch (error) {
    return toError(error);
  }
}
