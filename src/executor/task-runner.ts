// Runs tasks with attempts: a task that throws is tried again after a pause that doubles, then its error is final.
import { AsyncLocalStorage } from 'node:async_hooks';
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

/** A task under way, and the one it was begun in. */
interface Running {
  readonly signal: AbortSignal;
  readonly outer: Running | undefined;
  isOver: boolean;
}

const running = new AsyncLocalStorage<Running>();

/** Marks everything that `work` calls, over however many promises, as inside a task, until it has settled. */
async function asTask<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const task: Running = { signal, outer: running.getStore(), isOver: false };
  try {
    return await running.run(task, work);
  } finally {
    task.isOver = true;
  }
}

/** Whether the caller was called by a task that waits for it: one of the runner with this signal that has not settled. Waiting there for the runner to end would wait for itself. */
export function isInsideTask(signal: AbortSignal): boolean {
  for (let task = running.getStore(); task !== undefined; task = task.outer) if (task.signal === signal && !task.isOver) return true;
  return false;
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
          return await asTask(signal, work);
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
