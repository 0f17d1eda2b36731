// The order of a recovery: raise the epoch, sync and scan the log, begin a segment, restore, compare the graph, look at the sinks, claim them, judge again, write down what was consented to. Returns a value;
// what must run is run by the scheduler.
import { publish, type RecoveryFound } from '../core/diagnostics.ts';
import type { GraphDescriptor } from '../core/graph-descriptor.ts';
import type { Uid } from '../core/ids.ts';
import { milliseconds, toBatchTime, type BatchTime } from '../core/time.ts';
import { Checkpoints, type StoredHead } from '../checkpoint/checkpoints.ts';
import type { CheckpointStore } from '../checkpoint/checkpoint-store.ts';
import { stateBytesOf } from '../checkpoint/head.ts';
import type { Env } from '../env/env.ts';
import type { LoggedEvent } from '../journal/apply-event.ts';
import { decodeMetadata } from '../journal/checkpoint-metadata.ts';
import type { Opened } from '../journal/events.ts';
import { STORE_FORMAT_VERSION, watchIdentity, type Identity, type OwnerWatch } from '../journal/identity.ts';
import { DiskSpace } from '../journal/disk-space.ts';
import { Journal } from '../journal/journal.ts';
import { raiseEpoch } from '../journal/raise-epoch.ts';
import type { StatefulNode } from '../dstream/graph.ts';
import type { SinkView } from '../sinks/sink.ts';
import type { KeyedState } from '../state/keyed-state.ts';
import type { MigrationReport } from '../state/migrate-state.ts';
import { openWal, type OpenedWal } from '../wal/open-wal.ts';
import type { ScanOptions } from '../wal/scan.ts';
import { SegmentTakenError } from '../wal/segment-files.ts';
import type { WalOptions } from '../wal/wal.ts';
import { applyConsent, isGivingUp, type ReplacedBatch } from './apply-consent.ts';
import { attachState } from './attach-state.ts';
import { stateCodecsOf, type BatchAgain } from './bound-batches.ts';
import { assess, requireConsent, type Acceptance } from './judge-consent.ts';
import { claimSinks, type SinkOutput } from './judge-sinks.ts';
import { lastBatchTime } from './last-batch-time.ts';
import { relocate, scanEvents, type EventScan } from './read-events.ts';
import { restoreCheckpoint, restoreScene, type Restored } from './restore-checkpoint.ts';
import { removeUnfinishedSavepoints, type RegisteredSavepoint } from './savepoints.ts';
import { createStore, journalDirectory, readOwner } from './store-layout.ts';

/** The limits of the log. */
export interface LogLimits {
  readonly segmentBytesMax: number;
  readonly recordBytesMax: number;
  readonly groupBytesMax: number;
  readonly idleMarkMs: number;
  /** Whether segments are filled with zeros ahead. */
  readonly isPrepared: boolean;
  readonly blockCacheBytesMax: number;
  readonly ballastBytes: number;
}

/** What a recovery works with. */
export interface RecoverOptions {
  readonly env: Env;
  readonly directory: string;
  readonly app: string;
  readonly codeVersion: string;
  readonly graph: GraphDescriptor;
  /** What may be given up. */
  readonly accept: Acceptance;
  readonly outputs: readonly SinkOutput[];
  /** The operators that keep state. */
  readonly stateful: readonly StatefulNode[];
  /** The checkpoint store of the directory. */
  readonly store: CheckpointStore;
  /** Whether the store is open already. */
  readonly isStoreOpen: boolean;
  readonly limits: LogLimits;
  readonly onPoisoned: (error: Error) => void;
}

/** A store that is ready to go on. */
export interface Recovered {
  readonly identity: Identity;
  /** Open until the driver ends. */
  readonly watch: OwnerWatch;
  /** Begun by the driver, once it can hold receivers back. */
  readonly space: DiskSpace;
  readonly journal: Journal;
  /** The state of each operator of today's graph. */
  readonly states: Map<Uid, KeyedState>;
  /** What was migrated. */
  readonly migrations: readonly MigrationReport[];
  readonly checkpoints: Checkpoints;
  /** Heads that stay, newest first. */
  readonly retained: readonly StoredHead[];
  readonly nextCheckpoint: number;
  readonly views: ReadonlyMap<Uid, SinkView>;
  /** The last batch that a plan, a checkpoint or a row of a sink names; 0 if there is none. The next one is later. */
  readonly lastBatchTime: BatchTime;
  /** The registered savepoints: the log is kept for them. */
  readonly savepoints: readonly RegisteredSavepoint[];
  /** The name of the savepoint that took the place of damaged checkpoints, if one did. */
  readonly restoredFrom: string | undefined;
  /** Bytes that were read. */
  readonly read: { readonly logBytes: number; readonly stateBytes: number };
  /** What must run again, oldest first. */
  readonly batches: readonly BatchAgain[];
  /** Batches that this start closed, oldest first. Their inputs, and those of an earlier start that did not come to it, wait in the ledger. */
  readonly replaced: readonly ReplacedBatch[];
}

