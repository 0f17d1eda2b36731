// A savepoint as one file: a checkpoint with everything it names, in a form that needs no store to be read. docs/format-savepoint.md has the layout.
import { createHash, type Hash } from 'node:crypto';
import { ByteReader, ByteWriter } from '../core/bytes.ts';
import { crc32 } from '../core/checksum.ts';
import { CorruptionError } from '../core/errors.ts';
import { array, count, dictionary, object, ShapeError, string, type Shape } from '../core/shape.ts';
import type { FileHandle, FileSystem } from '../env/file-system.ts';

/** The version this code writes, and the only one it reads. Part of the format. */
export const SAVEPOINT_FORMAT_VERSION = 1;

const MAGIC = 'MRSAVEPT';
const PREFIX_BYTES = 20;
const DIGEST_BYTES = 32;
/** So much is read at once. */
const CHUNK_BYTES = 4 * 1024 * 1024;

/** What a savepoint says of itself. */
export interface SavepointHeader {
  readonly app: string;
  readonly storeId: string;
  /** The epoch of the newest driver when it was made. */
  readonly epoch: number;
  /** The number of the checkpoint it was made of. */
  readonly number: number;
  readonly headHash: string;
  /** The last batch whose state is in it. */
  readonly batchTime: number;
  /** The lsn of the last record its ledger was folded from; 0 where its ledger begins a log of its own. */
  readonly lsn: number;
  /** What the layers above keep with it, as text that they understand. */
  readonly metadata: string;
}

/** One slot of an operator's state. */
export interface SavepointSlot {
  readonly uid: string;
  readonly slot: number;
  readonly entries: number;
  /** What stands in its blobs, the base first. */
  readonly payloads: readonly Uint8Array[];
}

/** A savepoint in memory. */
export interface Savepoint {
  readonly header: SavepointHeader;
  readonly ledger: Uint8Array;
  readonly slots: readonly SavepointSlot[];
  /** SHA-256 over the file without its last 32 bytes, which are it. */
  readonly digest: string;
}

interface Contents extends SavepointHeader {
  readonly ledgerBytes: number;
  /** By uid: for each slot its number, its entries, and the bytes of each payload. */
  readonly slots: ReadonlyMap<string, readonly (readonly number[])[]>;
}

const contentsShape: Shape<Contents> = object<{ [K in keyof Contents]: Contents[K] }>({
  app: string,
  storeId: string,
  epoch: count,
  number: count,
  headHash: string,
  batchTime: count,
  lsn: count,
  metadata: string,
  ledgerBytes: count,
  slots: dictionary(array(array(count))),
});

/** The pieces of the file, in order, without the digest. */
function* piecesOf({ header, ledger, slots }: Omit<Savepoint, 'digest'>): Generator<Uint8Array, void, undefined> {
  const sizes = new Map<string, number[][]>();
  for (const { uid, slot, entries, payloads } of slots) {
    const of = sizes.get(uid) ?? [];
    sizes.set(uid, of);
    of.push([slot, entries, ...payloads.map((payload) => payload.length)]);
  }
  // Payloads stand in the order in which the header names them: uid by uid. In an object numbers come first.
  const named = Object.fromEntries(sizes);
  const ordered = Object.keys(named).flatMap((uid) => slots.filter((slot) => slot.uid === uid));
  const text = Buffer.from(JSON.stringify({ ...header, ledgerBytes: ledger.length, slots: named }));
  yield new ByteWriter(PREFIX_BYTES + text.length)
    .raw(Buffer.from(MAGIC, 'latin1'))
    .u32(SAVEPOINT_FORMAT_VERSION)
    .u32(text.length)
    .u32(crc32(text))
    .raw(text)
    .finish();
  yield ledger;
  for (const { payloads } of ordered) yield* payloads;
}

function writePiece(handle: FileHandle, piece: Uint8Array, position: number): void {
  for (let done = 0; done < piece.length;) {
    const written = handle.write([piece.subarray(done)], position + done);
    if (written <= 0) throw new Error(`Cannot write ${piece.length - done} bytes as the file system must take some: it took ${written}`);
    done += written;
  }
}

/**
 * Writes a savepoint; resolves to its digest when it is durable under its name.
 *
 * @param path - Must not be there: a savepoint is never written over.
 */
export async function writeSavepoint(files: FileSystem, path: string, savepoint: Omit<Savepoint, 'digest'>): Promise<string> {
  const temporary = `${path}.tmp`;
  await files.remove(temporary);
  const handle = await files.open(temporary, 'create');
  const hash = createHash('sha256');
  try {
    let position = 0;
    for (const piece of piecesOf(savepoint)) {
      hash.update(piece);
      writePiece(handle, piece, position);
      position += piece.length;
    }
    const digest = hash.digest();
    writePiece(handle, digest, position);
    await handle.sync();
    await files.link(temporary, path);
    await files.remove(temporary);
    await files.syncDirectory(directoryOf(path));
    return digest.toString('hex');
  } finally {
    await handle.close();
  }
}

