// A running program: what start() puts together, and the one place that says in which order it is taken apart.
import { publish, type RecoveryEstimate } from '../core/diagnostics.ts';
import { AbortError, toError, UsageError } from '../core/errors.ts';
import type { CompletedBatch, ListenerBus } from '../core/listener.ts';
import type { Graph } from '../dstream/graph.ts';
import type { GuardedStore } from '../checkpoint/guarded-store.ts';
import type { Env } from '../env/env.ts';
import { createTaskRunner, DEFAULT_ATTEMPTS, isInsideTask } from '../executor/task-runner.ts';
import type { LogStatus } from '../journal/journal.ts';
import type { Acceptance } from '../recovery/judge-consent.ts';
import { recover, type Recovered } from '../recovery/recover.ts';
import { Checkpointer } from '../scheduler/checkpointer.ts';
import { Scheduler } from '../scheduler/scheduler.ts';
import { PidRateEstimator } from '../sources/pid-rate-estimator.ts';
import { PolledSources } from '../sources/polled-sources.ts';
import { ReceiverRunner, type ReceiverLimits } from '../sources/receiver-runner.ts';
import { RECORD_BYTES_MAX, type ResolvedContextOptions } from './options.ts';

const GROUP_BYTES_MAX = 4 * 1024 * 1024;

/** The last group of the log is marked as durable when nothing was appended for this long. */
const IDLE_MARK_MS = 1000;

/** What a driver is made of. */
export interface DriverOptions {
  readonly env: Env;
  /** The same, with the files of the store. */
  readonly storeEnv: Env;
  readonly directory: string;
  /** Whether the store is on a disk, not in memory. */
  readonly isDurable: boolean;
  readonly settings: ResolvedContextOptions;
  readonly graph: Graph;
  /** What may be given up. */
  readonly accept: Acceptance;
  /** Whether only what is there is brought to its end: nothing is received. */
  readonly drain: boolean;
  readonly store: GuardedStore;
  readonly isStoreOpen: boolean;
  readonly listeners: ListenerBus;
  /** When the start began, on the monotonic clock; earlier by what opening the store took before. */
  readonly begunMs: number;
  /** Stops the context with an error. */
  readonly fail: (error: Error) => void;
}

/** The parts of a running program. */
export class Driver {
  readonly #options: DriverOptions;
  readonly #tasks = new AbortController();
  #recovered: Recovered | undefined;
  #scheduler: Scheduler | undefined;
  #checkpointer: Checkpointer | undefined;
  #receivers: readonly ReceiverRunner[] = [];
  #loop: Promise<void> = Promise.resolve();
  /** What stopped the context. */
  #failure: Error | undefined;

  constructor(options: DriverOptions) {
    this.#options = options;
  }

