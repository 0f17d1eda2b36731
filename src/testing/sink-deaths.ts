// The two rules of a sink that go through every step of a commit: the driver dies before it, or the step fails and the driver goes on.
import { toError } from '../core/errors.ts';
import { Driver, expectRow, expectSame, onPlace, type SinkUnderTest } from './sink-bench.ts';
import type { SimProcessOptions } from './sim-process.ts';

const STEPS_MAX = 200;

/** How many steps a second driver takes to open, on a place like the one of {@link atStep}. */
async function stepsToOpen<T>(sink: SinkUnderTest<T>): Promise<number> {
  let steps = 0;
  await onPlace(sink, async ({ driver, kill }) => {
    const first = driver(1);
    await first.open();
    await first.commit(first.prepare(1, 2), { time: 100 });
    await kill(first);
    const second = driver(2);
    await second.open();
    steps = second.process.steps;
  });
  return steps;
}

/** Something goes wrong in the second batch, the next driver finishes it, and all rows are there once. Returns whether it went wrong. */
async function atStep<T>(sink: SinkUnderTest<T>, fate: SimProcessOptions): Promise<boolean> {
  let isWrong = false;
  await onPlace(sink, async (bench, place, drivers) => {
    const first = bench.driver(1);
    await first.open();
    const rows = first.prepare(1, 2);
    await first.commit(rows, { time: 100 });
    await bench.kill(first);
    const second = new Driver(place, sink.row, { epoch: 2, fate });
    drivers.push(second);
    await second.open();
    const more = second.prepare(3);
    const commit = (): Promise<string> => Promise.race([second.commit(more, { time: 200, previous: 100 }), second.process.died.then(() => 'died')]);
    const outcome = await commit().catch(() => 'failed');
    isWrong = outcome === 'died' || outcome === 'failed';
    // Whoever lives repeats what has no answer. A sink may refuse that until it is opened again.
    const repeated = outcome === 'failed' ? await commit().catch(() => 'refused') : outcome;
    const isDone = repeated === 'committed' || repeated === 'duplicate';
    await bench.kill(second);
    const third = bench.driver(3);
    const view = await third.open();
    const isThere = view.rows.get(0)?.batchTime === 200;
    if (isDone) expectSame('whether a commit that was answered stands', isThere, true);
    expectRow(view, 0, isThere ? { time: 200, rows: more, epoch: 2 } : { time: 100, rows, epoch: 1 });
    const answer = await third.commit(third.prepare(3), { time: 200, previous: 100 });
    expectSame('the answer to the repeated commit', answer, isThere ? 'duplicate' : 'committed');
    await bench.expectRows(1, 2, 3);
    await third.commit(third.prepare(4), { time: 300, previous: 200 });
    await bench.expectRows(1, 2, 3, 4);
  });
  return isWrong;
}

async function atEveryStep<T>(sink: SinkUnderTest<T>, fateAt: (step: number) => SimProcessOptions): Promise<void> {
  const before = await stepsToOpen(sink);
  for (let step = 1; step <= STEPS_MAX; step++) {
    try {
      if (!(await atStep(sink, fateAt(before + step)))) return;
    } catch (thrown) {
      const error = toError(thrown);
      throw new Error(`when it happens at step ${step} of the commit: ${error.message}`, { cause: error });
    }
  }
  throw new Error(`a commit must end within ${STEPS_MAX} steps: it did not`);
}

/** The driver is killed before each step of a commit in turn. */
export function checkDeaths<T>(sink: SinkUnderTest<T>): Promise<void> {
  return atEveryStep(sink, (killAt) => ({ killAt }));
}

/** Each step of a commit fails in turn. A step that only answers fails behind the effect: then the commit stands and nobody was told. */
export function checkFailures<T>(sink: SinkUnderTest<T>): Promise<void> {
  return atEveryStep(sink, (at) => ({ fail: { at, code: 'EIO' } }));
}
