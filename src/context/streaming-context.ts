// StreamingContext: a streaming program, its graph and its life cycle.
import { resolve } from 'node:path';
import { present } from '../core/assert.ts';
import type { RecoveryEstimate } from '../core/diagnostics.ts';
import { createDeferred } from '../core/deferred.ts';
import { ListenerBus, type StreamingListener } from '../core/listener.ts';
import type { Duration } from '../core/time.ts';
import { AbortError, toError, UsageError } from '../core/errors.ts';
import { refuseUnknownOptions, wholeOption } from '../core/options.ts';
import { createLevelCheckpointStore } from '../checkpoint/level-checkpoint-store.ts';
import { Graph, type OutputNode, type StatefulNode } from '../dstream/graph.ts';
import type { LogStatus } from '../journal/journal.ts';
import { createNodeEnv } from '../env/node-env.ts';
import { pause } from '../env/pause.ts';
import { RddContext } from '../rdd/rdd-context.ts';
import { withDirectoryErrors } from '../recovery/directory-errors.ts';
import { stateCodecsOf, type Program } from '../recovery/bound-batches.ts';
import { requireExactlyOnce } from '../dstream/explain.ts';
import { refuseWithoutDirectory, volatileSettings } from './volatile.ts';
import { attachStore, type Attachment, type AttachOptions } from './attach-store.ts';
import { noteOwner } from './directory-lock.ts';
import { Driver } from './driver.ts';
import { resolveOpening, type GetOrCreateOptions, type StopOptions } from './opening-options.ts';
import { LIFE_CYCLE, type ContextEvent, type ContextState } from './life-cycle.ts';
import { resolveContextOptions, type ResolvedContextOptions, type StreamingContextOptions } from './options.ts';
import { StreamSources } from './stream-sources.ts';

/**
 * One streaming program: a graph of streams and outputs, a batch interval, a life cycle. Made by a `create` function, which {@link StreamingContext.getOrCreate} calls.
 *
 * @example
 * ```ts
 * import { StreamingContext, levelSink, seconds } from 'millrace';
 *
 * function create(): StreamingContext {
 *   const context = new StreamingContext({ appName: 'word-count', batchInterval: seconds(1) });
 *   context
 *     .socketTextStream('localhost', 9999)
 *     .flatMap((line) => line.split(' '))
 *     .map((word) => [word, 1])
 *     .updateStateByKey<number>((values, sum = 0) => values.reduce((a, b) => a + b, sum), { uid: 'counts' })
 *     .saveTo(levelSink({ directory: './wordcount', key: ([word]) => word, value: ([, count]) => count }), { uid: 'totals' });
 *   return context;
 * }
 *
 * await using context = await StreamingContext.getOrCreate('./data', create);
 * await context.start();
 * await context.stop();
 * ```
 */
export class StreamingContext extends StreamSources implements AsyncDisposable {
  readonly #settings: ResolvedContextOptions;
  readonly #termination = createDeferred();
  readonly #listeners = new ListenerBus((error) => this.#attachment?.env.logger.warn({ err: error }, 'a listener threw'));
  #state: ContextState = 'created';
  #drains = false;
  /** How long `getOrCreate` took. */
  #openedMs = 0;
  #attachment: Attachment | undefined;
  #driver: Driver | undefined;
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;

  /**
   * Makes a context that has no store directory yet: `getOrCreate` gives it one. Started without, it keeps its log in memory, and nothing of it outlives the process: for tests and
   * queues. Operators with state and transactional sinks need a directory.
   *
   * @throws {UsageError} If an option is missing, unknown or out of range.
   */
  constructor(options: StreamingContextOptions) {
    const settings = resolveContextOptions(options);
    const { batchInterval, defaultParallelism, rddContext, missedBatches } = settings;
    super({
      graph: new Graph(batchInterval, defaultParallelism),
      rddContext: rddContext ?? new RddContext({ defaultParallelism }),
      isLogged: settings.writeAheadLog,
      missedBatches,
    });
    this.#settings = settings;
  }

  /**
   * Builds the program with `create` and gives it a store directory. If the directory holds a store, `start()` goes on from it: state, waiting records and unfinished batches are
   * attached to the graph of today's code. Takes the lock of the directory, makes it if it is missing, reads and compares; nothing else changes before `start()`.
   *
   * @param directory - The store directory, for this program alone.
   * @param create - Builds the graph and returns the context; called every time.
   * @returns The context that `create` made. Nothing runs yet.
   * @throws {LockedError} If another driver has the directory.
   * @throws {UsageError} If the store belongs to another application, or the directory cannot be used.
   * @throws {CorruptionError} If the store is damaged or of a newer format.
   */
  static async getOrCreate(
    directory: string,
    create: () => StreamingContext | Promise<StreamingContext>,
    options: GetOrCreateOptions = {},
  ): Promise<StreamingContext> {
    const { accept, drain, fromSavepoint } = resolveOpening(options);
    const env = options.env ?? createNodeEnv(options.logger);
    const begunMs = env.clock.monotonic();
    const context: unknown = await create();
    if (!(context instanceof StreamingContext)) {
      throw new UsageError(
        'STREAM_INVALID_GRAPH',
        `Cannot open "${directory}" as create must return a StreamingContext: it returned ${context === null ? 'null' : typeof context}`,
      );
    }
    RddContext.attach(context.rddContext, env);
    context.#drains = drain;
    await context.#attach({ env, directory: resolve(directory), createStore: options.checkpointStore ?? createLevelCheckpointStore, accept, fromSavepoint });
    context.#openedMs = env.clock.monotonic() - begunMs;
    return context;
  }

