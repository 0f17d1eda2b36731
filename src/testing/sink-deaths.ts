// The rules of a sink that go through every step of a commit: the driver dies before it, or the step fails and the driver goes on.
import { expectLedger, expectSame, onPlace, type Batch, type ExpectedRow, type SinkUnderTest } from './sink-bench.ts';
import { atEveryStep, attempt, DEATH, FAILURE, fatedDriver, leaveRows, type FateAt } from './sink-steps.ts';

/** A commit in which something goes wrong. */
interface CommitTrial {
  readonly what: string;
  /** The numbers of the rows that are there before. */
  readonly before: readonly number[];
  readonly batch: Batch;
}

/** A sink may write its first row of a partition in another way than it replaces one. */
const TRIALS: readonly CommitTrial[] = [
  { what: 'the commit', before: [1, 2], batch: { time: 200, previous: 100 } },
  { what: 'the first commit of a partition', before: [1, 2], batch: { time: 200, partition: 1 } },
  { what: 'the first commit of a sink', before: [], batch: { time: 200 } },
];

/** How many steps a second driver takes to open. */
async function stepsToOpen<T>(sink: SinkUnderTest<T>, { before }: CommitTrial): Promise<number> {
  let steps = 0;
  await onPlace(sink, async (bench) => {
    await leaveRows(bench, before);
    const second = bench.driver(2);
    await second.open();
    steps = second.process.steps;
  });
  return steps;
}

/** Something goes wrong in a commit at a step of the driver, the next driver finishes it, and all rows are there once. Returns whether it went wrong. */
async function commitAt<T>(sink: SinkUnderTest<T>, { before, batch }: CommitTrial, { at, fateAt }: { readonly at: number; readonly fateAt: FateAt }) {
  let isWrong = false;
  await onPlace(sink, async (bench, place, drivers) => {
    const held = await leaveRows(bench, before);
    const second = fatedDriver(sink, { epoch: 2, fate: fateAt(at) }, { place, drivers });
    await second.open();
    const rows = second.prepare(3);
    const outcome = await attempt(second, at, () => second.commit(rows, batch));
    ({ isWrong } = outcome);
    // Whoever lives repeats what has no answer. A sink may refuse that until it is opened again.
    const repeated = outcome.kind === 'failed' ? await second.commit(rows, batch).catch(() => 'refused') : outcome.result;
    const isDone = repeated === 'committed' || repeated === 'duplicate';
    await bench.kill(second);
    const third = bench.driver(3);
    const view = await third.open();
    const { partition = 0, time } = batch;
    const isThere = view.rows.get(partition)?.batchTime === time;
    if (isDone) expectSame('whether a commit that was answered stands', isThere, true);
    const written: readonly (readonly [number, ExpectedRow])[] = isThere ? [[partition, { time, rows, epoch: 2 }]] : [];
    expectLedger(view, new Map([...held, ...written]));
    expectSame('the answer to the repeated commit', await third.commit(third.prepare(3), batch), isThere ? 'duplicate' : 'committed');
    await bench.expectRows(...before, 3);
    await third.commit(third.prepare(4), { time: time + 100, previous: time, partition });
    await bench.expectRows(...before, 3, 4);
  });
  return isWrong;
}

async function checkCommits<T>(sink: SinkUnderTest<T>, fateAt: FateAt): Promise<void> {
  for (const trial of TRIALS) {
    const steps = await stepsToOpen(sink, trial);
    await atEveryStep(trial.what, (step) => commitAt(sink, trial, { at: steps + step, fateAt }));
  }
}

/** The driver is killed before each step of a commit in turn. */
export function checkDeaths<T>(sink: SinkUnderTest<T>): Promise<void> {
  return checkCommits(sink, DEATH);
}

/** Each step of a commit fails in turn. */
export function checkFailures<T>(sink: SinkUnderTest<T>): Promise<void> {
  return checkCommits(sink, FAILURE);
}
