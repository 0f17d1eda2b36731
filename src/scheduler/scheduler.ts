// Runs batches one after another: plan, run, complete, checkpoint. Nothing of a batch runs before its plan is durable, nothing of the next before its completion is.
import { present } from '../core/assert.ts';
import { publish, type RecoveryEstimate } from '../core/diagnostics.ts';
import { graphFingerprint } from '../core/graph-descriptor.ts';
import { toHex, type Uid } from '../core/ids.ts';
import type { BatchInfo, ListenerBus } from '../core/listener.ts';
import type { BatchTime, Duration, MissedBatches } from '../core/time.ts';
import type { Graph } from '../dstream/graph.ts';
import type { Env } from '../env/env.ts';
import { pause } from '../env/pause.ts';
import type { TaskRunner } from '../executor/task-runner.ts';
import type { Journal } from '../journal/journal.ts';
import type { BatchPlanned } from '../journal/events.ts';
import type { LedgerBatch, LoggedBlock } from '../journal/ledger.ts';
import { planBatch, planReplacement, type BatchLimits, type PlanRequest, type SourceOffer } from '../journal/plan-batch.ts';
import type { SinkView } from '../sinks/sink.ts';
import type { KeyedState } from '../state/keyed-state.ts';
import { BatchClock } from './batch-clock.ts';
import { BatchCosts } from './batch-costs.ts';
import { BatchWork } from './batch-work.ts';
import type { Checkpointer } from './checkpointer.ts';
import { estimateRecovery, type MeasuredLife } from './recovery-estimate.ts';
import { runBatch } from './run-batch.ts';

const PLAN_ID_BYTES = 16;
const NOTHING_LOST: ReadonlySet<Uid> = new Set();

/** What the scheduler works with. */
export interface SchedulerOptions {
  readonly env: Env;
  readonly app: string;
  readonly codeVersion: string;
  readonly graph: Graph;
  readonly interval: Duration;
  /** The last batch that a plan, a checkpoint or a row of a sink names; 0 if there is none. */
  readonly lastBatchTime: BatchTime;
  /** What becomes of the intervals since then. */
  readonly missedBatches: MissedBatches;
  readonly journal: Journal;
  readonly states: Map<Uid, KeyedState>;
  readonly checkpointer: Checkpointer;
  readonly views: ReadonlyMap<Uid, SinkView>;
  readonly tasks: TaskRunner;
  readonly limits: BatchLimits;
  readonly listeners: ListenerBus;
  /** Asks the sources that are asked at each batch. */
  readonly poll: () => Promise<ReadonlyMap<Uid, SourceOffer>>;
}