  /** Whether the caller is a user function of a batch that waits for it. */
  get isInsideBatch(): boolean {
    return isInsideTask(this.#tasks.signal);
  }

  /** Refuses a call that would wait for the batch it is made in. */
  refuseInsideBatch(method: string): void {
    if (!this.isInsideBatch) return;
    throw new UsageError(
      'STREAM_ILLEGAL_STATE',
      `Cannot call ${method} in a user function of a batch as the batch must end before the context can: it would wait for itself. Call it in the main program, and stop() here`,
    );
  }

  /** Recovers the store, runs again what must, and starts the receivers and the batches. */
  async start(): Promise<void> {
    const { env, settings, graph, listeners, store } = this.#options;
    const { applicationId: app, version: codeVersion } = settings;
    const recovered = await this.#recover();
    this.#recovered = recovered;
    await store.settle();
    await this.#throwIfFailed();
    const { journal, states, migrations, views, identity } = recovered;
    if (recovered.restoredFrom !== undefined)
      env.logger.warn({ savepoint: recovered.restoredFrom }, 'the checkpoints are damaged: a registered savepoint and the log behind it took their place');
    for (const migration of migrations) env.logger.info({ ...migration }, 'state was migrated');
    const tasks = createTaskRunner(env.clock, this.#tasks.signal, { ...DEFAULT_ATTEMPTS, attemptsMax: settings.taskAttemptsMax });
    const checkpointer = new Checkpointer({
      app,
      storeId: identity.storeId,
      codeVersion,
      graph: graph.descriptor,
      interval: settings.checkpointInterval,
      clock: env.clock,
      journal,
      checkpoints: recovered.checkpoints,
      states,
      retained: recovered.retained,
      nextNumber: recovered.nextCheckpoint,
      savepointNeeds: recovered.savepoints.map(({ neededLsn }) => neededLsn),
      isOwner: () => recovered.watch.isOwner(),
      signal: this.#tasks.signal,
      onFailed: this.#fail,
      onCovered: () => this.#scheduler?.publishEstimate(),
      onCut: () => this.#wakeReceivers(),
      onPostponed: () => env.logger.warn({ directory: this.#options.directory }, 'a checkpoint is postponed: the disk has no room for it'),
    });
    this.#checkpointer = checkpointer;
    graph.output = env.output;
    const polled = this.#createPolled(recovered);
    const scheduler = new Scheduler({
      env,
      app,
      codeVersion,
      graph,
      interval: settings.batchInterval,
      lastBatchTime: recovered.lastBatchTime,
      missedBatches: settings.missedBatches,
      journal,
      states,
      checkpointer,
      views,
      tasks,
      limits: { recordsMax: settings.batchRecordsMax, bytesMax: settings.batchBytesMax },
      listeners,
      poll: () => polled.poll(),
    });
    this.#scheduler = scheduler;
    await this.#runAgain(scheduler, recovered);
    if (!this.#options.drain) {
      await polled.begin();
      this.#receivers = this.#createReceivers(recovered);
    }
    recovered.space.add({ retryDecisions: () => undefined, resume: () => this.#wakeReceivers() });
    await recovered.space.begin();
    await this.#throwIfFailed();
    this.#followBatches();
    listeners.post('onStreamingStarted', () => ({ time: env.clock.now() }));
    for (const receiver of this.#receivers) receiver.start();
    if (this.#options.drain) return;
    this.#loop = scheduler.run();
    this.#loop.catch((error: unknown) => this.#fail(toError(error)));
  }

  /** Runs what a crash left, and says what the start took. */
  async #runAgain(scheduler: Scheduler, recovered: Recovered): Promise<void> {
    const { env, settings, begunMs, isDurable } = this.#options;
    const { identity, batches, read } = recovered;
    this.#tellReplaced(recovered);
    const start = { ms: env.clock.monotonic() - begunMs, ...read };
    await scheduler.runAgain(batches);
    await scheduler.runReplacements();
    await this.#throwIfFailed();
    const durationMs = Math.round(env.clock.monotonic() - begunMs);
    const bytes = read.logBytes + read.stateBytes;
    publish('recovery-completed', () => ({ app: settings.applicationId, epoch: identity.epoch, batchesRerun: batches.length, durationMs, bytes }));
    if (!isDurable) return;
    env.logger.info({ durationMs, batchesRerun: batches.length, bytes }, 'recovery completed');
    scheduler.calibrate(start);
  }

  /** Says which partitions may be there twice, because their batch was replaced. */
  #tellReplaced({ replaced, identity }: Recovered): void {
    const { env, settings } = this.#options;
    for (const { batchTime, by, committed } of replaced) {
      const maybeTwice = Object.fromEntries([...committed].map(([sink, partitions]) => [sink, [...partitions.keys()]]));
      env.logger.warn({ batchTime, by, maybeTwice }, 'a batch is replaced: what the sinks hold of it stays, and its records run again in another batch');
      publish('batch-replaced', () => ({ app: settings.applicationId, epoch: identity.epoch, batchTime, by, maybeTwice }));
    }
  }

  readonly #fail = (error: Error): void => {
    this.#failure ??= error;
    this.#options.fail(error);
  };

  /** A failure in the background during the start stopped the context already: what was opened since then is closed, and the start says why. */
  async #throwIfFailed(): Promise<void> {
    if (this.#failure === undefined) return;
    await this.stopAtOnce();
    throw this.#failure;
  }

  /**
   * Stops in order: receivers and what they buffered, batches in flight, one last batch, checkpoint, the mark of a clean stop, then sinks, log and store.
   * Rejects if any of it fails; everything is closed all the same.
   */
  async stopGracefully(): Promise<void> {
    try {
      this.#recovered?.journal.refuseWaitingBlocks();
      await Promise.all(this.#receivers.map((receiver) => receiver.stop(true)));
      this.#scheduler?.end();
      await this.#loop;
      await this.#scheduler?.drain();
      await this.#recovered?.journal.append({ kind: 'closed' });
    } finally {
      await this.stopAtOnce();
    }
  }

  /** Gives up what runs: receivers drop what is not durable, tasks end at their next step, everything is closed. Safe to call again. */
  async stopAtOnce(): Promise<void> {
    this.#tasks.abort();
    this.#recovered?.journal.giveUp();
    await Promise.all(this.#receivers.map((receiver) => receiver.stop(false)));
    this.#scheduler?.end();
    await this.#loop.catch((error: unknown) => {
      // The loop's own failure was reported when it came up; here it only has to be over.
      if (!(error instanceof AbortError)) return;
    });
    // So was that of a checkpoint; the store stays open until it has ended.
    await this.#checkpointer?.settled().catch(() => undefined);
    await this.#close();
  }

  /** Makes tasks end at their next step and gives up what waits for room on the disk, for a stop that must not wait any longer. */
  abortTasks(): void {
    this.#tasks.abort();
    this.#recovered?.journal.giveUp();
  }

  async #close(): Promise<void> {
    const { graph, store } = this.#options;
    const closings = graph.outputs.flatMap((output) => (output.kind === 'sink' ? [() => output.sink.close()] : []));
    const journal = this.#recovered?.journal;
    if (journal !== undefined) closings.push(() => journal.close());
    const watch = this.#recovered?.watch;
    if (watch !== undefined) closings.push(() => watch.close());
    closings.push(() => store.close());
    const errors: Error[] = [];
    for (const close of closings) {
      try {
        await close();
      } catch (error) {
        errors.push(toError(error));
      }
    }
    const [first] = errors;
    if (first !== undefined) throw errors.length === 1 ? first : new AggregateError(errors, 'Cannot close all parts of the context');
  }

  #recover(): Promise<Recovered> {
    const { storeEnv, directory, isDurable, settings, graph, accept, store, isStoreOpen } = this.#options;
    return recover({
      env: storeEnv,
      directory,
      app: settings.applicationId,
      codeVersion: settings.version,
      graph: graph.descriptor,
      accept,
      outputs: graph.outputs.flatMap((output) => (output.kind === 'sink' ? [{ uid: output.uid, sink: output.sink }] : [])),
      stateful: graph.stateful,
      store,
      isStoreOpen,
      limits: {
        segmentBytesMax: settings.segmentBytesMax,
        recordBytesMax: RECORD_BYTES_MAX,
        groupBytesMax: GROUP_BYTES_MAX,
        idleMarkMs: IDLE_MARK_MS,
        isPrepared: isDurable,
        blockCacheBytesMax: settings.blockCacheBytesMax,
        ballastBytes: isDurable ? settings.ballastBytes : 0,
      },
      onPoisoned: this.#fail,
    });
  }

  #wakeReceivers(): void {
    for (const receiver of this.#receivers) receiver.wake();
  }

  /** How the log fares; undefined before it is open. */
  get logStatus(): LogStatus | undefined {
    return this.#recovered?.journal.status;
  }

  /** How long the next start would take; undefined before this one has recovered, and where nothing outlives the process. */
  get recoveryEstimate(): RecoveryEstimate | undefined {
    return this.#scheduler?.recoveryEstimate;
  }

  #createPolled({ journal }: Recovered): PolledSources {
    const { env, settings, graph } = this.#options;
    const sources = graph.sources.filter((source) => source.kind === 'polled');
    return new PolledSources({ env, journal, batchBytesMax: settings.batchBytesMax, sources });
  }

  #createReceivers({ journal }: Recovered): readonly ReceiverRunner[] {
    const { env, settings, graph, listeners } = this.#options;
    const fail = this.#fail;
    const { applicationId: app } = settings;
    const limits = receiverLimits(settings);
    return graph.sources
      .filter((source) => source.kind === 'receiver')
      .map(({ uid, receiver, isLogged }) => new ReceiverRunner({ env, app, uid, receiver, journal, isLogged, listeners, fail, limits }));
  }

  /** Lets receivers go on when a batch has taken what waited, and sets their rates by how each batch went. */
  #followBatches(): void {
    const { settings, listeners } = this.#options;
    const receivers = this.#receivers;
    const { backpressure: gains, batchInterval, receiverRateMax } = settings;
    const estimators = gains === undefined ? undefined : new Map(receivers.map((receiver) => [receiver.uid, new PidRateEstimator(batchInterval, gains)]));
    const setRates = ({ recordCounts, completedMs, processingDelayMs, schedulingDelayMs }: CompletedBatch): void => {
      for (const receiver of receivers) {
        const records = recordCounts.get(receiver.uid) ?? 0;
        const rate = estimators?.get(receiver.uid)?.update({ timeMs: completedMs, records, processingDelayMs, schedulingDelayMs });
        if (rate !== undefined) receiver.rate = Math.min(rate, receiverRateMax);
      }
    };
    listeners.add({
      onBatchSubmitted: () => this.#wakeReceivers(),
      ...(estimators === undefined ? {} : { onBatchCompleted: setRates }),
    });
  }
}

function receiverLimits(settings: ResolvedContextOptions): ReceiverLimits {
  return {
    blockIntervalMs: settings.blockInterval,
    blockBytesMax: settings.blockBytesMax,
    blockRecordsMax: settings.blockRecordsMax,
    bufferBytesMax: settings.receiverBufferBytesMax,
    recordBytesMax: RECORD_BYTES_MAX / 2,
    restartDelayMs: settings.receiverRestartDelay,
    backlogBytesMax: settings.backlogBytesMax,
    logBytesMax: settings.logBytesMax,
    rate: Math.min(settings.receiverRateMax, settings.backpressure?.initialRate ?? settings.receiverRateMax),
  };
}
