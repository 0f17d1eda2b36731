// What a checkpoint holds of the state: bases, deltas, and the order of the keys.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { written } from '../../../src/core/bytes.ts';
import { decodeValue, encodeValue } from '../../../src/core/value-codec.ts';
import type { SlotRef } from '../../../src/checkpoint/head.ts';
import { chooseWrite, type SlotScene } from '../../../src/state/choose-write.ts';
import { EntryChanges } from '../../../src/state/entry-changes.ts';
import { readSections, visitSection, writeBase, writeDelta } from '../../../src/state/slot-codec.ts';
import { KeyedState } from '../../../src/state/keyed-state.ts';
import type { StateSettings } from '../../../src/state/state-slot.ts';
import { JSON_CODEC, textCodec, type StateCodec, type TextCodec } from '../../../src/state/state-codec.ts';
import type { SlotWrite, StoredSlot } from '../../../src/state/state-slot.ts';
import { keepValue, showValue, StateEntry } from '../../../src/state/state-value.ts';

const UPPER: StateCodec = {
  name: 'upper-1',
  encode: (value) => Buffer.from(JSON.stringify(value).toUpperCase()),
  decode: (bytes) => JSON.parse(Buffer.from(bytes).toString().toLowerCase()) as unknown,
};

/** Bytes of all kinds, and no text. */
const XOR: StateCodec = {
  name: 'xor-1',
  encode: (value) => Buffer.from(encodeValue(value)).map((byte) => byte ^ 0xa5),
  decode: (bytes) => decodeValue(Buffer.from(bytes.map((byte) => byte ^ 0xa5)).toString()),
};

function settingsOf(isOrdered: boolean, ...codecs: readonly TextCodec[]): StateSettings {
  return { isOrdered, isScanned: false, codecs: [codecs[0] ?? JSON_CODEC, ...codecs.slice(1), JSON_CODEC] };
}

/** A place for blobs, as a checkpoint store is one. */
class Blobs {
  readonly values = new Map<string, Uint8Array>();
  #number = 0;

  /** Begins a checkpoint of a state; what it returns writes it and ends it. */
  begin(state: KeyedState): { readonly writes: readonly SlotWrite[]; finish: () => readonly SlotRef[] } {
    const { writes, kept } = state.begin();
    this.#number += 1;
    const number = this.#number;
    const finish = (): readonly SlotRef[] => {
      const refs = [...kept];
      for (const write of writes) {
        if (write.entries === 0) continue;
        const key = `${number}/${write.slot}`;
        const bytes = written((writer) => write.write(writer));
        write.written(bytes);
        this.values.set(key, bytes);
        refs.push({ uid: 's', slot: write.slot, entries: write.entries, blobs: [...write.keeps, { key, bytes: bytes.length, crc: 0 }] });
      }
      state.saved(refs);
      return refs;
    };
    return { writes, finish };
  }

  stored(refs: readonly SlotRef[]): readonly StoredSlot[] {
    return refs.map((ref) => ({ ref, payloads: ref.blobs.map(({ key }) => this.values.get(key) ?? new Uint8Array()) }));
  }
}

function contents(state: KeyedState, slots: readonly number[]): readonly (readonly [string, unknown, number])[] {
  return slots.flatMap((slot) => Array.from(state.slot(slot), ([text, entry]) => [text, showValue(entry, state.codec), entry.at] as const));
}

const SLOTS = [0, 1, 2];
type Model = readonly Map<string, readonly [value: unknown, at: number]>[];

function modelOf(state: KeyedState): Model {
  return SLOTS.map((slot) => new Map(contents(state, [slot]).map(([text, value, at]) => [text, [value, at] as const])));
}

type Step =
  { readonly kind: 'batch'; readonly changes: readonly (readonly [number, string, number | null])[] } | { readonly kind: 'begin' | 'finish' | 'restore' };

