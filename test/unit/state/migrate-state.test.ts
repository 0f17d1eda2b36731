// Goal: state gets from one version to the next whole, or not at all. Method: the pure function on states of its own; then programs in the simulated world, killed between the start and the next checkpoint.
import { describe, expect, it } from 'vitest';
import { keySlot } from '../../../src/core/key-slot.ts';
import { milliseconds, StreamingContext, type StateMigration, type StateOptions } from '../../../src/index.ts';
import { DEFAULT_STATE, KeyedState } from '../../../src/state/keyed-state.ts';
import { migratesFrom, migrateState, migrationSteps } from '../../../src/state/migrate-state.ts';
import { keepValue, showValue } from '../../../src/state/state-value.ts';
import { createSimSink, ScriptedSource, SimTable } from '../../../src/testing/index.ts';
import { World } from '../../support/world.ts';

function stateOf(values: Readonly<Record<string, unknown>>): KeyedState {
  const state = new KeyedState('s');
  for (const [key, value] of Object.entries(values)) state.merge(keySlot(key), new Map([[key, keepValue(value)]]));
  return state;
}

function valuesOf(state: KeyedState): Readonly<Record<string, unknown>> {
  const values: Record<string, unknown> = {};
  for (let slot = 0; slot < 1024; slot++) for (const [key, entry] of state.slot(slot)) values[key] = showValue(entry);
  return values;
}

const OLD = { a: 1, b: 2, c: 3 };
const toObject: StateMigration = { from: 1, value: (count: number) => ({ count }) };
const withKind: StateMigration = {
  from: 2,
  value: (value: { count: number }, key: string) => (key === 'c' ? undefined : { ...value, kind: key }),
  key: (key: string) => ['k', key],
};
const plan = (migrations: readonly StateMigration[], from = 1, to = 3) => ({ uid: 's', from, to, migrations, settings: DEFAULT_STATE });

describe('migrateState()', () => {
  it('takes the steps in order, whatever order they are given in, and says what came of them', () => {
    const old = stateOf(OLD);
    const { state, report } = migrateState(old, plan([withKind, toObject]));
    expect(valuesOf(state)).toEqual({ '\0["k","a"]': { count: 1, kind: 'a' }, '\0["k","b"]': { count: 2, kind: 'b' } });
    expect(report).toEqual({ uid: 's', from: 1, to: 3, keys: 3, removed: 1, renamed: 2 });
    expect(valuesOf(old)).toEqual(OLD);
    for (let slot = 0; slot < 1024; slot++) for (const [key] of state.slot(slot)) expect(keySlot(JSON.parse(key.slice(1)))).toBe(slot);
  });
  it.each([
    ['a step is missing', [withKind], 'there must be a migration for each version from 1 to 3'],
    [
      'a function throws',
      [
        {
          from: 1,
          value: () =>
            (() => {
              throw new Error('oh');
            })(),
        },
        withKind,
      ],
      'from version 1 to 2 at key "a": its value function threw oh',
    ],
    ['two keys become one', [toObject, { from: 2, key: () => 'same' }], 'two keys must not become one, and both "'],
    ['a value cannot be kept', [toObject, { from: 2, value: () => /x/ }], 'Cannot keep the state of key "a"'],
  ])('refuses if %s, and leaves the old state as it is', (_name, migrations, message) => {
    const old = stateOf(OLD);
    expect(() => migrateState(old, plan(migrations as readonly StateMigration[]))).toThrow(message);
    expect(valuesOf(old)).toEqual(OLD);
  });
  it.each([
    [3, [1, 2], 1],
    [3, [2], 2],
    [3, [1], 3],
    [1, [], 1],
  ])('to version %i with steps from %j reaches back to %i', (to, from, oldest) =>
    expect(
      migratesFrom(
        to,
        from.map((each) => ({ from: each })),
      ),
    ).toBe(oldest),
  );
  it('has no steps where one is missing', () => expect(migrationSteps({ from: 1, to: 3, migrations: [{ from: 2 }] })).toBeUndefined());
});

