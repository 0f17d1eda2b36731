// Writes checkpoints beside the batches: what goes into one is fixed between two batches; it is encoded and written while the next ones run. State and ledger into the store, the anchor into
// the journal, and only then the log is cut.
import { publish } from '../core/diagnostics.ts';
import { AbortError, LockedError, toError } from '../core/errors.ts';
import type { GraphDescriptor } from '../core/graph-descriptor.ts';
import type { Uid } from '../core/ids.ts';
import type { BatchTime, Duration } from '../core/time.ts';
import { HEADS_RETAINED, type CheckpointDraft, type Checkpoints, type StoredHead } from '../checkpoint/checkpoints.ts';
import { stateBytesOf } from '../checkpoint/head.ts';
import type { Clock } from '../env/env.ts';
import { createPacer } from '../env/pacer.ts';
import { forgetBatches } from '../journal/apply-event.ts';
import { decodeMetadata, encodeMetadata } from '../journal/checkpoint-metadata.ts';
import type { Journal } from '../journal/journal.ts';
import { encodeLedger } from '../journal/ledger.ts';
import { lowWater, neededLsn } from '../journal/low-water.ts';
import type { KeyedState } from '../state/keyed-state.ts';

/** State is encoded for this long at a time. */
const SLICE_MS = 5;

/** What checkpoints are made of. */
export interface CheckpointerOptions {
  readonly app: string;
  readonly storeId: string;
  readonly codeVersion: string;
  readonly graph: GraphDescriptor;
  readonly interval: Duration;
  readonly clock: Clock;
  readonly journal: Journal;
  readonly checkpoints: Checkpoints;
  readonly states: ReadonlyMap<Uid, KeyedState>;
  /** Heads that stay, newest first. */
  readonly retained: readonly StoredHead[];
  readonly nextNumber: number;
  /** The lowest records that registered savepoints need. */
  readonly savepointNeeds: readonly number[];
  /** Whether this driver still owns the store. One that woke behind another must not write into the checkpoints of that. */
  readonly isOwner: () => boolean;
  /** Aborted when the driver gives up what runs. */
  readonly signal: AbortSignal;
  /** Called when a checkpoint is durable and anchored: the batches up to it need not run again. */
  readonly onCovered: () => void;
  /** Called when the log was cut. */
  readonly onCut: () => void;
  /** Called when there was no room for a checkpoint. */
  readonly onPostponed: () => void;
  /** Called when one that was written beside the batches failed. */
  readonly onFailed: (error: Error) => void;
}

/** Decides when a checkpoint is due, and writes it. */
export class Checkpointer {
  readonly #options: CheckpointerOptions;
  #retained: readonly StoredHead[];
  #nextNumber: number;
  /** The last batch that a checkpoint covers or is about to. */
  #covered: number | undefined;
  /** The checkpoint under way. */
  #writing: Promise<void> | undefined;
  #failure: Error | undefined;

  constructor(options: CheckpointerOptions) {
    this.#options = options;
    this.#retained = options.retained;
    this.#nextNumber = options.nextNumber;
    this.#covered = options.retained[0]?.head.batchTime;
  }

  /** Bytes of state in the newest checkpoint. */
  get stateBytes(): number {
    const [newest] = this.#retained;
    return newest === undefined ? 0 : stateBytesOf(newest.head);
  }

  /**
   * Whether a checkpoint is due after a batch: when an interval has passed since the last one, or since the batch before the first that none covers. None is while one is being written,
   * nor after one has failed: what that one was to hold is noted as changed no more.
   */
  isDue(batchTime: BatchTime): boolean {
    if (this.#writing !== undefined || this.#failure !== undefined) return false;
    const { interval, graph, journal } = this.#options;
    const covered = this.#covered ?? (journal.ledger.batches[0]?.batchTime ?? batchTime) - graph.batchIntervalMs;
    return batchTime - covered >= interval;
  }

  /**
   * Begins a checkpoint of everything up to a batch whose completion is durable, with no plan behind it. Resolves when what goes into it is fixed: the next batch may begin. Nothing is
   * begun if the disk has no room for it: the older checkpoints and the log stay, and it is due again after the next batch.
   */
  async begin(batchTime: BatchTime): Promise<void> {
    if (!(await this.#options.journal.hasCheckpointRoom())) return this.#options.onPostponed();
    const draft = this.#draft(batchTime);
    this.#covered = batchTime;
    this.#writing = this.#write(draft, batchTime)
      .catch((thrown: unknown) => {
        const error = toError(thrown);
        this.#failure = error;
        if (!(error instanceof AbortError)) this.#options.onFailed(error);
      })
      .finally(() => (this.#writing = undefined));
  }

  /** Writes a checkpoint, as {@link begin}, and waits until it is durable, anchored, and the log is cut. */
  async write(batchTime: BatchTime): Promise<void> {
    await this.settled();
    if (!(await this.#options.journal.hasCheckpointRoom())) return this.#options.onPostponed();
    this.#covered = batchTime;
    await this.#write(this.#draft(batchTime), batchTime);
  }

  /** Resolves when no checkpoint is being written; rejects if one failed. */
  async settled(): Promise<void> {
    await this.#writing;
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Fixes what goes into a checkpoint: synchronous, so that it is all of one moment. */
  #draft(batchTime: BatchTime): CheckpointDraft {
    const { app, storeId, codeVersion, graph, journal, states } = this.#options;
    const { ledger } = journal;
    const number = this.#nextNumber;
    this.#nextNumber += 1;
    const snapshot = { ...ledger, batches: ledger.batches.filter((batch) => batch.batchTime > batchTime) };
    const parts = [...states.values()].map((state) => state.begin());
    return {
      number,
      lsn: snapshot.lsn,
      batchTime,
      app,
      storeId,
      metadata: encodeMetadata({ graph, codeVersion, neededLsn: neededLsn(snapshot) }),
      previous: this.#retained[0],
      ledger: encodeLedger(snapshot),
      changed: parts.flatMap(({ uid, writes }) => writes.map((write) => ({ uid, ...write }))),
      kept: parts.flatMap(({ kept }) => kept),
    };
  }

  async #write(draft: CheckpointDraft, batchTime: BatchTime): Promise<void> {
    const { app, clock, signal, isOwner, journal, checkpoints, states } = this.#options;
    const { number, lsn } = draft;
    const what = `Cannot finish checkpoint ${number} as`;
    publish('checkpoint-started', () => ({ app, number, batchTime }));
    const pacer = createPacer(clock, SLICE_MS, signal);
    const stored = await checkpoints.write(draft, () => {
      if (signal.aborted) throw new AbortError('STREAM_ABORTED', `${what} the context must be running: it stops`);
      if (!isOwner()) throw new LockedError('STREAM_FENCED', `${what} the store must be this driver's: another driver has taken over`);
      return pacer.step();
    });
    await journal.append({ kind: 'checkpoint', number, batchTime, lsn, headHash: stored.hash });
    for (const state of states.values()) state.saved(stored.head.slots);
    const old = this.#retained[HEADS_RETAINED - 1];
    this.#retained = [stored, ...this.#retained].slice(0, HEADS_RETAINED);
    forgetBatches(journal.ledger, batchTime);
    this.#options.onCovered();
    if (old !== undefined) await checkpoints.drop(old, this.#retained);
    const needs = this.#retained.map(({ head }) => decodeMetadata(head.metadata).neededLsn);
    await journal.cut(Math.min(lowWater(needs), ...this.#options.savepointNeeds));
    this.#options.onCut();
    publish('checkpoint-written', () => ({ app, number, batchTime, slots: draft.changed.length }));
  }
}
