// Takes a store directory for a command: nobody else has it, and whose it is is known. Changes nothing.
import { CorruptionError, UsageError } from '../core/errors.ts';
import { RECORD_BYTES_MAX } from '../context/options.ts';
import { lockDirectory } from '../context/directory-lock.ts';
import type { Env } from '../env/env.ts';
import type { FileSystem } from '../env/file-system.ts';
import type { Identity } from '../journal/identity.ts';
import { journalDirectory, readStoreIdentity } from '../recovery/store-layout.ts';
import type { ScanOptions } from '../wal/scan.ts';

/** A store that no driver has as long as it is used. */
export interface HeldStore {
  readonly directory: string;
  readonly identity: Identity;
  /** How its log is read. */
  readonly log: ScanOptions;
}

async function requireDirectory(files: FileSystem, directory: string): Promise<void> {
  const found = await files.stat(directory);
  const isDirectory = found?.kind === 'directory' || (found?.kind === 'other' && (await files.stat(`${directory}/.`))?.kind === 'directory');
  if (isDirectory) return;
  const what = found === undefined ? 'there is nothing' : `it is ${found.kind === 'file' ? 'a file' : 'neither file nor directory'}`;
  throw new UsageError('STREAM_DIRECTORY', `Cannot read "${directory}" as it must be a store directory: ${what}`);
}

async function readHeld(env: Env, directory: string): Promise<HeldStore | undefined> {
  const identity = await readStoreIdentity(env, directory, false);
  if (identity === undefined) return undefined;
  const journal = journalDirectory(directory);
  if ((await env.files.stat(journal)) === undefined)
    throw new CorruptionError('STREAM_WAL_CORRUPT', `Cannot read the log "${journal}" as it must be there beside the identity of the store: there is nothing`);
  const { storeId } = identity;
  return { directory, identity, log: { files: env.files, directory: journal, storeId, payloadBytesMax: RECORD_BYTES_MAX, isSynced: false } };
}

/**
 * Uses a store under its lock; `use` gets undefined for a directory in which none was ever made.
 *
 * @throws {UsageError} If there is no such directory.
 * @throws {LockedError} If a driver has it: then nothing is read.
 * @throws {CorruptionError} If its identity is damaged, missing beside a log, or of another version.
 */
export async function withStore<T>(env: Env, directory: string, use: (store: HeldStore | undefined) => Promise<T>): Promise<T> {
  await requireDirectory(env.files, directory);
  const lock = await lockDirectory(env, directory);
  try {
    return await use(await readHeld(env, directory));
  } finally {
    await lock.release();
  }
}

/** What a command says about a directory without a store. */
export function absentSentence(directory: string): string {
  return `No store was ever made in "${directory}": there is neither an identity nor a log.`;
}
