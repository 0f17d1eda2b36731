// One life of a simulated program: from its start until it has stopped, or died, or failed.
import { milliseconds, StreamingContext, type CheckpointStore, type GetOrCreateOptions } from '../../../src/index.ts';
import {
  createSimCheckpointStore,
  createSimEnv,
  settle,
  SimProcess,
  type ManualClock,
  type SeededRandom,
  type SimCheckpointImage,
  type SimDisk,
  type SimProcessOptions,
} from '../../../src/testing/index.ts';

/** Intervals and limits so small that a short run has checkpoints, closes segments and cuts the log. */
export const LIFE_SETTINGS = {
  batchInterval: milliseconds(100),
  checkpointInterval: milliseconds(200),
  blockInterval: milliseconds(60),
  receiverRestartDelay: milliseconds(50),
  segmentBytesMax: 8192,
  ballastBytes: 512,
  taskAttemptsMax: 1,
};

/** What survives a process, whatever its program. */
export interface LifeWorld {
  readonly disk: SimDisk;
  readonly image: SimCheckpointImage;
  readonly clock: ManualClock;
  readonly random: SeededRandom;
}

/** A program, and when it has done what it should. */
export interface LifeProgram {
  create(process: SimProcess): StreamingContext;
  isDone(): boolean;
  /** How long each write of the checkpoint store takes, so that batches go on beside it. */
  readonly storeDelayMs?: number;
  /** How it is opened, besides the simulation. */
  readonly options?: Pick<GetOrCreateOptions, 'accept' | 'drain'>;
}

/** How a life ended. */
export type LifeEnd = { readonly kind: 'stopped' } | { readonly kind: 'died' } | { readonly kind: 'failed'; readonly error: Error };

/** A life that is over. */
export interface Life {
  readonly process: SimProcess;
  readonly end: LifeEnd;
}

interface Living {
  readonly world: LifeWorld;
  readonly process: SimProcess;
}

/** Lets a promise go on in virtual time until it settles or the process is dead. */
async function drive<T>({ world, process }: Living, promise: Promise<T>, isEnough: () => boolean = () => false): Promise<T | undefined> {
  let isSettled = false;
  const done = promise.finally(() => {
    isSettled = true;
  });
  done.catch(() => undefined);
  for (let turn = 0; turn < 10_000; turn++) {
    await settle();
    if (isSettled) return done;
    if (!process.isAlive || isEnough()) return undefined;
    const next = world.clock.nextTimerMs;
    if (next !== undefined) world.clock.advance(next);
  }
  throw new Error('the simulated program does not come to an end');
}

function slowStore(store: CheckpointStore, clock: ManualClock, delayMs: number | undefined): CheckpointStore {
  if (delayMs === undefined) return store;
  const delay = (): Promise<void> => new Promise((resolve) => void clock.setTimer(delayMs, () => resolve()));
  return { ...store, write: (changes) => delay().then(() => store.write(changes)) };
}

/** Runs the program until it is done and has stopped, or it dies, or it fails. */
export async function liveIn(world: LifeWorld, program: LifeProgram, options: SimProcessOptions = {}): Promise<Life> {
  const process = new SimProcess(options);
  const living = { world, process };
  const env = createSimEnv({ disk: world.disk, process, clock: world.clock, random: world.random });
  const checkpointStore = () => slowStore(createSimCheckpointStore(world.image, process), world.clock, program.storeDelayMs);
  try {
    const context = await drive(
      living,
      StreamingContext.getOrCreate('/store', () => program.create(process), { env, checkpointStore, ...program.options }),
    );
    if (context === undefined) return { process, end: { kind: 'died' } };
    const termination = context.awaitTermination();
    termination.catch(() => undefined);
    await drive(living, context.start());
    await drive(living, termination, () => program.isDone());
    if (process.isAlive) await drive(living, context.stop());
    return { process, end: process.isAlive ? { kind: 'stopped' } : { kind: 'died' } };
  } catch (error) {
    if (!process.isAlive) return { process, end: { kind: 'died' } };
    const failed = error instanceof Error ? error : new Error(String(error));
    process.kill();
    return { process, end: { kind: 'failed', error: failed } };
  }
}
