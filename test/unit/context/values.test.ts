// Goal: records, keys and state of any kind that the default codec carries come through log, checkpoint and crash as they were. Method: a program in the simulated world, killed after each batch.
import { expect, it } from 'vitest';
import { milliseconds, StreamingContext } from '../../../src/index.ts';
import { createSimSink, ScriptedSource, SimTable } from '../../../src/testing/index.ts';
import { World } from '../../support/world.ts';

interface Seen {
  readonly days: Map<bigint, Set<string>>;
  readonly last: Date;
  readonly bits: Uint16Array;
  readonly mean: number;
  readonly note: string | undefined;
}
type Visit = readonly [Date, { readonly who: string; readonly cost: number }];

const DAY_MS = 86_400_000;
const VISITS: readonly Visit[] = [
  [new Date(0), { who: 'a', cost: 1 }],
  [new Date(9), { who: 'd', cost: Number.NaN }],
  [new Date(5), { who: 'b', cost: -0 }],
  [new Date(DAY_MS), { who: 'a', cost: Infinity }],
  [new Date(0), { who: 'c', cost: 3 }],
];

function see(values: readonly { readonly who: string; readonly cost: number }[], before: Seen | undefined): Seen {
  const days = before?.days ?? new Map<bigint, Set<string>>();
  // The map is a copy: changing it changes nothing of what is stored.
  for (const { who } of values) days.set(0n, (days.get(0n) ?? new Set()).add(who));
  const costs = values.map(({ cost }) => cost);
  return { days, last: new Date(7), bits: new Uint16Array([values.length, 258]), mean: costs.at(-1) ?? before?.mean ?? 0, note: undefined };
}

it('come through log, checkpoint and crash as they were', async () => {
  const world = new World();
  const table = new SimTable<readonly [Date, Seen]>();
  const source = new ScriptedSource<Visit>({ records: VISITS, window: 1 });
  const open = (): Promise<StreamingContext> =>
    StreamingContext.getOrCreate(
      '/store',
      () => {
        const context = new StreamingContext({
          appName: 'values',
          batchInterval: milliseconds(100),
          blockInterval: milliseconds(20),
          checkpointInterval: milliseconds(200),
        });
        context
          .receiverStream(source.receiver(world.process), { uid: 'visits' })
          .updateStateByKey<Seen>(see, { uid: 'seen' })
          .saveTo(createSimSink(table, world.process), { uid: 'table' });
        return context;
      },
      world.options(),
    );
  for (let life = 0; life < 6; life++) {
    const context = await open();
    context.awaitTermination().catch(() => undefined);
    await world.drive(context.start());
    await world.pass(150 + 40 * life);
    world.die();
  }
  const last = await open();
  await world.drive(last.start());
  await world.until(() => source.isDone);
  await world.pass(300);
  await world.drive(last.stop());
  const rows = new Map(table.commits.flatMap(({ rows: written }) => written.map(([day, seen]) => [day.getTime(), seen] as const)));
  expect([...rows.keys()].sort((left, right) => left - right)).toEqual([0, 5, 9, DAY_MS]);
  expect(rows.get(0)).toStrictEqual({
    days: new Map([[0n, new Set(['a', 'c'])]]),
    last: new Date(7),
    bits: new Uint16Array([0, 258]),
    mean: 3,
    note: undefined,
  });
  expect(rows.get(5)?.mean).toBe(-0);
  expect(rows.get(9)?.mean).toBeNaN();
  expect(rows.get(DAY_MS)?.mean).toBe(Infinity);
});
