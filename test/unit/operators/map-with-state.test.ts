// Goal: mapWithState gives what Spark gives. Method: Spark's published test vectors (MapWithStateSuite) as tables, through the engine; timeouts are exact here, where Spark's are late.
import { describe, expect, it } from 'vitest';
import { milliseconds, type DStream, type MapWithStateDStream, type State } from '../../../src/index.ts';
import type { BatchTime } from '../../../src/core/time.ts';
import { JSON_CODEC } from '../../../src/state/state-codec.ts';
import { mapSlot, withChanges, type MapFunction } from '../../../src/state/map-slot.ts';
import { keepValue, showValue, type StateEntry } from '../../../src/state/state-value.ts';
import { runBatches } from '../../support/batches.ts';

const letters = (...batches: readonly string[]): (readonly string[])[] => batches.map((batch) => Array.from(batch));
const SCRIPT = letters('', 'a', 'ab', 'abc', 'ab', 'a', '');
const texts = (batches: readonly (readonly unknown[])[]): readonly string[] =>
  batches.map((rows) =>
    rows
      .map((row) => (Array.isArray(row) ? row.join('') : String(row)))
      .toSorted()
      .join(' '),
  );

type Counting = MapWithStateDStream<string, number, number>;

function counting(s: DStream<string>): Counting {
  return s
    .map((letter) => [letter, 1])
    .mapWithState<number, number>(
      (_key, value, state) => {
        const sum = (value ?? 0) + (state.getOption() ?? 0);
        state.update(sum);
        return sum;
      },
      { uid: 'counts', numPartitions: 2 },
    );
}

type Toggling = MapWithStateDStream<string, number, string>;

function toggling(s: DStream<string>): Toggling {
  return s
    .map((letter) => [letter, 1])
    .mapWithState<number, string>((key, _value, state) => {
      if (state.exists()) {
        state.remove();
        return key;
      }
      state.update(1);
      return undefined;
    });
}

describe('mapWithState', () => {
  it('counts', async () =>
    expect(texts(await runBatches([SCRIPT], ([s]) => counting(s as DStream<string>)))).toEqual(['', '1', '1 2', '1 2 3', '3 4', '5', '']));
  it('shows its state, of keys without data too', async () =>
    expect(texts(await runBatches([SCRIPT], ([s]) => counting(s as DStream<string>).stateSnapshots()))).toEqual([
      '',
      'a1',
      'a2 b1',
      'a3 b2 c1',
      'a4 b3 c1',
      'a5 b3 c1',
      'a5 b3 c1',
    ]));
  it('removes keys', async () => {
    const script = letters('', 'a', 'ab', 'abc', 'abc', 'ab', 'a', '');
    expect(texts(await runBatches([script], ([s]) => toggling(s as DStream<string>)))).toEqual(['', '', 'a', 'b', 'a c', 'b', 'a', '']);
    expect(texts(await runBatches([script], ([s]) => toggling(s as DStream<string>).stateSnapshots()))).toEqual(['', 'a1', 'b1', 'a1 c1', 'b1', 'a1', '', '']);
  });
  it('begins with an initial state', async () =>
    expect(
      texts(
        await runBatches([SCRIPT], ([s]) =>
          (s as DStream<string>)
            .map((letter) => [letter, 1])
            .updateStateByKey<number>((values, sum = 0) => sum + values.length, {
              initialState: [
                ['a', 1],
                ['c', 2],
              ],
            }),
        ),
      ),
    ).toEqual(['a1 c2', 'a2 c2', 'a3 b1 c2', 'a4 b2 c3', 'a5 b3 c3', 'a6 b3 c3', 'a6 b3 c3']));
  it('calls once for a key that times out, in the first batch behind its time, with and without data', async () => {
    // Batches are 100 ms apart.
    const script = letters('abc', 'ab', 'a', '', '', 'a', 'a', '', '', '', '');
    const rows = await runBatches([script], ([s]) =>
      (s as DStream<string>)
        .map((letter) => [letter, 1])
        .mapWithState<number, string>(
          (key, value, state) => {
            if (state.isTimingOut()) return `${key}${state.get()}${String(value)}`;
            state.update((state.getOption() ?? 0) + 1);
            return undefined;
          },
          { timeout: milliseconds(300) },
        ),
    );
    expect(texts(rows)).toEqual(['', '', '', '', 'c1undefined', 'b2undefined', '', '', '', '', 'a5undefined']);
  });
  it('refuses an initial state that names a key twice', async () =>
    expect(
      runBatches([SCRIPT], ([s]) =>
        (s as DStream<string>)
          .map((letter) => [letter, 1])
          .updateStateByKey<number>(() => 1, {
            initialState: [
              ['a', 1],
              ['a', 2],
            ],
          }),
      ),
    ).rejects.toMatchObject({ code: 'STREAM_OPTION' }));
});

