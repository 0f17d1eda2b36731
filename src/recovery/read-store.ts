// Reads a store to compare it with today's graph, and changes nothing but LevelDB's own files.
import type { GraphDescriptor } from '../core/graph-descriptor.ts';
import { Checkpoints } from '../checkpoint/checkpoints.ts';
import type { CheckpointStore } from '../checkpoint/checkpoint-store.ts';
import type { Env } from '../env/env.ts';
import { releaseBallastIfFull } from '../journal/ballast.ts';
import { scanEvents } from './read-events.ts';
import { lastGraph } from './recover.ts';
import { journalDirectory, readOwner } from './store-layout.ts';

/** What was found in a directory. */
export type StoreReading = { readonly kind: 'absent' } | { readonly kind: 'store'; readonly graph: GraphDescriptor | undefined };

/**
 * Reads whom a store belongs to and which graph wrote it; opens the checkpoint store if there is one.
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
  const { events } = await scanEvents({
    files: env.files,
    directory: journalDirectory(directory),
    storeId: identity.storeId,
    payloadBytesMax: recordBytesMax,
    isSynced: false,
  });
  const { whole } = await new Checkpoints(store).heads();
  return { kind: 'store', graph: lastGraph(events, whole[0]) };
}
