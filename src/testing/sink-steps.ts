// What the rules about deaths and failures share: what was there before, and a way through every step of what a driver does.
import { toError } from '../core/errors.ts';
import { Driver, type Bench, type DriverStart, type ExpectedRow, type SinkPlace, type SinkUnderTest } from './sink-bench.ts';
import type { SimProcessOptions } from './sim-process.ts';

/** Makes what happens to a process at a step. */
export type FateAt = (step: number) => SimProcessOptions;

/** The driver is killed before the step. */
export const DEATH: FateAt = (killAt) => ({ killAt });

/** The step fails and the driver goes on. A step that only answers fails behind the effect: then it stands and nobody was told. */
export const FAILURE: FateAt = (at) => ({ fail: { at, code: 'EIO' } });

const STEPS_MAX = 200;

/** A first driver commits rows with these numbers as batch 100 of partition 0 and is gone; without numbers nobody was there. Gives the ledger it leaves. */
export async function leaveRows<T>({ driver, kill }: Bench<T>, numbers: readonly number[]): Promise<ReadonlyMap<number, ExpectedRow>> {
  if (numbers.length === 0) return new Map();
  const first = driver(1);
  await first.open();
  const rows = first.prepare(...numbers);
  await first.commit(rows, { time: 100 });
  await kill(first);
  return new Map([[0, { time: 100, rows, epoch: 1 }]]);
}

/** Makes a driver with a fate, which ends with the others of its place. */
export function fatedDriver<T>({ row }: SinkUnderTest<T>, start: DriverStart, on: { readonly place: SinkPlace<T>; readonly drivers: Driver<T>[] }): Driver<T> {
  const driver = new Driver(on.place, row, start);
  on.drivers.push(driver);
  return driver;
}

/** What came of an action to which something may have happened. */
export interface Outcome<R> {
  /** Whether the step was reached. */
  readonly isWrong: boolean;
  readonly kind: 'done' | 'died' | 'failed';
  readonly result?: R;
}

/** Does something to whose process something happens at a step. What fails before that step is an error of the sink. */
export async function attempt<T, R>({ process }: Driver<T>, at: number, action: () => Promise<R>): Promise<Outcome<R>> {
  const died = process.died.then(() => ({ kind: 'died' }) as const);
  try {
    const outcome = await Promise.race([action().then((result) => ({ kind: 'done', result }) as const), died]);
    return { ...outcome, isWrong: process.steps >= at };
  } catch (error) {
    if (process.steps < at) throw error;
    return { kind: process.isAlive ? 'failed' : 'died', isWrong: true };
  }
}

/** Tries every step in turn, until one is not reached any more. */
export async function atEveryStep(what: string, tryAt: (step: number) => Promise<boolean>): Promise<void> {
  for (let step = 1; step <= STEPS_MAX; step++) {
    try {
      if (!(await tryAt(step))) return;
    } catch (thrown) {
      const error = toError(thrown);
      throw new Error(`when it happens at step ${step} of ${what}: ${error.message}`, { cause: error });
    }
  }
  throw new Error(`${what} must end within ${STEPS_MAX} steps: it did not`);
}
