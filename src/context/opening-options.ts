// The options of getOrCreate and stop, checked once.
import { resolve } from 'node:path';
import { flagOption, optionError, refuseUnknownOptions, textOption } from '../core/options.ts';
import type { CheckpointStore } from '../checkpoint/checkpoint-store.ts';
import type { Env, Logger } from '../env/env.ts';
import type { Acceptance } from '../recovery/judge-consent.ts';
import { resolveAcceptance } from './accept-option.ts';

/** Options of `StreamingContext.getOrCreate`. */
export interface GetOrCreateOptions {
  /**
   * Where to log.
   *
   * @defaultValue Nowhere.
   */
  readonly logger?: Logger;
  /**
   * Clock, files, randomness, logger and output; a simulation for tests. Excludes `logger`.
   *
   * @defaultValue Those of this process.
   */
  readonly env?: Env;
  /**
   * Makes the checkpoint store of a store directory, given the directory it may use.
   *
   * @defaultValue LevelDB
   */
  readonly checkpointStore?: (directory: string) => CheckpointStore;
  /**
   * What may be given up of the store where today's program does not go on with it: exactly what is needed, no more and no less. `millrace plan`, and the error of a start that lacks it,
   * print it. What was given up in an earlier start may be named again, as long as it is not in the program again.
   *
   * @defaultValue Nothing.
   */
  readonly accept?: Acceptance;
  /**
   * Whether only what is there is brought to its end: batches that must run again, records that wait, a checkpoint, the mark of a clean stop. Nothing is received, and the context stops by
   * itself: `awaitTermination` resolves. With it the program that planned batches finishes them, before another version goes on with the store.
   *
   * @defaultValue false
   */
  readonly drain?: boolean;
  /**
   * The file of an exported savepoint (`millrace savepoint export`) that a directory without a store begins with. A store that began with it goes on, so the option may stay.
   *
   * @defaultValue A directory without a store begins empty.
   */
  readonly fromSavepoint?: string;
}

/** Options of `StreamingContext.stop`. */
export interface StopOptions {
  /**
   * Whether everything that was received is processed and checkpointed before the promise resolves. Otherwise work in flight is given up; it is safe in the store.
   *
   * @defaultValue true
   */
  readonly graceful?: boolean;
  /**
   * Whether the `RddContext` is stopped too. Otherwise the next streaming context may use it.
   *
   * @defaultValue true
   */
  readonly rddContext?: boolean;
}

/** How a store is opened. */
export interface Opening {
  readonly accept: Acceptance;
  readonly drain: boolean;
  readonly fromSavepoint: string | undefined;
}

/** Checks the options of `getOrCreate`; throws a `UsageError` that names the first one that is wrong. */
export function resolveOpening(options: GetOrCreateOptions): Opening {
  refuseUnknownOptions('getOrCreate', options, ['logger', 'env', 'checkpointStore', 'accept', 'drain', 'fromSavepoint']);
  if (options.env !== undefined && options.logger !== undefined)
    throw optionError('getOrCreate', 'logger', { expected: 'left out where env is given, which has one', found: options.logger });
  const accept = resolveAcceptance(options.accept);
  const drain = flagOption('getOrCreate', 'drain', { value: options.drain, fallback: false });
  const fromSavepoint = options.fromSavepoint === undefined ? undefined : resolve(textOption('getOrCreate', 'fromSavepoint', options.fromSavepoint));
  return { accept, drain, fromSavepoint };
}