/** Runs the batches of a context. */
export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #clock: BatchClock;
  readonly #fingerprint: string;
  /** When the newest plan became durable. */
  #submittedMs = 0;
  readonly #costs = new BatchCosts();
  #start: MeasuredLife['start'] | undefined;
  /** Aborted when no further batch must begin. */
  readonly #ending = new AbortController();

  constructor(options: SchedulerOptions) {
    this.#options = options;
    this.#clock = new BatchClock(options.env.clock, options.interval, { last: options.lastBatchTime, missedBatches: options.missedBatches });
    this.#fingerprint = graphFingerprint(options.graph.descriptor);
  }

  /** Says what the start took, without the batches that ran again: from here on there is an estimate of the next one. */
  calibrate(start: MeasuredLife['start']): void {
    this.#start = start;
  }

  /** How long the next start would take if the driver died now; undefined until it is known what this one took. */
  get recoveryEstimate(): RecoveryEstimate | undefined {
    if (this.#start === undefined) return undefined;
    const { graph, journal, checkpointer } = this.#options;
    const { batches } = journal.ledger;
    const batchesMs = this.#costs.again(batches, graph.stateful.length > 0);
    const facts = { logBytes: journal.validBytes, stateBytes: checkpointer.stateBytes, batchesMs };
    return estimateRecovery(facts, { start: this.#start, ...this.#costs.firstOf(batches) });
  }

  /** Says what the next start would take now. */
  publishEstimate(): void {
    if (this.#start === undefined) return;
    publish('recovery-estimated', () => ({ app: this.#options.app, ...present(this.recoveryEstimate, 'the start was measured') }));
  }

  /** Runs again what a crash left: batches from their plans, oldest first. */
  async runAgain(batches: readonly { readonly batch: LedgerBatch; readonly action: 'rerun' | 'state-only' }[]): Promise<void> {
    const { env, journal } = this.#options;
    const lost = new Set<Uid>();
    for (const { batch, action } of batches) {
      // State that lacks records makes every later batch another.
      for (const stream of journal.lostStreams(batch)) lost.add(stream);
      if (lost.size > 0)
        env.logger.warn(
          { batchTime: batch.batchTime, streams: [...lost] },
          'a batch runs again without records that were not logged: what transactional sinks hold of it that is made of these streams stays',
        );
      await this.#run(batch, action, lost);
    }
  }

  /** Runs the inputs of batches that were replaced, oldest first, each in the batch that was promised to it. */
  async runReplacements(): Promise<void> {
    const { ledger } = this.#options.journal;
    for (let [next] = ledger.replacing; next !== undefined; [next] = ledger.replacing)
      await this.#run(await this.#submit(planReplacement(next, this.#request())), 'first');
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

  /**
   * After the end: runs what still waits, whose interval ends early, and writes a checkpoint if anything happened since the last. Sources that are asked at each batch are not asked:
   * what they have stays where it is.
   */
  async drain(): Promise<void> {
    const { graph, journal, checkpointer } = this.#options;
    const left = journal.ledger.batches.at(-1);
    if (left !== undefined && left.completion === undefined) await this.#run(left, 'first');
    const streams = new Set(graph.sources.map((source) => source.uid));
    while (journal.ledger.waiting.some(({ stream }) => streams.has(stream))) await this.#run(await this.#plan(new Map()), 'first');
    await checkpointer.settled();
    const last = journal.ledger.batches.at(-1);
    if (last !== undefined) await checkpointer.write(last.batchTime);
  }

  async #runNext(): Promise<void> {
    // What is asked at each batch had nothing to answer while nobody asked: it waits for the first batch whose interval is of this life.
    const offers = this.#clock.isNextMissed ? new Map<Uid, SourceOffer>() : await this.#options.poll();
    const batch = await this.#plan(offers);
    await this.#run(batch, 'first');
    const { checkpointer } = this.#options;
    if (checkpointer.isDue(batch.batchTime)) await checkpointer.begin(batch.batchTime);
  }

  async #plan(offers: ReadonlyMap<Uid, SourceOffer>): Promise<LedgerBatch> {
    const { journal, limits } = this.#options;
    const batch = await this.#submit(planBatch(journal.ledger, { ...this.#request(), batchTime: this.#clock.next, offers, limits }));
    this.#clock.advance();
    return batch;
  }

  #request(): Omit<PlanRequest, 'batchTime' | 'offers' | 'limits'> {
    const { env, graph, codeVersion } = this.#options;
    return {
      planId: toHex(env.random.bytes(PLAN_ID_BYTES)),
      streams: graph.sources.map((source) => source.uid),
      filePartitions: (stream, files) => graph.filePartitions(stream, files),
      partitionsOf: (inputs) => graph.partitionsOf(inputs),
      graphFingerprint: this.#fingerprint,
      codeVersion,
    };
  }

  async #submit(plan: BatchPlanned): Promise<LedgerBatch> {
    const { app, journal, listeners } = this.#options;
    await journal.append(plan);
    const batch = present(journal.ledger.batches.at(-1), `batch ${plan.batchTime} is planned`);
    publish('batch-planned', () => ({ app, batchTime: plan.batchTime, recordCount: recordCountOf(batch) }));
    this.#submittedMs = this.#clock.nowMs;
    listeners.post('onBatchSubmitted', () => this.#infoOf(batch, false));
    return batch;
  }

  #infoOf(batch: LedgerBatch, isRerun: boolean): BatchInfo {
    const inputs = [...batch.inputs];
    return {
      batchTime: batch.batchTime,
      recordCounts: new Map(inputs.flatMap(([stream, { blocks }]) => (blocks.length === 0 ? [] : [[stream, recordsOf(blocks)]]))),
      fileCounts: new Map(inputs.flatMap(([stream, { files }]) => (files.length === 0 ? [] : [[stream, files.length]]))),
      isRerun,
      submittedMs: isRerun ? this.#clock.nowMs : this.#submittedMs,
    };
  }

  async #run(batch: LedgerBatch, mode: 'first' | 'rerun' | 'state-only', lost: ReadonlySet<Uid> = NOTHING_LOST): Promise<void> {
    const { app, env, graph, journal, states, tasks, views, listeners } = this.#options;
    const { batchTime } = batch;
    const { defaultParallelism } = graph;
    const work = new BatchWork({ app, files: env.files, defaultParallelism, batch, journal, states, tasks });
    const now = (): number => env.clock.monotonic();
    const options = { app, graph, batch, work, ledger: journal.ledger, tasks, views, listeners, lost, now };
    const begunMs = now();
    let appendMs = 0;
    if (mode === 'state-only') await runBatch(options, mode);
    else {
      const startedMs = this.#clock.nowMs;
      const schedulingDelayMs = mode === 'first' ? this.#clock.delayMs(batchTime) : Math.max(0, startedMs - batchTime);
      const started = { ...this.#infoOf(batch, mode === 'rerun'), startedMs, schedulingDelayMs };
      listeners.post('onBatchStarted', () => started);
      const written = await runBatch(options, mode);
      const stateDigest = work.digest();
      const computedMs = now();
      await journal.append({ kind: 'batch-completed', batchTime, written, stateDigest });
      appendMs = now() - computedMs;
      const completedMs = this.#clock.nowMs;
      const processingDelayMs = completedMs - startedMs;
      publish('batch-completed', () => ({ app, batchTime, isRerun: mode === 'rerun' }));
      listeners.post('onBatchCompleted', () => ({ ...started, completedMs, processingDelayMs, totalDelayMs: schedulingDelayMs + processingDelayMs }));
    }
    work.merge();
    journal.release(batch);
    const { outputMs } = work;
    const ms = Math.max(0, now() - begunMs - appendMs - outputMs);
    this.#costs.note({ batchTime, ms, records: recordCountOf(batch), outputMs: outputMs + appendMs }, journal.ledger.batches);
    this.publishEstimate();
  }
}

function recordsOf(blocks: readonly LoggedBlock[]): number {
  return blocks.reduce((sum, block) => sum + block.recordCount, 0);
}

function recordCountOf(batch: LedgerBatch): number {
  let records = 0;
  for (const { blocks } of batch.inputs.values()) records += recordsOf(blocks);
  return records;
}
