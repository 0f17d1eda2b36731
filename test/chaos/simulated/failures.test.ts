// Goal: what fails and is tried again leaves no trace. Method: a user function that throws at a random record, and a sink that refuses for a while, against runs without either.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { milliseconds, SinkError, StreamingContext, type Sink } from '../../../src/index.ts';
import { createSimSink, ScriptedSource, SimTable } from '../../../src/testing/index.ts';
import { World } from '../../support/world.ts';

type Row = readonly [string, { readonly n: number; readonly seen: readonly number[] }];
interface Total {
  n: number;
  seen: number[];
}

const batch = fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.integer({ min: 0, max: 9 })), { maxLength: 8 });

/** Runs a program whose functions call `trip` for each record; resolves to what was committed, batch by batch. */
async function run(batches: readonly (readonly (readonly [string, number])[])[], trip: () => void): Promise<readonly (readonly Row[])[]> {
  const world = new World();
  const table = new SimTable<Row>();
  const create = (): StreamingContext => {
    const context = new StreamingContext({ appName: 'trips', batchInterval: milliseconds(100), defaultParallelism: 2 });
    const pairs = context
      .queueStream<readonly [string, number]>(
        batches.map((rows) => [...rows]),
        { uid: 'in' },
      )
      .map(([key, n]) => {
        trip();
        return [key, n];
      });
    pairs
      .leftOuterJoin(pairs.reduceByKey((left, right) => (trip(), left + right)))
      .updateStateByKey<Total>(
        (values, total = { n: 0, seen: [] }) => {
          for (const [n] of values) {
            // What was changed before a throw must not show.
            total.n += n;
            total.seen.push(n);
            trip();
          }
          return total;
        },
        { uid: 'state' },
      )
      .saveTo(createSimSink(table, world.process) as Sink<unknown>, { uid: 'out' });
    return context;
  };
  const context = await StreamingContext.getOrCreate('/store', create, world.options());
  await world.drive(context.start());
  const completed: number[] = [];
  context.addListener({ onBatchCompleted: ({ batchTime }) => void completed.push(batchTime) });
  await world.until(() => completed.length >= batches.length);
  const last = completed[batches.length - 1] ?? 0;
  await world.drive(context.stop());
  return table.commits.filter(({ key }) => key.batchTime <= last).map(({ rows }) => rows);
}

describe('a user function that throws at a random record', () => {
  it('and is tried again gives the state of a run without throws', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(batch, { minLength: 1, maxLength: 4 }),
        fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 3 }),
        async (batches, trips) => {
          let calls = 0;
          const throwing = await run(batches, () => {
            calls += 1;
            if (trips.includes(calls)) throw new Error('trip');
          });
          expect(throwing).toEqual(await run(batches, () => undefined));
        },
      ),
      { numRuns: 60 },
    ));
});

describe('a sink that fails for a while', () => {
  it.each([
    [1, 'within the attempts'],
    [3, 'within the attempts'],
    [4, 'for longer than the attempts'],
    [17, 'over several starts'],
  ])('%i times, %s, gets every record once, and the other sink too', async (failures) => {
    const records = Array.from({ length: 40 }, (_, index) => `word-${index}`);
    const world = new World();
    const source = new ScriptedSource({ records, window: 4 });
    const failing = new SimTable<string>();
    const other = new SimTable<string>();
    let left = failures;
    let starts = 0;
    const create = (): StreamingContext => {
      const context = new StreamingContext({ appName: 'fails', batchInterval: milliseconds(100), blockInterval: milliseconds(20) });
      const words = context.receiverStream(source.receiver(world.process), { uid: 'in' });
      const sink = createSimSink(failing, world.process);
      const flaky: Sink<string> = {
        ...sink,
        commit: (key, rows, record) =>
          key.batchTime > 1_000_200 && left-- > 0 ? Promise.reject(new SinkError('STREAM_SINK', 'is not there')) : sink.commit(key, rows, record),
      };
      words.saveTo(createSimSink(other, world.process), { uid: 'other' });
      words.saveTo(flaky, { uid: 'flaky' });
      return context;
    };
    for (let isOver = false; !isOver;) {
      starts += 1;
      const context = await StreamingContext.getOrCreate('/store', create, world.options());
      const ended = context.awaitTermination().catch((error: unknown) => error);
      let failed: unknown;
      try {
        await world.drive(context.start());
        await world.until(() => source.isDone || context.state === 'failed');
        if (context.state === 'running') await world.drive(context.stop());
        failed = await world.drive(ended);
      } catch (error) {
        failed = error;
      }
      if (failed !== undefined) expect(failed).toMatchObject({ code: 'STREAM_TASK', exitCode: 1, cause: { code: 'STREAM_SINK' } });
      isOver = failed === undefined;
      world.die();
    }
    expect(starts).toBe(1 + Math.floor(failures / 4));
    for (const table of [failing, other]) expect(table.commits.flatMap(({ rows }) => rows)).toEqual(records);
  });
});