describe('a program with a migration', () => {
  type Row = readonly [unknown, unknown];
  const WORDS = ['a', 'b', 'a', 'c', 'a', 'b'];

  class Place extends World {
    readonly table = new SimTable<Row>();
    source = new ScriptedSource<string>({ records: WORDS, window: 2 });

    open(state: StateOptions, update: (values: readonly number[], state: never) => unknown, version: string): Promise<StreamingContext> {
      const create = (): StreamingContext => {
        const context = new StreamingContext({
          appName: 'migrates',
          version,
          batchInterval: milliseconds(100),
          blockInterval: milliseconds(20),
          checkpointInterval: milliseconds(100_000),
        });
        context
          .receiverStream(this.source.receiver(this.process), { uid: 'words' })
          .map((word) => [word, 1])
          .updateStateByKey(update as (values: readonly number[], state: unknown) => {}, { uid: 'counts', state })
          .saveTo(createSimSink<Row>(this.table, this.process), { uid: 'table' });
        return context;
      };
      return StreamingContext.getOrCreate('/store', create, this.options());
    }

    async run(context: StreamingContext, ms: number): Promise<void> {
      context.awaitTermination().catch(() => undefined);
      await this.drive(context.start());
      await this.pass(ms);
    }

    get last(): Readonly<Record<string, unknown>> {
      return Object.fromEntries(this.table.commits.flatMap(({ rows }) => rows.map(([key, value]) => [JSON.stringify(key), value])));
    }
  }
  const first = (values: readonly number[], sum: number | undefined): number => values.length + (sum ?? 0);
  const second = (values: readonly number[], state: { count: number } | undefined): unknown => ({ count: values.length + (state?.count ?? 0) });
  const MIGRATED: StateOptions = { version: 2, migrations: [toObject] };

  it('goes on where the older version stopped, killed before its first checkpoint or not', async () => {
    const place = new Place();
    const old = await place.open({}, first as never, '1');
    await place.run(old, 400);
    await place.drive(old.stop());
    const before = place.last;
    expect(Object.values(before).reduce((sum: number, count) => sum + (count as number), 0)).toBe(WORDS.length);
    place.source = new ScriptedSource<string>({ records: [...WORDS, 'a', 'd'], window: 2 });
    for (let life = 0; life < 3; life++) {
      await place.run(await place.open(MIGRATED, second as never, '2'), 250 + 50 * life);
      place.die();
    }
    const context = await place.open(MIGRATED, second as never, '2');
    await place.run(context, 500);
    await place.drive(context.stop());
    expect(place.last).toEqual({ '"a"': { count: 4 }, '"b"': { count: 2 }, '"c"': { count: 1 }, '"d"': { count: 1 } });
  });
  it('is refused where its migration fails, and the older version goes on', async () => {
    const place = new Place();
    const old = await place.open({}, first as never, '1');
    await place.run(old, 400);
    await place.drive(old.stop());
    const broken: StateOptions = {
      version: 2,
      migrations: [
        {
          from: 1,
          value: () =>
            (() => {
              throw new Error('oh');
            })(),
        },
      ],
    };
    const context = await place.open(broken, second as never, '2');
    const fences = structuredClone([...place.table.fences]);
    await expect(place.drive(context.start())).rejects.toMatchObject({ code: 'STREAM_MIGRATION', exitCode: 64 });
    expect([...place.table.fences]).toEqual(fences);
    place.die();
    place.source = new ScriptedSource<string>({ records: [...WORDS, 'a'], window: 2 });
    const again = await place.open({}, first as never, '1');
    await place.run(again, 400);
    await place.drive(again.stop());
    expect(place.last).toEqual({ '"a"': 4, '"b"': 2, '"c"': 1 });
  });
  it.each([
    ['a step twice', { version: 3, migrations: [{ from: 1 }, { from: 1 }] }],
    ['a step from the version itself', { version: 2, migrations: [{ from: 2 }] }],
    ['a version that is none', { version: 0 }],
    ['a codec that is none', { codec: {} as never }],
    ['an option that it does not know', { codecs: [] } as never],
  ])('refuses %s', async (_name, state) => expect(new Place().open(state, first as never, '1')).rejects.toMatchObject({ code: 'STREAM_OPTION' }));
});
