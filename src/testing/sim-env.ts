// The Env of a simulated process.
import type { Clock, Env, Logger, Random } from '../env/env.ts';
import { silentLogger } from '../env/node-env.ts';
import type { SimDisk } from './sim-disk.ts';
import { createSimFileSystem, type SimFileSystemOptions } from './sim-file-system.ts';
import type { SimProcess } from './sim-process.ts';

/** What a simulated process sees. */
export interface SimEnvOptions extends SimFileSystemOptions {
  readonly disk: SimDisk;
  readonly process: SimProcess;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger?: Logger;
  /** Called with what `print()` shows. */
  readonly onOutput?: (text: string) => void;
}

/** Makes an Env in which nothing happens any more once the process is dead: its timers do not fire, its steps do not settle. */
export function createSimEnv(options: SimEnvOptions): Env {
  const { disk, process, clock, random } = options;
  return {
    clock: {
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      setTimer(delayMs, task) {
        const timer = clock.setTimer(delayMs, () => {
          if (process.isAlive) task();
        });
        process.onDeath(() => timer.cancel());
        return timer;
      },
    },
    files: createSimFileSystem(disk, process, options),
    random,
    logger: options.logger ?? silentLogger,
    output: { write: (text) => options.onOutput?.(text) },
    pid: 1,
  };
}
