// The rules of a sink that go through every step of `open`: whatever happens there, the sink holds what it held, and a later driver can open it.
import { expectLedger, expectSame, onPlace, type SinkUnderTest } from './sink-bench.ts';
import { atEveryStep, attempt, DEATH, FAILURE, fatedDriver, leaveRows, type FateAt } from './sink-steps.ts';

/** An open in which something goes wrong. */
interface OpenTrial {
  readonly what: string;
  /** The numbers of the rows that are there before. */
  readonly before: readonly number[];
}

/** The first open of a sink may make what later ones find. */
const TRIALS: readonly OpenTrial[] = [
  { what: 'open', before: [1, 2] },
  { what: 'the first open of a sink', before: [] },
];

async function openAt<T>(sink: SinkUnderTest<T>, { before }: OpenTrial, { at, fateAt }: { readonly at: number; readonly fateAt: FateAt }): Promise<boolean> {
  let isWrong = false;
  await onPlace(sink, async (bench, place, drivers) => {
    const held = await leaveRows(bench, before);
    const second = fatedDriver(sink, { epoch: 2, fate: fateAt(at) }, { place, drivers });
    ({ isWrong } = await attempt(second, at, () => second.open()));
    await bench.kill(second);
    const third = bench.driver(3);
    expectLedger(await third.look(), held);
    const view = await third.open();
    expectSame('the epoch of the fence', view.fence?.epoch, 3);
    expectLedger(view, held);
    await bench.expectRows(...before);
    const batch = before.length === 0 ? { time: 200 } : { time: 200, previous: 100 };
    expectSame('the answer to the next commit', await third.commit(third.prepare(3), batch), 'committed');
    await bench.expectRows(...before, 3);
  });
  return isWrong;
}

async function checkOpens<T>(sink: SinkUnderTest<T>, fateAt: FateAt): Promise<void> {
  for (const trial of TRIALS) await atEveryStep(trial.what, (at) => openAt(sink, trial, { at, fateAt }));
}

/** The driver is killed before each step of `open` in turn. */
export function checkOpeningDeaths<T>(sink: SinkUnderTest<T>): Promise<void> {
  return checkOpens(sink, DEATH);
}

/** Each step of `open` fails in turn. */
export function checkOpeningFailures<T>(sink: SinkUnderTest<T>): Promise<void> {
  return checkOpens(sink, FAILURE);
}
