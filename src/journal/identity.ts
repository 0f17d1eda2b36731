// The file `identity`: which store this is, whose, and the epoch of its newest driver. Replaced by rename, so it is always whole.
import { sha256Hex } from '../core/checksum.ts';
import { CorruptionError, LockedError } from '../core/errors.ts';
import { toHex, type Incarnation, type StoreId } from '../core/ids.ts';
import { count, object, optional, ShapeError, string, type Shape } from '../core/shape.ts';
import type { Env } from '../env/env.ts';
import { createSynced } from '../wal/create-synced.ts';
import { writeFully } from '../wal/write-fully.ts';

/** The format version of a store directory; the only one this version reads. */
export const STORE_FORMAT_VERSION = 1;

const ID_BYTES = 16;
const FILE_BYTES_MAX = 65_536;

/** What the file says. */
export interface Identity {
  readonly format: number;
  readonly storeId: StoreId;
  readonly app: string;
  /** Grows at every start; 0 before the first. */
  readonly epoch: number;
  readonly incarnation: Incarnation;
  /** The digest of the savepoint that the store began with, if it did. */
  readonly origin?: string | undefined;
}

const identityShape: Shape<Identity & { readonly checksum: string }> = object<{ [K in keyof Identity]: Identity[K] } & { checksum: string }>({
  format: count,
  storeId: string,
  app: string,
  epoch: count,
  incarnation: string,
  origin: optional(string),
  checksum: string,
});

function checksumOf({ format, storeId, app, epoch, incarnation, origin }: Identity): string {
  return sha256Hex(JSON.stringify([format, storeId, app, epoch, incarnation, ...(origin === undefined ? [] : [origin])]));
}

function identityPath(directory: string): string {
  return `${directory}/identity`;
}

function damaged(path: string, why: string, cause?: unknown): CorruptionError {
  return new CorruptionError('STREAM_IDENTITY', `Cannot use the file "${path}" as it must hold the identity of the store: ${why}`, { cause });
}

function decodeIdentity(path: string, text: string): Identity {
  try {
    const value: unknown = JSON.parse(text);
    const { format } = object<{ format: number }>({ format: count })(value, 'identity');
    if (format !== STORE_FORMAT_VERSION) {
      throw new CorruptionError(
        'STREAM_CHECKPOINT_FORMAT',
        `Cannot open the store of "${path}" as its format must be ${STORE_FORMAT_VERSION}: found format ${format}`,
      );
    }
    const { checksum, ...identity } = identityShape(value, 'identity');
    if (checksum !== checksumOf(identity)) throw damaged(path, 'its checksum does not fit');
    return identity;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof ShapeError) throw damaged(path, error.message, error);
    throw error;
  }
}

/** Reads the identity of a store directory; undefined if there is none. */
export async function readIdentity(env: Env, directory: string, isSynced: boolean): Promise<Identity | undefined> {
  const path = identityPath(directory);
  if ((await env.files.stat(path)) === undefined) return undefined;
  const handle = await env.files.open(path, 'read');
  try {
    if (isSynced) await handle.sync();
    return decodeIdentity(path, Buffer.from(await handle.read(0, FILE_BYTES_MAX)).toString('utf8'));
  } finally {
    await handle.close();
  }
}

/** A new content of the file. */
interface Replacement {
  readonly directory: string;
  readonly identity: Identity;
  /** Called right before it gets its name; what it throws leaves the old content. */
  readonly check: () => Promise<void>;
}

async function replaceIdentity(env: Env, { directory, identity, check }: Replacement): Promise<void> {
  const path = identityPath(directory);
  // A name of its own, so that another driver never gives this file the final one.
  const temporary = `${path}-${identity.incarnation.slice(0, 8)}.tmp`;
  const text = `${JSON.stringify({ ...identity, checksum: checksumOf(identity) }, undefined, 2)}\n`;
  await createSynced(env.files, { path: temporary, mode: 'create' }, (handle) => writeFully(handle, [Buffer.from(text)], 0));
  await check();
  await env.files.rename(temporary, path);
  await env.files.syncDirectory(directory);
}

/** Replaces the identity; resolves when the new one is durable. */
export function writeIdentity(env: Env, directory: string, identity: Identity): Promise<void> {
  return replaceIdentity(env, { directory, identity, check: () => Promise.resolve() });
}

function takenOver(directory: string, mine: number, found: number | undefined): LockedError {
  return new LockedError(
    'STREAM_FENCED',
    `Cannot go on with the store "${directory}" as it must be this driver's, of epoch ${mine}: another one of epoch ${String(found)} has taken over`,
  );
}

/** The identity of a new store, before its first start. */
export function newIdentity(env: Env, app: string): Identity {
  return { format: STORE_FORMAT_VERSION, storeId: toHex(env.random.bytes(ID_BYTES)), app, epoch: 0, incarnation: '' };
}

/**
 * Raises the epoch durably, with a new incarnation. From here on an older driver of this directory is out of date.
 *
 * @throws {LockedError} If another driver has raised it since it was read.
 */
export async function raiseEpoch(env: Env, directory: string, identity: Identity): Promise<Identity> {
  const raised = { ...identity, epoch: identity.epoch + 1, incarnation: toHex(env.random.bytes(ID_BYTES)) };
  const check = async (): Promise<void> => {
    const found = await readIdentity(env, directory, false);
    if (found?.epoch !== identity.epoch || found.incarnation !== identity.incarnation) throw takenOver(directory, raised.epoch, found?.epoch);
  };
  await replaceIdentity(env, { directory, identity: raised, check });
  // What drivers left that died before theirs got its name.
  for (const name of await env.files.list(directory)) if (/^identity-.*\.tmp$/.test(name)) await env.files.remove(`${directory}/${name}`);
  return raised;
}

/** Tells whether the newest driver of a store is this one. */
export interface OwnerWatch {
  /** Looks at the file `identity`: microseconds. False for ever once another driver has raised the epoch. */
  isOwner(): boolean;
  /** Ends it; safe to call again. */
  close(): Promise<void>;
}

/**
 * Watches whether another driver raises the epoch. `identity` is replaced by rename, never written over, so the number of its inode says enough, as long as the file that this driver
 * wrote is kept open: then its number is given to no other file.
 *
 * @throws {LockedError} If another driver has raised it already.
 */
export async function watchIdentity(env: Env, directory: string, identity: Identity): Promise<OwnerWatch> {
  const path = identityPath(directory);
  const inode = env.files.inodeNow(path);
  const handle = await env.files.open(path, 'read');
  const found = decodeIdentity(path, Buffer.from(await handle.read(0, FILE_BYTES_MAX)).toString('utf8'));
  const isOwner = (): boolean => inode !== undefined && env.files.inodeNow(path) === inode;
  if (found.incarnation !== identity.incarnation || !isOwner()) {
    await handle.close();
    throw takenOver(directory, identity.epoch, found.epoch);
  }
  return { isOwner, close: () => handle.close() };
}