/** The directory of a path. */
function directoryOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? '.' : path.slice(0, slash) || '/';
}

function damaged(path: string, why: string, cause?: unknown): CorruptionError {
  return new CorruptionError('STREAM_SAVEPOINT', `Cannot use "${path}" as it must be a savepoint: ${why}`, { cause });
}

async function readAll(handle: FileHandle, size: number, hash: Hash): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(size);
  for (let at = 0; at < size; at += CHUNK_BYTES) {
    const chunk = await handle.read(at, Math.min(CHUNK_BYTES, size - at), bytes.subarray(at, Math.min(size, at + CHUNK_BYTES)));
    hash.update(chunk);
  }
  return bytes;
}

/** The header of an open file, with a checksum of its own. */
async function readContents(path: string, handle: FileHandle): Promise<{ readonly contents: Contents; readonly bytes: number }> {
  const size = await handle.size();
  if (size < PREFIX_BYTES + DIGEST_BYTES) throw damaged(path, `it has ${size} bytes`);
  const prefix = new ByteReader(await handle.read(0, PREFIX_BYTES));
  if (Buffer.from(prefix.raw(MAGIC.length)).toString('latin1') !== MAGIC) throw damaged(path, `it does not begin with ${MAGIC}`);
  const version = prefix.u32();
  if (version !== SAVEPOINT_FORMAT_VERSION) throw damaged(path, `its format version is ${version}, this program reads ${SAVEPOINT_FORMAT_VERSION}`);
  const bytes = prefix.u32();
  if (bytes > size - PREFIX_BYTES - DIGEST_BYTES) throw damaged(path, `its header has ${bytes} bytes, the file ${size}`);
  const text = await handle.read(PREFIX_BYTES, bytes);
  if (crc32(text) !== prefix.u32()) throw damaged(path, 'the checksum of its header does not fit');
  try {
    const value: unknown = JSON.parse(Buffer.from(text).toString('utf8'));
    return { contents: contentsShape(value, 'savepoint'), bytes };
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof ShapeError) throw damaged(path, error.message, error);
    throw error;
  }
}

async function withFile<T>(files: FileSystem, path: string, use: (handle: FileHandle) => Promise<T>): Promise<T> {
  const handle = await files.open(path, 'read');
  try {
    return await use(handle);
  } finally {
    await handle.close();
  }
}

/**
 * Reads what a savepoint says of itself, and checks that part only.
 *
 * @throws {CorruptionError} If it is no savepoint, of another version, or its header is damaged.
 */
export async function readSavepointHeader(files: FileSystem, path: string): Promise<SavepointHeader> {
  return withFile(files, path, async (handle) => headerOf((await readContents(path, handle)).contents));
}

function headerOf({ app, storeId, epoch, number, headHash, batchTime, lsn, metadata }: Contents): SavepointHeader {
  return { app, storeId, epoch, number, headHash, batchTime, lsn, metadata };
}

/** The digest that a savepoint names, without a look whether its bytes have it: enough to tell whether it is the one that a store began with. */
export async function readSavepointDigest(files: FileSystem, path: string): Promise<string> {
  return withFile(files, path, async (handle) => {
    await readContents(path, handle);
    return Buffer.from(await handle.read((await handle.size()) - DIGEST_BYTES, DIGEST_BYTES)).toString('hex');
  });
}

/**
 * Reads a savepoint.
 *
 * @throws {CorruptionError} If it is none, of another version, or any byte of it is not the one that was written.
 */
export async function readSavepoint(files: FileSystem, path: string): Promise<Savepoint> {
  return withFile(files, path, async (handle) => {
    const { contents, bytes } = await readContents(path, handle);
    const size = (await handle.size()) - DIGEST_BYTES;
    const hash = createHash('sha256');
    const all = await readAll(handle, size, hash);
    const digest = hash.digest('hex');
    const found = Buffer.from(await handle.read(size, DIGEST_BYTES)).toString('hex');
    if (found !== digest) throw damaged(path, `its digest is ${found}, its bytes have ${digest}`);
    try {
      return { header: headerOf(contents), digest, ...readParts(path, contents, new ByteReader(all.subarray(PREFIX_BYTES + bytes))) };
    } catch (error) {
      if (error instanceof RangeError) throw damaged(path, error.message, error);
      throw error;
    }
  });
}

function readParts(path: string, { ledgerBytes, slots }: Contents, reader: ByteReader): Pick<Savepoint, 'ledger' | 'slots'> {
  const ledger = reader.raw(ledgerBytes);
  const read: SavepointSlot[] = [];
  for (const [uid, of] of slots) {
    for (const [slot = 0, entries = 0, ...sizes] of of) read.push({ uid, slot, entries, payloads: sizes.map((size) => reader.raw(size)) });
  }
  if (reader.left > 0) throw damaged(path, `${reader.left} bytes follow what it names`);
  return { ledger, slots: read };
}
