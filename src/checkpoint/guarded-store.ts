// A store that can take its process with it: LevelDB ends the process on some damage (an assertion, exit code 134), which no error handler sees. A supervisor would start the driver
// again and again, and it would die again and again. So the file `opening` stands in the store directory from before the store is opened until a start has read what it needs.
//
// 1. Death while it stands, of whatever cause: the next start finds it, and lets another process open the store and read all of it first.
// 2. That process dies of the damage: the start refuses, and the file stays, so that the next start asks again. Once a person has put things right, the answer is another.
// 3. That process ends well, as after a SIGKILL in the middle of a start: the start goes on.
// 4. Death behind the removal: nothing is asked.
import { CorruptionError } from '../core/errors.ts';
import type { FileSystem } from '../env/file-system.ts';
import type { CheckpointStore } from './checkpoint-store.ts';

/** A store with the mark of its opening. */
export interface GuardedStore extends CheckpointStore {
  /** Says that a start has read what it needs: takes the mark away. Safe to call again. */
  settle(): Promise<void>;
}

/** The store directory of a store. */
export interface GuardedPlace {
  readonly files: FileSystem;
  readonly directory: string;
}

/** The mark of a store that is being opened. */
function openingMark(directory: string): string {
  return `${directory}/opening`;
}

async function makeMark(files: FileSystem, directory: string): Promise<void> {
  const handle = await files.open(openingMark(directory), 'create');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
  await files.syncDirectory(directory);
}

/**
 * Where the mark of an opening stands: has another process try the store.
 *
 * @returns Whether it stands.
 * @throws {CorruptionError} If the other process died of it.
 */
export async function refuseDeadlyStore(store: CheckpointStore, { files, directory }: GuardedPlace): Promise<boolean> {
  if (store.probe === undefined || (await files.stat(openingMark(directory))) === undefined) return false;
  const death = await store.probe();
  if (death === undefined) return true;
  throw new CorruptionError(
    'STREAM_CHECKPOINT_CORRUPT',
    `Cannot open the checkpoint store of "${directory}" as a process must survive that: an earlier start died of it, and so did a process that tried it now: ${death}. Nothing was changed; restore a copy of the directory`,
  );
}

/**
 * Guards a store by a mark in its store directory. A store without `probe` cannot take its process with it and is left as it is.
 */
export function guardStore(store: CheckpointStore, place: GuardedPlace): GuardedStore {
  const { files, directory } = place;
  let isMarked = false;
  const settle = async (): Promise<void> => {
    if (isMarked) await files.remove(openingMark(directory));
    isMarked = false;
  };
  return {
    async open(mode) {
      // What is made now holds no damage.
      if (mode === 'existing' && store.probe !== undefined) {
        if (!(await refuseDeadlyStore(store, place))) await makeMark(files, directory);
        isMarked = true;
      }
      await store.open(mode);
    },
    read: (keys) => store.read(keys),
    keys: (prefix) => store.keys(prefix),
    write: (changes) => store.write(changes),
    async close() {
      await store.close();
      await settle();
    },
    settle,
  };
}
