// Savepoints of a store: made of its newest checkpoint, registered in its directory, or the beginning of another one.
import { CorruptionError, UsageError } from '../core/errors.ts';
import { Checkpoints, type StoredHead } from '../checkpoint/checkpoints.ts';
import type { CheckpointStore } from '../checkpoint/checkpoint-store.ts';
import { readSavepointHeader, writeSavepoint, type Savepoint, type SavepointHeader, type SavepointSlot } from '../checkpoint/savepoint-file.ts';
import type { Env } from '../env/env.ts';
import type { FileSystem } from '../env/file-system.ts';
import { decodeMetadata, encodeMetadata } from '../journal/checkpoint-metadata.ts';
import { STORE_FORMAT_VERSION, writeIdentity, type Identity } from '../journal/identity.ts';
import { encodeLedger, type Ledger } from '../journal/ledger.ts';
import { checkpointDirectory, journalDirectory } from './store-layout.ts';

const SUFFIX = '.savepoint';
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

/** The directory of registered savepoints. */
function savepointsDirectory(directory: string): string {
  return `${directory}/savepoints`;
}

/**
 * The file of a registered savepoint.
 *
 * @throws {UsageError} If the name is none.
 */
export function savepointPath(directory: string, name: string): string {
  if (!NAME.test(name) || name.endsWith(SUFFIX))
    throw new UsageError(
      'STREAM_SAVEPOINT',
      `Cannot use ${JSON.stringify(name)} as the name of a savepoint as it must be up to 100 letters, digits, dots, hyphens and underscores, beginning with a letter or digit, and without "${SUFFIX}"`,
    );
  return `${savepointsDirectory(directory)}/${name}${SUFFIX}`;
}

/** A savepoint that is registered in a store. */
export interface RegisteredSavepoint {
  readonly name: string;
  readonly path: string;
  readonly header: SavepointHeader;
  /** The lowest record of the log that is needed to go on from it. */
  readonly neededLsn: number;
}

/**
 * The registered savepoints of a store, the newest batch first. Their headers are read, the rest is not.
 *
 * @throws {CorruptionError} If one is damaged, or of another store.
 */
export async function registeredSavepoints(files: FileSystem, directory: string, storeId: string): Promise<readonly RegisteredSavepoint[]> {
  const of = savepointsDirectory(directory);
  if ((await files.stat(of)) === undefined) return [];
  const found: RegisteredSavepoint[] = [];
  for (const file of await files.list(of)) {
    if (!file.endsWith(SUFFIX)) continue;
    const path = `${of}/${file}`;
    const header = await readSavepointHeader(files, path);
    if (header.storeId !== storeId)
      throw new CorruptionError(
        'STREAM_SAVEPOINT',
        `Cannot use "${path}" as it must be of the store ${storeId}: it is of the store ${header.storeId}. Remove it`,
      );
    found.push({ name: file.slice(0, -SUFFIX.length), path, header, neededLsn: decodeMetadata(header.metadata).neededLsn });
  }
  return found.toSorted((left, right) => right.header.batchTime - left.header.batchTime || right.header.number - left.header.number);
}

/** Removes what a crash left of savepoints that were being registered. */
export async function removeUnfinishedSavepoints(files: FileSystem, directory: string): Promise<void> {
  const of = savepointsDirectory(directory);
  if ((await files.stat(of)) === undefined) return;
  for (const file of await files.list(of)) if (file.endsWith('.tmp')) await files.remove(`${of}/${file}`);
}

async function slotsOf(checkpoints: Checkpoints, { head }: StoredHead): Promise<readonly SavepointSlot[]> {
  const blobs = await checkpoints.readBlobs(head.slots.flatMap((slot) => slot.blobs));
  let next = 0;
  return head.slots.map(({ uid, slot, entries, blobs: refs }) => {
    const payloads = refs.map(({ key }) => {
      const payload = blobs[next];
      next += 1;
      if (payload === undefined)
        throw new CorruptionError('STREAM_CHECKPOINT_CORRUPT', `Cannot make a savepoint as the checkpoint must be whole: "${key}" is missing or damaged`);
      return payload;
    });
    return { uid, slot, entries, payloads };
  });
}

/** What a savepoint is made of. */
export interface SavepointSource {
  readonly checkpoints: Checkpoints;
  readonly stored: StoredHead;
  readonly epoch: number;
}

function headerOf({ stored: { head, hash }, epoch }: SavepointSource): SavepointHeader {
  const { app, storeId, number, batchTime, lsn, metadata } = head;
  return { app, storeId, epoch, number, headHash: hash, batchTime, lsn, metadata };
}

/**
 * Registers a savepoint of the newest checkpoint: from here on the log is kept back to what it needs, and a start whose checkpoints are damaged goes on from it. Resolves when it is durable.
 *
 * @throws {UsageError} If the name is taken, or none.
 */