/** So many that a few changes make a delta, and few enough that deltas outweigh the base within a run; so many that deltas are large enough not to be kept decoded. */
const [PREFILLED, PREFILLED_LARGE] = [40, 120];
const prefilledKey = fc.integer({ min: 0, max: PREFILLED_LARGE - 1 }).map((index) => `p${index}`);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('batch' as const),
      changes: fc.array(
        fc.tuple(
          fc.constantFrom(0, 0, ...SLOTS),
          fc.oneof(fc.constantFrom('a', 'b', 'c', 'd', 'p1'), prefilledKey),
          fc.option(fc.integer({ min: 0, max: 9 }), { freq: 8 }),
        ),
        { maxLength: 8 },
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.nat({ max: PREFILLED_LARGE }), fc.integer({ min: 30, max: 40 }), fc.integer({ min: 0, max: 9 })).map(([from, count, value]) => ({
      kind: 'batch' as const,
      changes: Array.from({ length: count }, (_, index) => [0, `p${from + index}`, index === value ? null : value] as const),
    })),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('begin' as const, 'finish' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restore' as const) }) },
);

describe('KeyedState', () => {
  it.each([
    ['in the order of the first touch', false],
    ['in the order of the last touch', true],
  ])('is what it was when the checkpoint began, keys %s, whatever batches did while it was written', (_name, isOrdered) =>
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: 'max' }), fc.boolean(), fc.constantFrom(PREFILLED, PREFILLED_LARGE), (steps, isSaved, prefilled) => {
        const blobs = new Blobs();
        const settings = settingsOf(isOrdered, textCodec(XOR));
        let state = new KeyedState('s', settings);
        let under: { readonly finish: () => readonly SlotRef[]; readonly expected: ReturnType<typeof contents> } | undefined;
        let saved: { readonly refs: readonly SlotRef[]; readonly expected: ReturnType<typeof contents> } = { refs: [], expected: [] };
        let at = 0;
        // One slot is large enough for deltas.
        state.merge(0, new Map(Array.from({ length: prefilled }, (_, index) => [`p${index}`, keepValue([0], state.codec, isOrdered ? 1 : 0)])));
        // The base is there, or is being written.
        if (isSaved) saved = { refs: blobs.begin(state).finish(), expected: contents(state, SLOTS) };
        else under = { expected: contents(state, SLOTS), finish: blobs.begin(state).finish };
        let model = modelOf(state);
        for (const each of steps) {
          if (each.kind === 'batch') {
            at += 1;
            for (const slot of SLOTS) {
              const changes = new Map<string, StateEntry | undefined>();
              for (const [where, key, value] of each.changes)
                if (where === slot) changes.set(key, value === null ? undefined : keepValue([value], state.codec, isOrdered ? at : 0));
              state.merge(slot, changes);
              for (const [key, entry] of changes) {
                if (isOrdered || entry === undefined) model[slot]?.delete(key);
                if (entry !== undefined) model[slot]?.set(key, [showValue(entry, state.codec), entry.at]);
              }
            }
          } else if (each.kind === 'begin') {
            under ??= { expected: contents(state, SLOTS), finish: blobs.begin(state).finish };
          } else if (each.kind === 'finish' && under !== undefined) {
            saved = { refs: under.finish(), expected: under.expected };
            under = undefined;
            const restored = new KeyedState('s', settings, blobs.stored(saved.refs));
            expect(restored.size.keys).toBe(saved.expected.length);
            expect(contents(restored, SLOTS)).toEqual(saved.expected);
          } else if (each.kind === 'restore') {
            // A crash: what was not saved is gone.
            under = undefined;
            state = new KeyedState('s', settings, blobs.stored(saved.refs));
            model = modelOf(state);
          }
          expect(contents(state, SLOTS)).toEqual(model.flatMap((keys) => Array.from(keys, ([key, held]) => [key, ...held])));
        }
      }),
      { numRuns: 300 },
    ),
  );
  it('keeps a key behind all others that went, came again and changed', () => {
    const blobs = new Blobs();
    const state = new KeyedState('s');
    const one = (key: string, value: number | undefined): void => state.merge(0, new Map([[key, value === undefined ? undefined : keepValue(value)]]));
    for (let index = 0; index < PREFILLED; index++) one(`p${index}`, 0);
    blobs.begin(state).finish();
    for (const value of [undefined, 1, 2]) one('p3', value);
    const { writes, finish } = blobs.begin(state);
    expect(writes.map(({ kind }) => kind)).toEqual(['delta']);
    const restored = new KeyedState('s', undefined, blobs.stored(finish()));
    expect(contents(restored, [0]).at(-1)).toEqual(['p3', 2, 0]);
    expect(contents(restored, [0])).toEqual(contents(state, [0]));
  });
  it('writes nothing for what did not change, and removes a slot that has nothing left', () => {
    const blobs = new Blobs();
    const state = new KeyedState('s');
    state.merge(1, new Map([['a', keepValue(1)]]));
    state.merge(2, new Map([['b', keepValue(1)]]));
    expect(
      blobs
        .begin(state)
        .finish()
        .map(({ slot }) => slot),
    ).toEqual([1, 2]);
    const second = blobs.begin(state);
    expect(second.writes).toEqual([]);
    expect(second.finish().map(({ slot }) => slot)).toEqual([1, 2]);
    state.merge(2, new Map([['b', undefined]]));
    expect(
      blobs
        .begin(state)
        .finish()
        .map(({ slot }) => slot),
    ).toEqual([1]);
    expect(state.begin()).toMatchObject({ writes: [], kept: [{ slot: 1 }] });
  });
  it('writes what changed in a large slot as deltas, joins them, and writes it whole once they outweigh it', () => {
    const blobs = new Blobs();
    const state = new KeyedState('s');
    const keys = Array.from({ length: 200 }, (_, index) => `key ${index}`);
    state.merge(5, new Map(keys.map((key) => [key, keepValue(0)])));
    blobs.begin(state).finish();
    const kinds: string[] = [];
    for (let round = 1; round <= 60; round++) {
      state.merge(5, new Map(Array.from({ length: 4 }, (_, index) => [keys[(4 * round + index) % keys.length] ?? '', keepValue(round)])));
      const { writes, finish } = blobs.begin(state);
      kinds.push(writes.map(({ kind, keeps }) => `${kind[0]}${keeps.length}`).join(' '));
      finish();
    }
    // A base, then deltas behind it: the number of blobs that stay in front of each.
    expect(kinds.join(' ')).toMatchInlineSnapshot(
      `"d1 d2 d3 d4 d5 d6 d1 d2 d3 d4 d5 d6 d7 d2 d3 d4 d5 d6 d7 d8 d3 d4 d5 d6 d7 d8 d9 d4 d5 d6 d7 d8 d9 d10 d5 d6 d7 d8 d9 d10 d11 d6 d7 d8 d9 d10 d11 d12 d7 b0 d1 d2 d3 d4 d5 d6 d1 d2 d3 d4"`,
    );
  });
  it('reads what another codec wrote, and writes it afresh, touched or not', () => {
    const blobs = new Blobs();
    const state = new KeyedState('s', settingsOf(false, textCodec(UPPER)));
    for (const slot of SLOTS) state.merge(slot, new Map([['a', keepValue(['x'], state.codec)]]));
    const stored = blobs.stored(blobs.begin(state).finish());
    const later = new KeyedState('s', settingsOf(false, textCodec(XOR), textCodec(UPPER)), stored);
    expect(contents(later, [1])).toEqual([['a', ['x'], 0]]);
    const rewritten = blobs.stored(blobs.begin(later).finish());
    expect(contents(new KeyedState('s', settingsOf(false, textCodec(XOR)), rewritten), SLOTS)).toEqual(SLOTS.map(() => ['a', ['x'], 0]));
    expect(() => new KeyedState('s', settingsOf(false), stored)).toThrow('it was written by "upper-1". Give that one in readCodecs');
  });
});

