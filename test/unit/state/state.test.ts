import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keyOfText, keySlot, keyText } from '../../../src/core/key-slot.ts';
import { keepValue, showValue, type StateEntry } from '../../../src/state/state-value.ts';
import { KeyedState } from '../../../src/state/keyed-state.ts';
import { updateSlot, type UpdateFunction } from '../../../src/state/update-slot.ts';

const count: UpdateFunction = (values, state) => ((state as number | undefined) ?? 0) + values.length;

/** Runs batches of letters, one slot for all keys; the rows of each batch as `a1 b2`. */
function run(update: UpdateFunction, ...batches: readonly string[]): readonly string[] {
  const state = new KeyedState('s');
  return batches.map((letters) => {
    const incoming = new Map<string, { readonly value: readonly unknown[] }>();
    for (const letter of letters) incoming.set(letter, { value: [...(incoming.get(letter)?.value ?? []), 1] });
    const { rows, changes } = updateSlot(state.slot(0), incoming, { update });
    state.merge(0, changes);
    return rows.map(({ text, entry }) => `${text}${String(showValue(entry))}`).join(' ');
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
      ['a', keepValue(1)],
      ['b', keepValue({ n: 1 })],
    ]);
    expect(updateSlot(entries, new Map(), { update: (_values, state) => state }).changes.size).toBe(0);
    expect([...updateSlot(entries, new Map(), { update: () => undefined }).changes.values()]).toEqual([undefined, undefined]);
  });
  it('hands out a copy: what a function does to its state without returning it leaves no trace', () => {
    const entries = new Map<string, StateEntry>([['a', keepValue({ n: 1 })]]);
    const spoil: UpdateFunction = (_values, state) => {
      (state as { n: number }).n += 1;
      throw new Error('after it had changed the state');
    };
    expect(() => updateSlot(entries, new Map(), { update: spoil })).toThrow('after it had changed the state');
    expect(showValue(entries.get('a') as StateEntry)).toEqual({ n: 1 });
  });
  it('refuses a state that cannot be stored, with its key and path', () => {
    const incoming = new Map([['a', { value: [1] }]]);
    expect(() => updateSlot(new Map(), incoming, { update: () => ({ at: [/x/] }) })).toThrow('Cannot keep the state of key "a": Cannot encode a value');
    expect(() => updateSlot(new Map(), incoming, { update: () => ({ at: [/x/] }) })).toThrow('an instance of RegExp at $.at[0]');
    expect(() => updateSlot(new Map(), incoming, { update: () => Symbol('s') })).toThrow('symbol at $');
  });
});

describe('keys', () => {
  it('of one text are in one slot', () => expect(keySlot(['a', 1])).toBe(keySlot(['a', 1])));
  it('come back from their texts, or equal ones', () => {
    const key = fc.oneof(fc.string({ unit: 'binary' }), fc.string(), fc.jsonValue(), fc.constantFrom('', '\0', '\0\0x', 'ä', '\ud800', 1n, Number.NaN));
    fc.assert(
      fc.property(key, (value) => {
        const text = keyText(value);
        expect(keyText(keyOfText(text))).toBe(text);
        if (typeof value === 'string') expect(keyOfText(text)).toBe(value);
      }),
    );
  });
});
