// The file `identity`: which store this is, whose, and the epoch of its newest driver. Made by link, replaced by rename, so it is always whole.
import { sha256Hex } from '../core/checksum.ts';
import { CorruptionError, LockedError } from '../core/errors.ts';
import { toHex, type Incarnation, type StoreId } from '../core/ids.ts';
import { isErrno } from '../env/errno.ts';
import { count, object, optional, ShapeError, string, type Shape } from '../core/shape.ts';
import type { Env } from '../env/env.ts';
import { createSynced } from '../wal/create-synced.ts';
import { writeFully } from '../wal/write-fully.ts';
import { draftPath } from './epoch-claims.ts';

/** The format version of a store directory; the only one this version reads. */
export const STORE_FORMAT_VERSION = 1;

/** Bytes of a store id and of an incarnation. */
export const ID_BYTES = 16;
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

/** The path of the file. */
export function identityPath(directory: string): string {
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

/** The bytes of the file. */
export function encodeIdentity(identity: Identity): Uint8Array {
  return Buffer.from(`${JSON.stringify({ ...identity, checksum: checksumOf(identity) }, undefined, 2)}\n`);
}

/**
 * Writes the identity of a new store; resolves when it is durable. It replaces nothing.
 *
 * @throws {LockedError} If another driver has made one.
 */
export async function writeIdentity(env: Env, directory: string, identity: Identity): Promise<void> {
  const path = identityPath(directory);
  const draft = draftPath(directory, { epoch: identity.epoch, incarnation: toHex(env.random.bytes(ID_BYTES)) });
  await createSynced(env.files, { path: draft, mode: 'create' }, (handle) => writeFully(handle, [encodeIdentity(identity)], 0));
  try {
    await env.files.link(draft, path);
  } catch (error) {
    await env.files.remove(draft);
    throw isErrno(error, 'EEXIST') ? takenOver(directory, identity.epoch, (await readIdentity(env, directory, false))?.epoch) : error;
  }
  await env.files.syncDirectory(directory);
  await env.files.remove(draft);
}

/** The error of a driver behind which another has taken the store over. */
export function takenOver(directory: string, mine: number, found: number | undefined): LockedError {
  return new LockedError(
    'STREAM_FENCED',
    `Cannot go on with the store "${directory}" as it must be this driver's, of epoch ${mine}: another one of epoch ${String(found)} has taken over`,
  );
}

/** The identity of a new store, before its first start. */
export function newIdentity(env: Env, app: string): Identity {
  return { format: STORE_FORMAT_VERSION, storeId: toHex(env.random.bytes(ID_BYTES)), app, epoch: 0, incarnation: '' };
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