describe('chooseWrite()', () => {
  const scene = (parts: Partial<SlotScene>): SlotScene => ({ slot: 0, entries: 1000, hasBase: true, deltas: [], changed: 10, ...parts });
  it.each([
    ['nothing was written before', { hasBase: false }, { kind: 'base' }],
    ['the first change', {}, { kind: 'delta', keepDeltas: 0 }],
    ['three small deltas', { deltas: [10, 10, 10] }, { kind: 'delta', keepDeltas: 3 }],
    ['six small deltas', { deltas: [10, 10, 10, 10, 10, 10] }, { kind: 'delta', keepDeltas: 0 }],
    ['six small deltas in a slot that is joined later', { slot: 4, deltas: [10, 10, 10, 10, 10, 10] }, { kind: 'delta', keepDeltas: 6 }],
    ['small deltas behind a large one', { deltas: [50, 10, 10, 20, 10, 10, 10] }, { kind: 'delta', keepDeltas: 1 }],
    ['very many deltas', { deltas: Array.from({ length: 24 }, () => 21) }, { kind: 'delta', keepDeltas: 0 }],
    ['deltas that outweigh the base', { deltas: [600, 390] }, { kind: 'base' }],
    ['more changes than entries', { changed: 1000 }, { kind: 'base' }],
    ['nothing left', { entries: 0, changed: 1 }, { kind: 'base' }],
  ] as const)('%s', (_name, parts, choice) => expect(chooseWrite(scene(parts))).toEqual(choice));
});

