// The Env of a real process.
import { randomBytes } from 'node:crypto';
import type { Clock, Env, Logger, Random, Timer } from './env.ts';
import { createNodeFileSystem } from './node-file-system.ts';

/** The longest delay a Node timer takes; a longer one would fire at once. */
const NODE_TIMER_MS_MAX = 2 ** 31 - 1;

function setLongTimer(delayMs: number, task: () => void): Timer {
  let handle: NodeJS.Timeout;
  const arm = (restMs: number): void => {
    handle = restMs > NODE_TIMER_MS_MAX ? setTimeout(() => arm(restMs - NODE_TIMER_MS_MAX), NODE_TIMER_MS_MAX) : setTimeout(task, Math.max(0, restMs));
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