  /**
   * What the tools compare a store with.
   *
   * @internal
   */
  static describe(
    context: StreamingContext,
  ): Program & { readonly app: string; readonly stateful: readonly StatefulNode[]; readonly outputs: readonly OutputNode[] } {
    const { applicationId: app, version: codeVersion } = context.#settings;
    const { descriptor, stateful, outputs } = context.graph;
    return { app, graph: descriptor, codeVersion, stateCodecs: stateCodecsOf(stateful), stateful, outputs };
  }

  /** The state of the context. */
  get state(): ContextState {
    return this.#state;
  }

  /** How the write-ahead log fares: its size, whether the disk is full, how long its syncs take. Undefined while it is not open. */
  get logStatus(): LogStatus | undefined {
    return this.#driver?.logStatus;
  }

  /**
   * How long the next start would take if the process died now, how many batches it would run again and how many bytes it would read. Undefined before the context is running, and without a
   * directory. Batches that no checkpoint covers count with the time they took, the rest with what the start of this process took: docs/observability.md says how good it is.
   */
  get recoveryEstimate(): RecoveryEstimate | undefined {
    return this.#state === 'running' || this.#state === 'stopping' ? this.#driver?.recoveryEstimate : undefined;
  }

  /** Tells a listener of everything that happens from here on. */
  addListener(listener: StreamingListener): void {
    this.#listeners.add(listener);
  }

  /** Tells a listener no more. */
  removeListener(listener: StreamingListener): void {
    this.#listeners.remove(listener);
  }

  /**
   * Starts the program: recovers what a crash left, then receives and runs batches. Resolves when everything that had to run again has, and the receivers are started; with `drain`, when
   * everything that had to run again has.
   * A start that fails leaves the context failed and its directory free.
   *
   * @throws {UsageError} If the context was started or stopped before, has no output, has no directory where it needs one; if its graph cannot take over the store, consent is missing or needless, or
   * other code planned what must run again.
   * @throws {LockedError} If a newer driver has taken over.
   * @throws {CorruptionError} If store or sinks contradict each other.
   * @throws {StorageError} If the storage failed.
   */
  async start(): Promise<void> {
    this.#move('start', 'start');
    this.graph.close('started');
    this.#starting = this.#start();
    await this.#starting;
  }

