// What lies in a store directory, and how one comes into being. docs/store-directory.md describes it.
import { CorruptionError, UsageError } from '../core/errors.ts';
import type { CheckpointStore } from '../checkpoint/checkpoint-store.ts';
import type { Env } from '../env/env.ts';
import { newIdentity, readIdentity, writeIdentity, type Identity } from '../journal/identity.ts';
import { listSegments } from '../wal/segment-files.ts';

/** The directory of the log. */
export function journalDirectory(directory: string): string {
  return `${directory}/journal`;
}

/** The directory of LevelDB. */
export function checkpointDirectory(directory: string): string {
  return `${directory}/checkpoint`;
}

/** Refuses the store of another application. */
export function checkApp(directory: string, identity: Identity, app: string): Identity {
  if (identity.app !== app)
    throw new UsageError(
      'STREAM_IDENTITY',
      `Cannot open the store "${directory}" as it must belong to the application "${app}": it belongs to "${identity.app}"`,
    );
  return identity;
}

/**
 * Reads the identity of a store; undefined for a directory in which none was ever made.
 *
 * @throws {CorruptionError} If it is damaged, or missing beside log segments.
 */
export async function readStoreIdentity(env: Env, directory: string, isSynced: boolean): Promise<Identity | undefined> {
  const identity = await readIdentity(env, directory, isSynced);
  if (identity !== undefined) return identity;
  const journal = journalDirectory(directory);
  const segments = (await env.files.stat(journal)) === undefined ? [] : (await listSegments(env.files, journal)).segments;
  if (segments.length > 0) {
    throw new CorruptionError(
      'STREAM_IDENTITY',
      `Cannot open the store "${directory}" as a log must have its file "identity" beside it: found ${segments.length} log segments and no identity`,
    );
  }
  return undefined;
}

/** Reads who a store belongs to; undefined for a directory in which none was ever made. Refuses one of another application. */
export async function readOwner(
  env: Env,
  place: { readonly directory: string; readonly app: string; readonly isSynced: boolean },
): Promise<Identity | undefined> {
  const { directory, app, isSynced } = place;
  if (isSynced) await env.files.syncDirectory(directory);
  const identity = await readStoreIdentity(env, directory, isSynced);
  return identity === undefined ? undefined : checkApp(directory, identity, app);
}

/**
 * Makes a store: the directories and the checkpoint store first, durable, then the identity. A crash in between leaves no identity, and the next start begins again.
 */
export async function createStore(env: Env, place: { readonly directory: string; readonly app: string }, store: CheckpointStore): Promise<Identity> {
  const { directory, app } = place;
  const { files } = env;
  await files.removeTree(checkpointDirectory(directory));
  await files.makeDirectory(checkpointDirectory(directory));
  await files.makeDirectory(journalDirectory(directory));
  await store.open('create');
  await files.syncDirectory(checkpointDirectory(directory));
  await files.syncDirectory(journalDirectory(directory));
  await files.syncDirectory(directory);
  const identity = newIdentity(env, app);
  await writeIdentity(env, directory, identity);
  return identity;
}