describe('mapSlot()', () => {
  const settings = (map: MapFunction, batchTime = 5000, timeoutMs?: number) => ({
    map,
    codec: JSON_CODEC,
    batchTime: batchTime as BatchTime,
    timeoutMs,
  });
  const one = new Map([['a', { value: [1] }]]);
  const held = (at: number): ReadonlyMap<string, StateEntry> => new Map([['a', keepValue(7, JSON_CODEC, at)]]);
  const call = (body: (state: State<unknown>) => unknown) => () =>
    mapSlot(
      held(0),
      one,
      settings((_key, _value, state) => body(state)),
    );
  it.each([
    ['update after remove', (s: State<unknown>) => (s.remove(), s.update(1)), 'update() must not follow remove()'],
    ['remove after remove', (s: State<unknown>) => (s.remove(), s.remove()), 'remove() must be called once'],
    ['get after remove', (s: State<unknown>) => (s.remove(), s.get()), 'get() needs a state'],
    ['update to undefined', (s: State<unknown>) => s.update(undefined), 'undefined is none'],
  ])('refuses %s', (_name, body, message) => expect(call(body)).toThrow(message));
  it('refuses remove where there is nothing, and update or remove while the key times out', () => {
    expect(() =>
      mapSlot(
        new Map(),
        one,
        settings((_key, _value, state) => state.remove()),
      ),
    ).toThrow('remove() needs a state');
    for (const body of [(s: State<unknown>) => s.update(1), (s: State<unknown>) => s.remove()])
      expect(() =>
        mapSlot(
          held(1),
          new Map(),
          settings((_key, _value, state) => body(state), 5000, 10),
        ),
      ).toThrow('while the key is timing out');
  });
  it.each([
    [1000, false],
    [1001, true],
  ])('a key touched at 1000, in a batch at 1000 + the timeout of %i: it times out: %s', (timeoutAnd, isOut) => {
    const { changes } = mapSlot(
      held(1000),
      new Map(),
      settings(() => undefined, 1000 + timeoutAnd, 1000),
    );
    expect(changes.size).toBe(isOut ? 1 : 0);
  });
  it('begins the time of a key that was there before there was a timeout', () => {
    const { rows, changes } = mapSlot(
      held(0),
      new Map(),
      settings(() => 'called', 5000, 10),
    );
    expect([rows, changes.get('a')?.at]).toEqual([[], 5000]);
  });
  it('refreshes a key with data, though the function changes nothing', () =>
    expect(
      mapSlot(
        held(1),
        one,
        settings(() => undefined, 5000, 9000),
      ).changes.get('a')?.at,
    ).toBe(5000));
  it('touches nothing where there is neither data nor a timeout', () =>
    expect(
      mapSlot(
        held(1),
        new Map(),
        settings(() => 'called'),
      ),
    ).toEqual({ rows: [], changes: new Map() }));
  it('hands out copies: what a function does to its state without update() does not count', () => {
    const entries = new Map([['a', keepValue({ n: 1 })]]);
    const seen: unknown[] = [];
    const { changes } = mapSlot(
      entries,
      new Map([['a', { value: [1, 2] }]]),
      settings((_key, _value, state) => {
        const mine = state.get() as { n: number };
        mine.n += 1;
        seen.push(mine.n);
        return undefined;
      }),
    );
    expect([seen, changes.size, showValue(entries.get('a') as StateEntry)]).toEqual([[2, 2], 0, { n: 1 }]);
  });
  it.each([
    ['as they came', false, ['a', 'c', 'd', 'b']],
    ['behind all others once they are touched', true, ['a', 'd', 'c', 'b']],
  ])('shows keys %s', (_name, isOrdered, order) => {
    const entries = new Map(['a', 'c', 'x', 'd'].map((key) => [key, keepValue(1)]));
    const changes = new Map<string, StateEntry | undefined>([
      ['c', keepValue(2)],
      ['x', undefined],
      ['b', keepValue(3)],
    ]);
    expect(Array.from(withChanges(entries, changes, isOrdered), ([key]) => key)).toEqual(order);
  });
});
