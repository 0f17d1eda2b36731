import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keySlot, keyText } from '../../../src/core/key-slot.ts';
import { KeyedState } from '../../../src/state/keyed-state.ts';
import { decodeSlot, encodeSlot, type StateEntry } from '../../../src/state/slot-codec.ts';
import { keepValue, showValue } from '../../../src/state/state-value.ts';
import { updateSlot, type KeyedValues, type UpdateFunction } from '../../../src/state/update-slot.ts';

const count: UpdateFunction = (values, state) => ((state as number | undefined) ?? 0) + values.length;

/** Runs batches of letters, one slot for all keys; the rows of each batch as `a1 b2`. */
function run(update: UpdateFunction, ...batches: readonly string[]): readonly string[] {
  const state = new KeyedState('s');
  return batches.map((letters) => {
    const incoming = new Map<string, KeyedValues>();
    for (const letter of letters) incoming.set(letter, { key: letter, values: [...(incoming.get(letter)?.values ?? []), 1] });
    const { rows, changes } = updateSlot(state.slot(0), incoming, update);
    state.merge(0, changes);
    return rows.map(({ key, value }) => `${String(key)}${String(showValue(value))}`).join(' ');
  });
}

describe('updateSlot()', () => {
  it("counts as Spark's running count does", () =>
    expect(run(count, 'a', 'ab', 'abc', 'ab', 'a', '')).toEqual(['a1', 'a2 b1', 'a3 b2 c1', 'a4 b3 c1', 'a5 b3 c1', 'a5 b3 c1']));
  it('removes a key when the function returns undefined, and calls it for every key in every batch', () => {
    const idle: UpdateFunction = (values, state) => {
      const { total, empty } = (state as { total: number; empty: number } | undefined) ?? { total: 0, empty: 0 };
      if (values.length > 0) return { total: total + values.length, empty: 0 };
      return empty === 1 ? undefined : { total, empty: empty + 1 };
    };
    expect(run((values, state) => idle(values, state), 'ab', '', 'aca', 'c', '', '').map((row) => row.replaceAll('[object Object]', ''))).toEqual([
      'a b',
      'a b',
      'a c',
      'a c',
      'c',
      '',
    ]);
  });
  it('tells only what changed', () => {
    const entries = new Map<string, StateEntry>([
      ['a', { key: 'a', value: 1 }],
      ['b', { key: 'b', value: keepValue({ n: 1 }) }],
    ]);
    expect(updateSlot(entries, new Map(), (_values, state) => state).changes.size).toBe(0);
    expect([...updateSlot(entries, new Map(), () => undefined).changes.values()].map(({ entry }) => entry)).toEqual([undefined, undefined]);
  });
  it('hands out a copy: what a function does to its state without returning it leaves no trace', () => {
    const entries = new Map<string, StateEntry>([['a', { key: 'a', value: keepValue({ n: 1 }) }]]);
    const spoil: UpdateFunction = (_values, state) => {
      (state as { n: number }).n += 1;
      throw new Error('after it had changed the state');
    };
    expect(() => updateSlot(entries, new Map(), spoil)).toThrow('after it had changed the state');
    expect(showValue((entries.get('a') as StateEntry).value)).toEqual({ n: 1 });
  });
  it('refuses a state that cannot be stored, with its path', () => {
    const incoming = new Map([['a', { key: 'a', values: [1] }]]);
    expect(() => updateSlot(new Map(), incoming, () => ({ at: [/x/] }))).toThrow('an instance of RegExp at $.at[0]');
    expect(() => updateSlot(new Map(), incoming, () => Symbol('s'))).toThrow('symbol at $');
  });
});

describe('slots', () => {
  it('are read as they were written, in their order', () =>
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.jsonValue(), fc.jsonValue())), (pairs) => {
        const entries = new Map(pairs.map(([key, value]) => [keyText(key), { key, value: keepValue(value) }]));
        const read = decodeSlot(encodeSlot(entries));
        expect([...read.keys()]).toEqual([...entries.keys()]);
        expect([...read.values()].map(({ value }) => showValue(value))).toEqual([...entries.values()].map(({ value }) => showValue(value)));
      }),
    ));
  it('with something behind them are refused', () => expect(() => decodeSlot(Buffer.concat([encodeSlot(new Map()), Buffer.alloc(1)]))).toThrow(RangeError));
});

describe('KeyedState', () => {
  const change = (key: string, value: number | undefined) => new Map([[key, { key, entry: value === undefined ? undefined : { key, value } }]]);
  it('writes the slots that changed and keeps the others', () => {
    const state = new KeyedState('s');
    state.merge(1, change('a', 1));
    state.merge(2, change('b', 1));
    expect(state.collect().changed.map(({ slot }) => slot)).toEqual([1, 2]);
    const refs = [1, 2].map((slot) => ({ uid: 's', slot, entries: 1, blobs: [] }));
    state.saved(refs);
    expect(state.collect()).toEqual({ changed: [], kept: refs });
    state.merge(2, change('b', undefined));
    const { changed, kept } = state.collect();
    expect([changed.map(({ slot, entries }) => [slot, entries]), kept.map(({ slot }) => slot)]).toEqual([[[2, 0]], [1]]);
    expect([state.slot(1).size, state.slot(2).size]).toEqual([1, 0]);
  });
});

it('keys of one text are in one slot', () => expect(keySlot(['a', 1])).toBe(keySlot(['a', 1])));