type Seen = readonly [text: string, change: number, value: unknown];

function read(bytes: Uint8Array, codec: TextCodec): readonly Seen[] {
  const seen: Seen[] = [];
  for (const section of readSections(bytes, codec))
    visitSection(section, codec, (text, change, entry) => void seen.push([text, change, entry === undefined ? undefined : showValue(entry, codec)]));
  return seen;
}

function deltaOf(changes: EntryChanges): Buffer {
  return written((writer) => writeDelta(writer, changes, JSON_CODEC));
}

describe('slots', () => {
  const bytesOf = (pairs: readonly (readonly [string, unknown])[], codec: TextCodec): Uint8Array =>
    written((writer) => writeBase(writer, { forEach: (each) => pairs.forEach(([text, value]) => each(keepValue(value, codec), text)) }, codec));
  it.each([
    ['the default codec', JSON_CODEC],
    ['a binary codec', textCodec(XOR)],
  ])('are read as they were written by %s, in their order', (_name, codec) =>
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.string({ unit: 'binary' }), fc.jsonValue())), (pairs) => {
        expect(read(bytesOf(pairs, codec), codec)).toStrictEqual(pairs.map(([text, value]) => [text, 1, value]));
      }),
    ),
  );
  it('keep keys that no UTF-8 carries', () => {
    const pairs = [['\ud800', 1] as const, ['ä', 2] as const, ['a', 3] as const];
    expect(read(bytesOf(pairs, JSON_CODEC), JSON_CODEC).map(([text]) => text)).toEqual(['\ud800', 'ä', 'a']);
  });
  it('with something behind them, or of which something is missing, are refused', () => {
    const whole = bytesOf(
      [
        ['a', 'value'],
        ['b', 'other'],
      ],
      JSON_CODEC,
    );
    const reading = (bytes: Uint8Array) => (): unknown => read(bytes, JSON_CODEC);
    expect(reading(Buffer.concat([whole, Buffer.alloc(1)]))).toThrow(RangeError);
    for (let length = 0; length < whole.length; length++) expect(reading(whole.subarray(0, length))).toThrow(RangeError);
  });
  it('with flags that nobody knows are refused', () => {
    const bytes = Buffer.from(bytesOf([['a', 1]], JSON_CODEC));
    bytes.writeUInt32LE(2, bytes.indexOf('json-2') + 'json-2'.length);
    expect(() => read(bytes, JSON_CODEC)).toThrow('its flags must be known: found 2');
  });
  it('have a layout that does not change', () => {
    const changes = new EntryChanges();
    changes.insert('a', new StateEntry('[1]', true, 7));
    changes.set('ä', new StateEntry(2, false, 0));
    changes.remove('b');
    expect(deltaOf(changes).toString('hex')).toMatchInlineSnapshot(
      `"060000006a736f6e2d320100000003000000010000000400000061c3a46201000080010000000100000000000000040000005b315d320300000001000000ffffffff070000000000000000000000000000000000000000000000"`,
    );
  });
  it('that are joined are read one behind the other', () => {
    const one = new EntryChanges();
    one.insert('a', keepValue(1));
    const two = new EntryChanges();
    two.remove('a');
    two.insert('b', keepValue(2));
    const first = deltaOf(one);
    expect(read(Buffer.concat([first, first, deltaOf(two)]), JSON_CODEC)).toEqual([
      ['a', 1, 1],
      ['a', 1, 1],
      ['a', 2, undefined],
      ['b', 1, 2],
    ]);
  });
});
