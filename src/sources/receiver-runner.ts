// Runs one receiver: gathers its records into blocks, appends each block to the journal, answers its records when the block is durable, and starts it again when it ends.
import { createDeferred, type Deferred } from '../core/deferred.ts';
import { AbortError, SourceError, StreamError, toError, UsageError } from '../core/errors.ts';
import { publish } from '../core/diagnostics.ts';
import type { Uid } from '../core/ids.ts';
import type { ListenerBus } from '../core/listener.ts';
import type { Env, Timer } from '../env/env.ts';
import { pause } from '../env/pause.ts';
import type { SourceRange } from '../journal/events.ts';
import type { Journal } from '../journal/journal.ts';
import { isDiskFullError } from '../wal/disk-full.ts';
import { BlockBuilder, type BuiltBlock } from './block-builder.ts';
import { RateLimiter } from './rate-limiter.ts';
import type { Receiver, ReceiverContext } from './receiver.ts';
import { recordCodec } from './record-codec.ts';

/** How often a receiver that waits for its rate looks whether the rate has changed. */
const RATE_LOOK_MS = 1000;

/** The limits of a receiver. */
export interface ReceiverLimits {
  /** A block is sealed this long after its first record. */
  readonly blockIntervalMs: number;
  /** A block is sealed when it has this many bytes. */
  readonly blockBytesMax: number;
  /** A block is sealed when it has this many records. */
  readonly blockRecordsMax: number;
  /** Bytes that may be buffered and not yet durable. */
  readonly bufferBytesMax: number;
  /** The largest record. */
  readonly recordBytesMax: number;
  /** The pause before a receiver that ended is started again. */
  readonly restartDelayMs: number;
  /** Bytes of blocks of all receivers that may wait for a batch. */
  readonly backlogBytesMax: number;
  /** Bytes that the log may take on the disk. */
  readonly logBytesMax: number;
  /** Records per second at first. */
  readonly rate: number;
}

/** What a runner works with. */
export interface ReceiverRunnerOptions {
  readonly env: Env;
  readonly app: string;
  readonly uid: Uid;
  readonly receiver: Receiver<unknown>;
  readonly journal: Journal;
  readonly limits: ReceiverLimits;
  readonly listeners: ListenerBus;
  /** Whether its blocks are logged, or only that they came. */
  readonly isLogged: boolean;
  /** Stops the context. */
  readonly fail: (error: Error) => void;
}

/** The answer to all records of a block. A receiver need not look at it: a failed append stops the context in any case. */
function createAnswer(): Deferred {
  const answer = createDeferred();
  answer.promise.catch(() => undefined);
  return answer;
}

/**
 * Turns what is thrown into a rejection. A receiver that does not look at the promise of a refused record ends the process by it: nothing is lost without a word.
 * Only a refusal because the context stops may be passed over.
 */
function asPromise(store: () => Promise<void>): Promise<void> {
  try {
    return store();
  } catch (thrown) {
    const error = toError(thrown);
    const refused = Promise.reject<void>(error);
    if (error instanceof AbortError) refused.catch(() => undefined);
    return refused;
  }
}

/** Runs a receiver until it is stopped. */
export class ReceiverRunner {
  readonly #options: ReceiverRunnerOptions;
  readonly #abort = new AbortController();
  readonly #inFlight = new Set<Promise<void>>();
  readonly #builder = new BlockBuilder();
  readonly #limiter: RateLimiter;
  #building: Deferred | undefined;
  #timer: Timer | undefined;
  #bytesInFlight = 0;
  #waitingForRoom: (() => void)[] = [];
  #loop: Promise<void> = Promise.resolve();

  constructor(options: ReceiverRunnerOptions) {
    this.#options = options;
    this.#limiter = new RateLimiter(options.env.clock, options.limits.rate);
  }

  /** The uid of its stream. */
  get uid(): Uid {
    return this.#options.uid;
  }

  /** Sets how many records per second it may take. */
  set rate(rate: number) {
    this.#limiter.rate = rate;
  }

  /** Lets those go on that wait in `ready()`, if there is room now: a batch took blocks. */
  wake(): void {
    this.#wakeWaiting();
  }

  /** Starts the receiver. */
  start(): void {
    this.#loop = this.#run();
  }

  /**
   * Stops the receiver: from here on nothing is taken. With `isGraceful` it waits for the receiver to end, and what was buffered is durable when the promise resolves;
   * otherwise that is dropped, never having been acknowledged, and a receiver that does not end is left behind.
   */
  async stop(isGraceful: boolean): Promise<void> {
    this.#abort.abort();
    this.#wakeWaiting();
    if (isGraceful) {
      await this.#loop;
      this.#seal();
    } else this.#drop();
    await Promise.allSettled(this.#inFlight);
  }

  async #run(): Promise<void> {
    const { env, uid, receiver, limits, listeners } = this.#options;
    const { signal } = this.#abort;
    const context = this.#createContext();
    while (!signal.aborted) {
      listeners.post('onReceiverStarted', () => ({ stream: uid }));
      try {
        await receiver.run(context);
        if (!signal.aborted) env.logger.warn({ stream: uid }, 'receiver ended; it is started again');
      } catch (thrown) {
        const error = toError(thrown);
        if (!signal.aborted) {
          env.logger.warn({ stream: uid, err: error }, 'receiver failed; it is started again');
          listeners.post('onReceiverError', () => ({ stream: uid, error }));
        }
      }
      listeners.post('onReceiverStopped', () => ({ stream: uid }));
      if (signal.aborted) break;
      await pause(env.clock, limits.restartDelayMs, signal);
      if (!signal.aborted) await this.#settle();
    }
  }

