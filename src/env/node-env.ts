// The Env of a real process.
import { randomBytes } from 'node:crypto';
import type { Clock, Env, Logger, Random, Timer } from './env.ts';
import { createNodeFileSystem } from './node-file-system.ts';

/** The longest delay a Node timer takes; a longer one would fire at once. */
const NODE_TIMER_MS_MAX = 2 ** 31 - 1;

/** Sets a timer for as long as it may be, in parts that Node takes; each part looks how much is left, so that one that fires late delays nothing behind it. */
function setLongTimer(delayMs: number, task: () => void): Timer {
  if (delayMs <= 0) {
    // The next turn of the event loop: a timer of Node takes a millisecond at least.
    const immediate = setImmediate(task);
    return { cancel: () => clearImmediate(immediate) };
  }
  const endMs = performance.now() + delayMs;
  let handle: NodeJS.Timeout;
  const arm = (restMs: number): void => {
    handle = restMs > NODE_TIMER_MS_MAX ? setTimeout(() => arm(endMs - performance.now()), NODE_TIMER_MS_MAX) : setTimeout(task, Math.max(0, restMs));
  };
  arm(delayMs);
  return { cancel: () => clearTimeout(handle) };
}

const nodeClock: Clock = { now: () => Date.now(), monotonic: () => performance.now(), setTimer: setLongTimer };

const nodeRandom: Random = { bytes: (count) => randomBytes(count) };

/** A logger that says nothing: the library is silent unless the user gives a logger. */
export const silentLogger: Logger = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/** Makes the Env of this process, with the given logger or none. */
export function createNodeEnv(logger: Logger = silentLogger): Env {
  return {
    clock: nodeClock,
    files: createNodeFileSystem(),
    random: nodeRandom,
    logger,
    output: { write: (text) => void process.stdout.write(text) },
    pid: process.pid,
  };
}
