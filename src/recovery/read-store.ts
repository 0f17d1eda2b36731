// Reads a store to compare it with today's graph, and changes nothing but LevelDB's own files.
import { CorruptionError } from '../core/errors.ts';
import { Checkpoints } from '../checkpoint/checkpoints.ts';
import type { CheckpointStore } from '../checkpoint/checkpoint-store.ts';
import type { Env } from '../env/env.ts';
import type { FileSystem } from '../env/file-system.ts';
import { releaseBallastIfFull } from '../journal/ballast.ts';
import type { Identity } from '../journal/identity.ts';
import type { StoreContent } from './judge-consent.ts';
import { scanEvents, type EventScan } from './read-events.ts';
import { graphsOf } from './recover.ts';
import { restoreCheckpoint, restoreScene } from './restore-checkpoint.ts';
import { journalDirectory, readOwner } from './store-layout.ts';

/** What was found in a directory. */
export type StoreReading =
  | { readonly kind: 'absent' }
  /** `content` is undefined where it cannot be read as it is: the start says why. */
  | { readonly kind: 'store'; readonly origin: string | undefined; readonly content: StoreContent | undefined };

interface StorePlace {
  readonly files: FileSystem;
  readonly directory: string;
  readonly identity: Identity;
}

/** Reads what a comparison needs of a store; nothing of the state. */
async function readContent(checkpoints: Checkpoints, { scan, events }: EventScan, place: StorePlace): Promise<StoreContent | undefined> {
  const log = { first: scan.spans[0]?.header.firstLsn ?? 1, last: scan.nextLsn - 1, isLedgerOnly: true };
  try {
    const { ledger, accepted: head } = await restoreCheckpoint(checkpoints, events, await restoreScene(place.files, place, log));
    return { graphs: graphsOf(events, head), ledger, head };
  } catch (error) {
    // A driver whose lock was defeated may be writing. The start raises the epoch first, and reads again.
    if (error instanceof CorruptionError && error.code !== 'STREAM_CHECKPOINT_FORMAT') return undefined;
    throw error;
  }
}

/**
 * Reads whom a store belongs to, which graph wrote it and what it holds; opens the checkpoint store if there is one.
 *
 * @throws {UsageError} If it belongs to another application.
 * @throws {CorruptionError} If identity, log or checkpoints are damaged or of an unknown version.
 */
export async function readStore(
  env: Env,
  place: { readonly directory: string; readonly app: string; readonly recordBytesMax: number; readonly ballastBytes: number },
  store: CheckpointStore,
): Promise<StoreReading> {
  const { directory, app, recordBytesMax } = place;
  const identity = await readOwner(env, { directory, app, isSynced: false });
  if (identity === undefined) return { kind: 'absent' };
  // Only now is it known whose directory it is.
  if (await releaseBallastIfFull({ files: env.files, directory, bytes: place.ballastBytes }))
    env.logger.warn({ directory }, 'the disk is full: the ballast is given up, so that the store can be opened');
  await store.open('existing');
  const found = await scanEvents({
    files: env.files,
    directory: journalDirectory(directory),
    storeId: identity.storeId,
    payloadBytesMax: recordBytesMax,
    isSynced: false,
  });
  return { kind: 'store', origin: identity.origin, content: await readContent(new Checkpoints(store), found, { files: env.files, directory, identity }) };
}