  #createContext(): ReceiverContext<unknown> {
    const { uid, receiver, journal } = this.#options;
    const codec = recordCodec(receiver.codec);
    return {
      stream: uid,
      signal: this.#abort.signal,
      store: (record, range) => asPromise(() => this.#store(Buffer.from(`${codec.encode(record)}\n`), { recordCount: 1, range })),
      storeEncoded: (bytes, recordCount, range) => asPromise(() => this.#store(bytes, { recordCount, range })),
      ready: () => this.#ready(),
      settle: () => this.#settle(),
      position: (partition) => journal.ledger.positions.get(uid)?.get(partition),
      fail: (error) => this.#options.fail(error),
    };
  }

  #store(bytes: Uint8Array, what: { readonly recordCount: number; readonly range: SourceRange | undefined }): Promise<void> {
    const { limits, uid } = this.#options;
    if (this.#abort.signal.aborted) throw new AbortError('STREAM_ABORTED', `Cannot store records of "${uid}" as its receiver must be running: it was stopped`);
    if (bytes.length > limits.recordBytesMax) {
      throw new UsageError(
        'STREAM_RECORD_TOO_LARGE',
        `Cannot store records of "${uid}" as they must have at most ${limits.recordBytesMax} bytes: they have ${bytes.length}`,
      );
    }
    const buffered = this.#builder.bytes + this.#bytesInFlight;
    if (buffered > 0 && buffered + bytes.length > limits.bufferBytesMax) {
      throw new SourceError(
        'STREAM_RECEIVER_BUFFER_FULL',
        `Cannot store ${bytes.length} bytes of "${uid}" as at most ${limits.bufferBytesMax} may be buffered: ${buffered} are; wait for ready() before`,
      );
    }
    if (this.#builder.bytes > 0 && this.#builder.bytes + bytes.length > limits.blockBytesMax) this.#seal();
    this.#builder.add(bytes, what.recordCount, what.range);
    this.#limiter.take(what.recordCount);
    this.#building ??= createAnswer();
    const { promise } = this.#building;
    this.#timer ??= this.#options.env.clock.setTimer(limits.blockIntervalMs, () => this.#seal());
    if (this.#builder.bytes >= limits.blockBytesMax || this.#builder.recordCount >= limits.blockRecordsMax) this.#seal();
    return promise;
  }

  #seal(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const block = this.#builder.take();
    const pending = this.#building;
    this.#building = undefined;
    if (block === undefined || pending === undefined) return;
    const done: Promise<void> = this.#append(block, pending).finally(() => this.#inFlight.delete(done));
    this.#inFlight.add(done);
  }

  async #append(block: BuiltBlock, pending: Deferred): Promise<void> {
    const { app, uid, receiver, journal, isLogged, fail } = this.#options;
    this.#bytesInFlight += block.bytes;
    try {
      const { ranges, recordCount, pieces, bytes } = block;
      const { blockId, lsn } = await journal.appendBlock({
        stream: uid,
        recordCount,
        codec: receiver.codec,
        ...(ranges.length === 0 ? {} : { ranges }),
        ...(isLogged ? {} : { unloggedBytes: bytes }),
        payload: pieces,
      });
      publish('block-added', () => ({ app, stream: uid, blockId, recordCount, lsn }));
      pending.resolve();
    } catch (thrown) {
      const error = toError(thrown);
      pending.reject(error);
      // Without room a block waits; it is refused only because the context stops, which is no failure: its source was told nothing.
      if (isDiskFullError(error)) return;
      fail(error instanceof StreamError ? error : new SourceError('STREAM_RECEIVER', `Cannot add a block of "${uid}": ${error.message}`, { cause: error }));
    } finally {
      this.#bytesInFlight -= block.bytes;
      this.#wakeWaiting();
    }
  }

  #hasRoom(): boolean {
    const { limits, journal } = this.#options;
    return (
      this.#builder.bytes + this.#bytesInFlight < limits.bufferBytesMax / 2 &&
      journal.ledger.waitingBytes < limits.backlogBytesMax &&
      journal.logBytes < limits.logBytesMax &&
      !journal.isDiskFull
    );
  }

  async #ready(): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      const { waitMs } = this.#limiter;
      if (!this.#hasRoom()) await new Promise<void>((resolve) => this.#waitingForRoom.push(resolve));
      else if (waitMs > 0) await pause(this.#options.env.clock, Math.min(waitMs, RATE_LOOK_MS), signal);
      else return;
    }
  }

  #wakeWaiting(): void {
    if (!this.#hasRoom() && !this.#abort.signal.aborted) return;
    const waiting = this.#waitingForRoom;
    this.#waitingForRoom = [];
    for (const resolve of waiting) resolve();
  }

  #drop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#builder.take();
    this.#building?.reject(
      new AbortError('STREAM_ABORTED', `Cannot keep records of "${this.#options.uid}" as they must be sent again: they were dropped before they were durable`),
    );
    this.#building = undefined;
    this.#wakeWaiting();
  }

  async #settle(): Promise<void> {
    this.#drop();
    await Promise.allSettled(this.#inFlight);
  }
}