export async function registerSavepoint(
  files: FileSystem,
  place: { readonly directory: string; readonly name: string },
  source: SavepointSource,
): Promise<string> {
  const path = savepointPath(place.directory, place.name);
  if ((await files.stat(path)) !== undefined)
    throw new UsageError('STREAM_SAVEPOINT', `Cannot register the savepoint "${place.name}" as its name must be free: it is registered already`);
  const [ledger] = await source.checkpoints.readBlobs([source.stored.head.ledger]);
  if (ledger === undefined)
    throw new CorruptionError('STREAM_CHECKPOINT_CORRUPT', 'Cannot make a savepoint as the checkpoint must be whole: its ledger is missing or damaged');
  const slots = await slotsOf(source.checkpoints, source.stored);
  await files.makeDirectory(savepointsDirectory(place.directory));
  await files.syncDirectory(place.directory);
  return writeSavepoint(files, path, { header: headerOf(source), ledger, slots });
}

/** Forgets a registered savepoint: its file is removed, durably. */
export async function forgetSavepoint(files: FileSystem, directory: string, name: string): Promise<void> {
  const path = savepointPath(directory, name);
  if ((await files.stat(path)) === undefined)
    throw new UsageError('STREAM_SAVEPOINT', `Cannot forget the savepoint "${name}" as it must be registered: it is not`);
  await files.remove(path);
  await files.syncDirectory(savepointsDirectory(directory));
}

/**
 * Where a log that begins anew says that state was dropped: with nothing, where the checkpoint is newer, or with its first record, which follows it. The numbers of the old log would lie
 * behind the checkpoint again, and drop the state of a uid that came back.
 */
function movedDrops({ givenUp }: Ledger, checkpointLsn: number): Ledger['givenUp']['states'] {
  return new Map([...givenUp.states].map(([uid, { lsn, batchTime }]) => [uid, { lsn: lsn > checkpointLsn ? 1 : 0, batchTime }]));
}

/**
 * Exports the newest checkpoint as a file that a new directory can begin with. Nothing may wait or have to run again: its bytes would be left behind.
 *
 * @param ledger - The fold of the whole log.
 * @throws {UsageError} If something waits or must run again.
 */
export async function exportSavepoint(files: FileSystem, place: { readonly path: string; readonly ledger: Ledger }, source: SavepointSource): Promise<string> {
  const { ledger, path } = place;
  if (ledger.waiting.length > 0 || ledger.batches.length > 0 || ledger.replacing.length > 0) {
    throw new UsageError(
      'STREAM_SAVEPOINT',
      `Cannot export the store as nothing of its log may be left behind: ${ledger.waiting.length} blocks wait and ${ledger.batches.length + ledger.replacing.length} batches are in no checkpoint. Stop the program cleanly, or run it with drain, first`,
    );
  }
  const slots = await slotsOf(source.checkpoints, source.stored);
  const header = headerOf(source);
  const metadata = encodeMetadata({ ...decodeMetadata(header.metadata), neededLsn: 0 });
  // It begins a log of its own.
  const moved = { ...ledger, lsn: 0, givenUp: { ...ledger.givenUp, states: movedDrops(ledger, header.lsn) } };
  return writeSavepoint(files, path, { header: { ...header, lsn: 0, metadata }, ledger: encodeLedger(moved), slots });
}

/**
 * Begins a store with an exported savepoint: the same store in another place, with its positions and its rows in the sinks. A crash in between leaves a directory without an identity, and
 * the same call begins again.
 *
 * @returns The identity of the store.
 */
export async function importSavepoint(
  env: Env,
  place: { readonly directory: string; readonly savepoint: Savepoint },
  store: CheckpointStore,
): Promise<Identity> {
  const { directory, savepoint } = place;
  const { header, slots, digest } = savepoint;
  if (header.lsn !== 0)
    throw new UsageError(
      'STREAM_SAVEPOINT',
      'Cannot begin a store with this savepoint as it must be an exported one: it was registered in its own store, and needs the log of that',
    );
  const { files } = env;
  await files.removeTree(checkpointDirectory(directory));
  await files.makeDirectory(checkpointDirectory(directory));
  await files.makeDirectory(journalDirectory(directory));
  await store.open('create');
  await new Checkpoints(store).begin({ ...header, slots, ledger: savepoint.ledger });
  await files.syncDirectory(checkpointDirectory(directory));
  await files.syncDirectory(journalDirectory(directory));
  await files.syncDirectory(directory);
  const { storeId, app, epoch } = header;
  const identity: Identity = { format: STORE_FORMAT_VERSION, storeId, app, epoch, incarnation: '', origin: digest };
  await writeIdentity(env, directory, identity);
  return identity;
}
