// Runs tasks with attempts: a task that throws is tried again after a pause that doubles, then its error is final.
import { AbortError, InvariantError, StreamError, TaskError, toError } from '../core/errors.ts';
import type { Clock } from '../env/env.ts';
import { pause } from '../env/pause.ts';

/** How tasks are attempted. */
export interface AttemptPolicy {
  /** How many times a task is tried in all. */
  readonly attemptsMax: number;
  /** The pause after the first failure; each later one doubles it. */
  readonly backoffMs: number;
}

/** Spark's number of attempts, with a pause that starts at 100 ms. */
export const DEFAULT_ATTEMPTS: AttemptPolicy = { attemptsMax: 4, backoffMs: 100 };

/** Errors that no repetition can mend, or must not be repeated: bugs, corruption, locks, failed storage, misuse, and a task inside this one that has used up its attempts. */
function isFinal(error: Error): boolean {
  return error instanceof InvariantError || (error instanceof StreamError && error.exitCode !== 1) || error instanceof AbortError || error instanceof TaskError;
}

/** Runs work and repeats it when it fails. */
export interface TaskRunner {
  /** Aborted when tasks must end. */
  readonly signal: AbortSignal;
  /**
   * Runs `work` until it succeeds or has failed as often as the policy allows. Each call of `work` starts afresh: what an earlier attempt did must not show.
   *
   * @param name - Names the task in the error.
   * @throws {TaskError} If the last attempt failed too; `cause` is what it threw.
   * @throws {AbortError} If the signal is aborted; it is looked at before each attempt.
   */
  run<T>(name: string, work: () => Promise<T>): Promise<T>;
}

/** Makes a {@link TaskRunner} that runs on the calling thread. */
export function createTaskRunner(clock: Clock, signal: AbortSignal, policy: AttemptPolicy = DEFAULT_ATTEMPTS): TaskRunner {
  return {
    signal,
    async run(name, work) {
      for (let attempt = 1; ; attempt++) {
        if (signal.aborted) throw new AbortError('STREAM_ABORTED', `Cannot run ${name} as the context must be running: it stops`);
        try {
          return await work();
        } catch (thrown) {
          const error = toError(thrown);
          if (isFinal(error)) throw error;
          if (attempt >= policy.attemptsMax) {
            throw new TaskError('STREAM_TASK', `Cannot finish ${name} as one of ${policy.attemptsMax} attempts must succeed: the last threw ${error.message}`, {
              cause: error,
            });
          }
        }
        await pause(clock, policy.backoffMs * 2 ** (attempt - 1), signal);
      }
    },
  };
}