  async #start(): Promise<void> {
    try {
      const { env, storeEnv, isDurable, directory, store, isStoreOpen, accept } = await this.#requireReady();
      const begunMs = env.clock.monotonic() - this.#openedMs;
      await withDirectoryErrors(directory, async () => {
        await noteOwner(storeEnv, directory);
        const listeners = this.#listeners;
        this.#driver = new Driver({
          env,
          storeEnv,
          directory,
          isDurable,
          settings: isDurable ? this.#settings : volatileSettings(this.#settings),
          graph: this.graph,
          accept,
          drain: this.#drains,
          store,
          isStoreOpen,
          listeners,
          begunMs,
          fail: (error) => this.#fail(error),
        });
        await this.#driver.start();
      });
    } catch (thrown) {
      const error = toError(thrown);
      // The caller hears it from here; awaitTermination tells everybody else.
      this.#termination.promise.catch(() => undefined);
      this.#fail(error);
      await this.#stopping;
      throw error;
    }
    this.#move('started', 'go on');
    this.#attachment?.env.logger.info({ app: this.#settings.applicationId }, 'streaming context started');
    // A failure of the stop reaches awaitTermination.
    if (this.#drains) this.stop().catch(() => undefined);
  }

  /**
   * Stops the program. Gracefully: receivers stop, what they buffered becomes durable, everything received is processed in a last batch, a checkpoint is written; nothing is
   * left to run again. Otherwise work in flight is given up and runs again at the next start. A context that was not started gives up its directory.
   * During a start it waits for the start first. A second call with `graceful: false` hurries a graceful stop.
   * Called by a user function of a batch it only begins the stop and resolves at once: the batch is part of what the stop waits for.
   *
   * @throws {StreamError} If the last batch or the last checkpoint fails.
   */
  async stop(options: StopOptions = {}): Promise<void> {
    refuseUnknownOptions('stop', options, ['graceful', 'rddContext']);
    const isGraceful = options.graceful ?? true;
    if (!isGraceful) this.#driver?.abortTasks();
    // A start under way comes to its end first, whichever it is; its caller hears of a failure.
    if (this.#state === 'starting') await this.#starting?.catch(() => undefined);
    if (this.#move('stop', 'stop')) {
      this.graph.close('stopped');
      this.#stopping = this.#stop(isGraceful);
    }
    const ended = this.#ended(options.rddContext ?? true);
    // A batch that calls waits for this promise, and the stop for the batch: awaitTermination tells how it ends.
    if (this.#driver?.isInsideBatch === true) ended.catch(() => undefined);
    else await ended;
  }

  async #ended(stopsRdds: boolean): Promise<void> {
    try {
      await this.#stopping;
    } finally {
      if (stopsRdds) await this.rddContext.stop();
    }
  }

  /**
   * Waits until the context has stopped.
   *
   * @throws {Error} What stopped it, if that was a failure.
   * @throws {UsageError} If a user function of a batch calls it, which would wait for itself.
   */
  async awaitTermination(): Promise<void> {
    this.#driver?.refuseInsideBatch('awaitTermination');
    return this.#termination.promise;
  }

  /**
   * Waits until the context has stopped, at most for a time.
   *
   * @returns Whether it has stopped.
   * @throws {Error} What stopped it, if that was a failure.
   */
  async awaitTerminationOrTimeout(timeout: Duration): Promise<boolean> {
    this.#driver?.refuseInsideBatch('awaitTerminationOrTimeout');
    const clock = this.#attachment?.env.clock ?? createNodeEnv().clock;
    const waited = new AbortController();
    const stopped = this.#termination.promise.then(() => true).finally(() => waited.abort());
    const timedOut = pause(clock, wholeOption('awaitTerminationOrTimeout', 'timeout', { value: timeout, fallback: timeout, min: 1 }), waited.signal);
    return Promise.race([stopped, timedOut.then(() => (waited.signal.aborted ? stopped : false))]);
  }

  /** Stops gracefully. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #attach(place: Pick<AttachOptions, 'env' | 'directory' | 'createStore' | 'accept' | 'fromSavepoint'>): Promise<void> {
    if (this.#attachment !== undefined)
      throw new UsageError(
        'STREAM_ILLEGAL_STATE',
        `Cannot open "${place.directory}" as create must return a new context each time: this one belongs to "${this.#attachment.directory}"`,
      );
    this.#attachment = await attachStore({ ...place, settings: this.#settings, program: StreamingContext.describe(this) });
  }

  async #requireReady(): Promise<Attachment> {
    if (this.graph.outputs.length === 0)
      throw new UsageError(
        'STREAM_INVALID_GRAPH',
        'Cannot start the context as it must have an output, such as saveTo, foreachRDD or print: it has none, so nothing would run',
      );
    requireExactlyOnce(this.graph, this.explain());
    if (this.#attachment === undefined) {
      refuseWithoutDirectory(this.graph);
      const env = createNodeEnv();
      RddContext.attach(this.rddContext, env);
      await this.#attach({ env, directory: '/memory', createStore: undefined, accept: {}, fromSavepoint: undefined });
    }
    const attachment = present(this.#attachment, 'the context is attached');
    if (attachment.refusal !== undefined) throw attachment.refusal;
    return attachment;
  }

  async #stop(isGraceful: boolean): Promise<void> {
    try {
      try {
        await (isGraceful ? this.#driver?.stopGracefully() : this.#driver?.stopAtOnce());
      } finally {
        await this.#release();
      }
    } catch (thrown) {
      const error = toError(thrown);
      if (!(error instanceof AbortError)) {
        this.#finishFailed(error);
        throw error;
      }
    }
    if (this.#move('stopped', 'stop')) this.#termination.resolve();
  }

  #fail(error: Error): void {
    if (!this.#move('fail', 'fail')) return;
    this.#attachment?.env.logger.error({ err: error }, 'streaming context failed');
    this.graph.close('stopped');
    const earlier = this.#stopping ?? Promise.resolve();
    this.#stopping = (async () => {
      await earlier.catch(() => undefined);
      await this.#driver?.stopAtOnce().catch(() => undefined);
      await this.#release().catch(() => undefined);
      this.#termination.reject(error);
    })();
  }

  #finishFailed(error: Error): void {
    if (this.#move('fail', 'fail')) this.#termination.reject(error);
  }

  async #release(): Promise<void> {
    if (this.#driver === undefined) await this.#attachment?.store.close();
    await this.#attachment?.lock.release();
  }

  /** Moves to the next state; returns false where the event changes nothing. */
  #move(event: ContextEvent, action: string): boolean {
    const next = LIFE_CYCLE[this.#state][event];
    if (next === 'ignored') return false;
    if (next === 'illegal')
      throw new UsageError(
        'STREAM_ILLEGAL_STATE',
        `Cannot ${action} the context as it must be ${event === 'start' ? 'new' : 'running'}: it is ${this.#state}. ${event === 'start' ? 'A context starts once: open a new one with getOrCreate' : 'Wait for start() first'}`,
      );
    this.#state = next;
    return true;
  }
}