/** The graphs that wrote a store: the checkpoint's, since the log may be cut behind it, and those of the journal. Every batch that no checkpoint covers is of one of them. */
export function graphsOf(events: readonly LoggedEvent[], head: StoredHead | undefined): readonly GraphDescriptor[] {
  const opened = events.flatMap(({ event }) => (event.kind === 'opened' ? [event.graph] : []));
  return head === undefined ? opened : [decodeMetadata(head.head.metadata).graph, ...opened];
}

/** The graph that wrote the store last: the journal's newest, or the checkpoint's when the log was cut behind it. */
export function lastGraph(events: readonly LoggedEvent[], head: StoredHead | undefined): GraphDescriptor | undefined {
  return graphsOf(events, head).at(-1);
}

function describeFind(
  events: readonly LoggedEvent[],
  parts: { readonly identity: Identity; readonly restored: Restored; readonly batches: readonly BatchAgain[]; readonly tornBytes: number },
): Omit<RecoveryFound, 'rowsOfUnfinished'> {
  const { identity, restored, batches, tornBytes } = parts;
  const last = events.at(-1)?.event;
  const previousEpoch = identity.epoch - 1;
  const openedAt = events.findLastIndex(({ event }) => event.kind === 'opened');
  const wasOpened = restored.ledger.epoch === previousEpoch;
  const unfinished = batches.filter(({ action }) => action === 'rerun').length;
  const isClean = previousEpoch === 0 || last?.kind === 'closed';
  return {
    app: identity.app,
    epoch: identity.epoch,
    isClean,
    diedInRecovery: !isClean && (!wasOpened || (openedAt >= 0 && openedAt === events.length - 1 && batches.length > 0)),
    diedInCheckpoint: restored.hasUnanchored,
    blocksWaiting: restored.ledger.waiting.length,
    batchesUnfinished: unfinished,
    batchesToReplay: batches.length - unfinished,
    tornBytes,
  };
}

async function openIdentity(options: RecoverOptions): Promise<Identity> {
  const { env, directory, app, store, isStoreOpen } = options;
  const owner = await readOwner(env, { directory, app, isSynced: true });
  if (owner === undefined) return createStore(env, { directory, app }, store);
  if (!isStoreOpen) await store.open('existing');
  return owner;
}

/**
 * Recovers a store, or makes it. The caller holds the lock of the directory.
 *
 * @throws {UsageError} If the store belongs to another application, its graph cannot be taken over, consent is missing or needless, or other code planned what must run again.
 * @throws {CorruptionError} If store or sinks contradict themselves or each other.
 * @throws {LockedError} If a newer driver has claimed a sink.
 */
