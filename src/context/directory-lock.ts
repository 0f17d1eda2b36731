// One driver per directory: a lock that the system frees when its process dies. The file `lock` says who has it, for messages only.
import { LockedError } from '../core/errors.ts';
import type { Env } from '../env/env.ts';
import type { FileLock } from '../env/file-system.ts';
import { writeFully } from '../wal/write-fully.ts';

const NOTE_BYTES_MAX = 1024;

async function readNote(env: Env, path: string): Promise<string> {
  if ((await env.files.stat(path)) === undefined) return 'a process that left no note';
  const handle = await env.files.open(path, 'read');
  try {
    return Buffer.from(await handle.read(0, NOTE_BYTES_MAX))
      .toString('utf8')
      .trim();
  } finally {
    await handle.close();
  }
}

/**
 * Takes the lock of a directory.
 *
 * @throws {LockedError} If another driver has it, in this process or another.
 */
export async function lockDirectory(env: Env, directory: string): Promise<FileLock> {
  const lock = await env.files.lock(directory);
  if (lock !== undefined) return lock;
  throw new LockedError(
    'STREAM_LOCKED',
    `Cannot open the store "${directory}" as no other driver may have it: ${await readNote(env, `${directory}/lock`)} has it`,
  );
}

/** Leaves a note for the message of the next driver that finds the lock taken. */
export async function noteOwner(env: Env, directory: string): Promise<void> {
  const path = `${directory}/lock`;
  await env.files.remove(path);
  const handle = await env.files.open(path, 'create');
  try {
    writeFully(handle, [Buffer.from(`process ${env.pid}, started at ${new Date(env.clock.now()).toISOString()}\n`)], 0);
  } finally {
    await handle.close();
  }
}
