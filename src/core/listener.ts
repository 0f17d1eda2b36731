// What a running program tells those who listen: typed events in the order in which things happen, under Spark's names.
import type { Uid } from './ids.ts';
import type { BatchTime } from './time.ts';
import { toError } from './errors.ts';

/** A batch, as far as it has come. Times are milliseconds since the Unix epoch, read from the monotonic clock since the start. */
export interface BatchInfo {
  /** The name of the batch: the end of its interval. */
  readonly batchTime: BatchTime;
  /** How many records each stream with blocks gives to it, by uid. Records of files are not counted before they are read. */
  readonly recordCounts: ReadonlyMap<Uid, number>;
  /** How many files each stream with files gives to it, by uid. */
  readonly fileCounts: ReadonlyMap<Uid, number>;
  /** Whether it runs again after a crash. */
  readonly isRerun: boolean;
  /** When its plan was durable. */
  readonly submittedMs: number;
}

/** A batch that runs. */
export interface StartedBatch extends BatchInfo {
  readonly startedMs: number;
  /** How long after its interval it began; of an interval that was missed, how long after the start of the driver. */
  readonly schedulingDelayMs: number;
}

/** A batch whose outputs have all run. */
export interface CompletedBatch extends StartedBatch {
  readonly completedMs: number;
  /** From its beginning to its end. */
  readonly processingDelayMs: number;
  /** From the end of its interval to its end. */
  readonly totalDelayMs: number;
}

/** An output of a batch. */
export interface OutputInfo {
  readonly batchTime: BatchTime;
  /** The uid of the output. */
  readonly output: Uid;
  /** `saveTo`, `foreachRDD`, `print` or `saveAsTextFiles`. */
  readonly kind: string;
}

/** An output that has run for a batch. */
export interface CompletedOutput extends OutputInfo {
  readonly durationMs: number;
  /** Why it failed; undefined if it did not. The context stops then. */
  readonly error: Error | undefined;
}

/** A receiver. */
export interface ReceiverInfo {
  /** The uid of its stream. */
  readonly stream: Uid;
}

/** The events of a program by the names of the methods that hear them. */
export interface StreamingEvents {
  /** The context runs: what a crash left has run again. */
  readonly onStreamingStarted: { readonly time: number };
  /** A batch is planned: what it consists of is durable. */
  readonly onBatchSubmitted: BatchInfo;
  /** A batch begins to run. */
  readonly onBatchStarted: StartedBatch;
  /** A batch is completed, durably. */
  readonly onBatchCompleted: CompletedBatch;
  /** An output of a batch begins. */
  readonly onOutputOperationStarted: OutputInfo;
  /** An output of a batch has run, or failed. */
  readonly onOutputOperationCompleted: CompletedOutput;
  /** A receiver runs, for the first time or again. */
  readonly onReceiverStarted: ReceiverInfo;
  /** A receiver failed. It is started again after a pause. */
  readonly onReceiverError: ReceiverInfo & { readonly error: Error };
  /** A receiver ended: by itself, with an error, or because the context stops. */
  readonly onReceiverStopped: ReceiverInfo;
}

/** Hears the events of a program. Methods are called on the driver's thread, one after another; what they throw is logged and changes nothing. */
export type StreamingListener = { readonly [K in keyof StreamingEvents]?: (event: StreamingEvents[K]) => void };

/** Brings events to listeners. */
export class ListenerBus {
  readonly #listeners = new Set<StreamingListener>();
  readonly #onError: (error: Error) => void;

  /**
   * @param onError - Called with what a listener throws.
   */
  constructor(onError: (error: Error) => void) {
    this.#onError = onError;
  }

  /** Adds a listener; one that is there already stays there once. */
  add(listener: StreamingListener): void {
    this.#listeners.add(listener);
  }

  /** Removes a listener. */
  remove(listener: StreamingListener): void {
    this.#listeners.delete(listener);
  }

  /** Tells all listeners, in the order in which they were added. The event is made only if anybody listens. */
  post<K extends keyof StreamingEvents>(name: K, event: () => StreamingEvents[K]): void {
    if (this.#listeners.size === 0) return;
    const made = event();
    for (const listener of this.#listeners) {
      try {
        listener[name]?.(made);
      } catch (error) {
        this.#onError(toError(error));
      }
    }
  }
}