export async function recover(options: RecoverOptions): Promise<Recovered> {
  const { env, directory, app, codeVersion, graph, store, limits } = options;
  const identity = await raiseEpoch(env, directory, await openIdentity(options));
  publish('recovery-started', () => ({ app, epoch: identity.epoch }));
  const { storeId, epoch, incarnation } = identity;
  const scanOptions: ScanOptions = {
    files: env.files,
    directory: journalDirectory(directory),
    storeId,
    payloadBytesMax: limits.recordBytesMax,
    isSynced: true,
  };
  const watch = await watchIdentity(env, directory, identity);
  const opened: (() => Promise<void>)[] = [() => watch.close()];
  try {
    const { onPoisoned } = options;
    const walOptions = { env, directory: scanOptions.directory, storeId, epoch, incarnation, ...limits, isOwner: () => watch.isOwner(), onPoisoned };
    const { wal, moved, scan, events: scanned } = await openLog(scanOptions, walOptions);
    opened.unshift(() => wal.close());
    const events = relocate(scanned, moved);
    const checkpoints = new Checkpoints(store);
    const log = { first: wal.spans[0]?.header.firstLsn ?? 1, last: wal.durableLsn };
    const scene = await restoreScene(env.files, { directory, identity }, log);
    const restored = await restoreCheckpoint(checkpoints, events, scene);
    const { accepted, ledger } = restored;
    const program = { graph, codeVersion, stateCodecs: stateCodecsOf(options.stateful) };
    const assessment = assess({ graphs: graphsOf(events, accepted), ledger, head: accepted }, program);
    const agreed = requireConsent(assessment, options.accept, { directory, program });
    const batches = assessment.batches.again;
    // Before anything is claimed: a migration that fails has changed nothing in any sink.
    const { states, migrations } = attachState(options.stateful, restored);
    const found = describeFind(events, { identity, restored, batches, tornBytes: scan.tornBytes });
    const space = new DiskSpace({ env, app, directory, ballastBytes: limits.ballastBytes, fail: onPoisoned });
    const journal = new Journal({ wal, ledger, space, directory, epoch, blockCacheBytesMax: limits.blockCacheBytesMax });
    opened[0] = () => journal.close();
    await anchorAccepted(journal, restored);
    await checkpoints.retain(restored.retained);
    await removeUnfinishedSavepoints(env.files, directory);
    const event: Opened = { kind: 'opened', epoch, incarnation, storeId, format: STORE_FORMAT_VERSION, app, codeVersion, graph };
    // Today's graph becomes the store's once nothing of the store is given up for it any more: a crash before that finds what was consented to still asked for, or done.
    const givesUp = isGivingUp(agreed);
    if (!givesUp) await journal.appendAtOnce(event);
    const { views, rowsOfUnfinished } = await claimSinks(options.outputs, ledger, { app, storeId, epoch, incarnation });
    const replaced = await applyConsent(journal, agreed, { views, heads: restored.retained, interval: milliseconds(graph.batchIntervalMs) });
    if (givesUp) await journal.appendAtOnce(event);
    publish('recovery-found', () => ({ ...found, rowsOfUnfinished }));
    const { retained, nextNumber: nextCheckpoint } = restored;
    const closed = new Set(agreed.replace.map(({ batchTime }) => batchTime));
    const left = batches.filter(({ batch }) => !closed.has(batch.batchTime));
    return {
      identity,
      watch,
      space,
      journal,
      states,
      migrations,
      checkpoints,
      retained,
      nextCheckpoint,
      views,
      lastBatchTime: lastBatchTime({ ledger, heads: retained, views }),
      read: { logBytes: scan.spans.reduce((sum, { end }) => sum + end, 0), stateBytes: accepted === undefined ? 0 : stateBytesOf(accepted.head) },
      batches: left,
      replaced,
      savepoints: scene.savepoints,
      restoredFrom: restored.savepoint,
    };
  } catch (error) {
    // The refusal is what counts; what cannot be closed behind it ends with the process.
    for (const close of opened) await close().catch(() => undefined);
    throw error;
  }
}

/**
 * How often a start scans again because an older driver, whose lock was defeated, made a segment behind its back. Each such driver stops at its next sync. A driver that is not the
 * newest any more stops instead: what it found is the log of another.
 */
const SCANS_MAX = 5;

/** Scans the log and opens it behind what was found. */
async function openLog(scanOptions: ScanOptions, walOptions: WalOptions): Promise<OpenedWal & EventScan> {
  for (let scans = 1; ; scans++) {
    const found = await scanEvents(scanOptions);
    try {
      return { ...(await openWal(walOptions, found.scan)), ...found };
    } catch (error) {
      if (!(error instanceof SegmentTakenError) || scans === SCANS_MAX || !walOptions.isOwner()) throw error;
    }
  }
}

/** The crash came between a checkpoint and its anchor: the anchor is written now, before anything is decided on the checkpoint. */
async function anchorAccepted(journal: Journal, restored: Restored): Promise<void> {
  const { accepted, isAnchored } = restored;
  if (accepted === undefined || isAnchored) return;
  const { head, hash } = accepted;
  await journal.appendAtOnce({ kind: 'checkpoint', number: head.number, batchTime: toBatchTime(head.batchTime), lsn: head.lsn, headHash: hash });
}
