// Writes checkpoints between batches: state and ledger into the store, the anchor into the journal, and only then cuts the log.
import { publish } from '../core/diagnostics.ts';
import type { GraphDescriptor } from '../core/graph-descriptor.ts';
import type { Uid } from '../core/ids.ts';
import type { BatchTime, Duration } from '../core/time.ts';
import { HEADS_RETAINED, type Checkpoints, type StoredHead } from '../checkpoint/checkpoints.ts';
import { forgetBatches } from '../journal/apply-event.ts';
import { decodeMetadata, encodeMetadata } from '../journal/checkpoint-metadata.ts';
import type { Journal } from '../journal/journal.ts';
import { encodeLedger } from '../journal/ledger.ts';
import { lowWater, neededLsn } from '../journal/low-water.ts';
import type { KeyedState } from '../state/keyed-state.ts';

/** What checkpoints are made of. */
export interface CheckpointerOptions {
  readonly app: string;
  readonly storeId: string;
  readonly codeVersion: string;
  readonly graph: GraphDescriptor;
  readonly interval: Duration;
  readonly journal: Journal;
  readonly checkpoints: Checkpoints;
  readonly states: ReadonlyMap<Uid, KeyedState>;
  /** Heads that stay, newest first. */
  readonly retained: readonly StoredHead[];
  readonly nextNumber: number;
  /** Called when the log was cut. */
  readonly onCut: () => void;
  /** Called when there was no room for a checkpoint. */
  readonly onPostponed: () => void;
}

/** Decides when a checkpoint is due, and writes it. */
export class Checkpointer {
  readonly #options: CheckpointerOptions;
  #retained: readonly StoredHead[];
  #nextNumber: number;

  constructor(options: CheckpointerOptions) {
    this.#options = options;
    this.#retained = options.retained;
    this.#nextNumber = options.nextNumber;
  }

  /** Whether a checkpoint is due after a batch: when an interval has passed since the last one, or since the batch before the first that none covers. */
  isDue(batchTime: BatchTime): boolean {
    const { interval, graph, journal } = this.#options;
    const covered = this.#retained[0]?.head.batchTime ?? (journal.ledger.batches[0]?.batchTime ?? batchTime) - graph.batchIntervalMs;
    return batchTime - covered >= interval;
  }

  /**
   * Writes a checkpoint of everything up to a batch whose completion is durable, with no plan behind it. Resolves when it is durable, anchored, and the log is cut; or with nothing
   * done if the disk has no room for it: the older checkpoints and the log stay, and it is due again after the next batch.
   */
  async write(batchTime: BatchTime): Promise<void> {
    if (!(await this.#options.journal.hasCheckpointRoom())) return this.#options.onPostponed();
    const { app, storeId, codeVersion, graph, journal, checkpoints, states } = this.#options;
    const { ledger } = journal;
    const number = this.#nextNumber;
    this.#nextNumber += 1;
    const snapshot = { ...ledger, batches: ledger.batches.filter((batch) => batch.batchTime > batchTime) };
    const { lsn } = snapshot;
    const metadata = encodeMetadata({ graph, codeVersion, neededLsn: neededLsn(snapshot) });
    const collected = [...states.values()].map((state) => state.collect());
    const changed = collected.flatMap((state) => state.changed);
    const encoded = encodeLedger(snapshot);
    publish('checkpoint-started', () => ({ app, number, batchTime }));
    const stored = await checkpoints.write({
      number,
      lsn,
      batchTime,
      app,
      storeId,
      metadata,
      previous: this.#retained[0],
      ledger: encoded,
      changed,
      kept: collected.flatMap((state) => state.kept),
    });
    await journal.append({ kind: 'checkpoint', number, batchTime, lsn, headHash: stored.hash });
    for (const state of states.values()) state.saved(stored.head.slots);
    this.#retained = [stored, ...this.#retained].slice(0, HEADS_RETAINED);
    forgetBatches(ledger, batchTime);
    await checkpoints.retain(this.#retained);
    await journal.cut(lowWater(this.#retained.map(({ head }) => decodeMetadata(head.metadata).neededLsn)));
    this.#options.onCut();
    publish('checkpoint-written', () => ({ app, number, batchTime, slots: changed.length }));
  }
}
