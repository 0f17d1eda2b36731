// Runs batches one after another: plan, run, complete, checkpoint. Nothing of a batch runs before its plan is durable, nothing of the next before its completion is.
import { present } from '../core/assert.ts';
import { publish } from '../core/diagnostics.ts';
import { graphFingerprint } from '../core/graph-descriptor.ts';
import { toHex, type Uid } from '../core/ids.ts';
import type { Duration } from '../core/time.ts';
import type { Graph } from '../dstream/graph.ts';
import type { Env } from '../env/env.ts';
import { pause } from '../env/pause.ts';
import type { TaskRunner } from '../executor/task-runner.ts';
import type { Journal } from '../journal/journal.ts';
import type { LedgerBatch } from '../journal/ledger.ts';
import { planBatch } from '../journal/plan-batch.ts';
import type { SinkView } from '../sinks/sink.ts';
import type { KeyedState } from '../state/keyed-state.ts';
import { BatchClock } from './batch-clock.ts';
import { BatchWork } from './batch-work.ts';
import type { Checkpointer } from './checkpointer.ts';
import { runBatch } from './run-batch.ts';

const PLAN_ID_BYTES = 16;

/** What the scheduler works with. */
export interface SchedulerOptions {
  readonly env: Env;
  readonly app: string;
  readonly codeVersion: string;
  readonly graph: Graph;
  readonly interval: Duration;
  readonly journal: Journal;
  readonly states: Map<Uid, KeyedState>;
  readonly checkpointer: Checkpointer;
  readonly views: ReadonlyMap<Uid, SinkView>;
  readonly tasks: TaskRunner;
}

/** Runs the batches of a context. */
export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #clock: BatchClock;
  readonly #fingerprint: string;
  /** Aborted when no further batch must begin. */
  readonly #ending = new AbortController();

  constructor(options: SchedulerOptions) {
    this.#options = options;
    this.#clock = new BatchClock(options.env.clock, options.interval, options.journal.ledger.lastBatchTime);
    this.#fingerprint = graphFingerprint(options.graph.descriptor);
  }

  /** Runs again what a crash left: batches from their plans, oldest first. */
  async runAgain(batches: readonly { readonly batch: LedgerBatch; readonly action: 'rerun' | 'state-only' }[]): Promise<void> {
    for (const { batch, action } of batches) await this.#run(batch, action);
  }

  /** Runs a batch at the end of each interval until {@link end} is called; resolves when the last one is done. */
  async run(): Promise<void> {
    const { signal } = this.#ending;
    while (!signal.aborted) {
      await pause(this.#options.env.clock, this.#clock.untilNextMs, signal);
      if (!signal.aborted) await this.#runNext();
    }
  }

  /** Lets the batch in flight finish and begins no other. */
  end(): void {
    this.#ending.abort();
  }

  /** After the end: runs what still waits as one last batch, whose interval ends early, and writes a checkpoint if anything happened since the last. */
  async drain(): Promise<void> {
    const { journal, checkpointer } = this.#options;
    if (journal.ledger.waiting.length > 0) await this.#plan();
    const last = journal.ledger.batches.at(-1);
    if (last === undefined) return;
    if (last.completion === undefined) await this.#run(last, 'first');
    if (journal.ledger.batches.length > 0) await checkpointer.write(last.batchTime);
  }

  async #runNext(): Promise<void> {
    const { batchTime } = await this.#plan();
    const { journal, checkpointer } = this.#options;
    await this.#run(present(journal.ledger.batches.at(-1), `batch ${batchTime} is planned`), 'first');
    if (checkpointer.isDue(batchTime)) await checkpointer.write(batchTime);
  }

  async #plan(): Promise<LedgerBatch> {
    const { app, env, graph, journal, codeVersion } = this.#options;
    const plan = planBatch(journal.ledger, {
      batchTime: this.#clock.next,
      planId: toHex(env.random.bytes(PLAN_ID_BYTES)),
      streams: graph.sources.map((source) => source.uid),
      partitionsOf: (blocks) => graph.partitionsOf(blocks),
      graphFingerprint: this.#fingerprint,
      codeVersion,
    });
    await journal.append(plan);
    this.#clock.advance();
    const batch = present(journal.ledger.batches.at(-1), `batch ${plan.batchTime} is planned`);
    publish('batch-planned', () => ({ app, batchTime: plan.batchTime, recordCount: recordCountOf(batch) }));
    return batch;
  }

  async #run(batch: LedgerBatch, mode: 'first' | 'rerun' | 'state-only'): Promise<void> {
    const { app, graph, journal, states, tasks, views } = this.#options;
    const { batchTime } = batch;
    const work = new BatchWork({ app, batch, journal, states, tasks });
    const written = await runBatch({ app, graph, batch, work, ledger: journal.ledger, tasks, views }, mode);
    if (mode !== 'state-only') {
      const stateDigest = work.digest();
      await journal.append({ kind: 'batch-completed', batchTime, written, stateDigest });
      publish('batch-completed', () => ({ app, batchTime, isRerun: mode === 'rerun' }));
    }
    work.merge();
  }
}

function recordCountOf(batch: LedgerBatch): number {
  let records = 0;
  for (const blocks of batch.inputs.values()) for (const block of blocks) records += block.recordCount;
  return records;
}
