// A simulated world, and programs that live in it one after another.
import type { GetOrCreateOptions } from '../../src/index.ts';
import { createSimCheckpointStore, createSimEnv, ManualClock, SeededRandom, settle, SimCheckpointImage, SimDisk, SimProcess } from '../../src/testing/index.ts';

let worlds = 0;

/** A disk, a clock, a checkpoint store, and the process that is alive. */
export class World {
  disk = new SimDisk();
  image = new SimCheckpointImage();
  process = new SimProcess();
  readonly clock = new ManualClock(1_000_000);
  readonly output: string[] = [];
  readonly #random = new SeededRandom((worlds += 1));

  options(): GetOrCreateOptions {
    const { disk, process, clock, image } = this;
    return {
      env: createSimEnv({ disk, process, clock, random: this.#random, onOutput: (text) => this.output.push(text) }),
      checkpointStore: () => createSimCheckpointStore(image, process),
    };
  }

  /** Lets virtual time pass until the promise settles. */
  async drive<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    const done = promise.finally(() => (isSettled = true));
    done.catch(() => undefined);
    for (let turn = 0; turn < 20_000 && !isSettled; turn++) {
      await settle();
      const next = this.clock.nextTimerMs;
      if (!isSettled && next !== undefined) this.clock.advance(next);
    }
    return done;
  }

  /** Lets time pass, and what it sets off come to its end. */
  async pass(ms: number): Promise<void> {
    for (const end = this.clock.monotonic() + ms; this.clock.monotonic() < end;) {
      for (let turn = 0; turn < 3; turn++) await settle();
      this.clock.advance(Math.min(this.clock.nextTimerMs ?? 10, end - this.clock.monotonic()) || 1);
    }
    for (let turn = 0; turn < 5; turn++) await settle();
  }

  /** Lets time pass until something is so. */
  async until(isSo: () => boolean): Promise<void> {
    for (let turn = 0; turn < 1000 && !isSo(); turn++) await this.pass(100);
  }

  /** Kills the program; the next one is another process. */
  die(): void {
    this.process.kill();
    this.process = new SimProcess();
  }
}
