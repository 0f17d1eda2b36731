// Packed entries against a Map: the same content in the same order, whatever is done to them.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteReader, written } from '../../../src/core/bytes.ts';
import { hashLatin1, hashText, KEY_SLOTS } from '../../../src/core/key-slot.ts';
import { EntryDecoder, PackedEntries } from '../../../src/state/packed-entries.ts';
import { SlotSection, writeBase } from '../../../src/state/slot-codec.ts';
import { SlotEntries } from '../../../src/state/slot-entries.ts';
import { JSON_CODEC } from '../../../src/state/state-codec.ts';
import { keepValue, showValue, StateEntry } from '../../../src/state/state-value.ts';

function pack(pairs: readonly (readonly [string, StateEntry])[]): PackedEntries {
  const entries = { forEach: (each: (entry: StateEntry, text: string) => void) => pairs.forEach(([text, entry]) => each(entry, text)) };
  const section = new SlotSection(new ByteReader(written((writer) => writeBase(writer, entries, JSON_CODEC))), JSON_CODEC);
  return new PackedEntries(section, new EntryDecoder(JSON_CODEC, (why) => new Error('broken', { cause: why })));
}

const key = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom('a', 'b', 'c', 'd', 'e') },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 20 }) },
);
const entry = fc
  .tuple(fc.oneof(fc.integer(), fc.string({ unit: 'binary' }), fc.constant({ x: 'é' })), fc.nat())
  .map(([value, at]) => keepValue(value, JSON_CODEC, at));
const step = fc.record({ kind: fc.constantFrom('set', 'append', 'delete', 'freeze', 'look'), key, entry });

type Shown = readonly (readonly [string, unknown, number])[];
const shown = (entries: Iterable<readonly [string, StateEntry]>): Shown => Array.from(entries, ([text, held]) => [text, showValue(held), held.at] as const);

describe('SlotEntries', () => {
  it('are a Map, packed or not, and what was frozen stays', () =>
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.tuple(key, entry), { selector: ([text]) => text }),
        fc.array(step, { maxLength: 40 }),
        fc.boolean(),
        (pairs, steps, isPacked) => {
          const model = new Map(pairs);
          const entries = isPacked ? new SlotEntries(pack(pairs)) : new SlotEntries(undefined, new Map(pairs));
          const frozen: { readonly copy: SlotEntries; readonly was: Shown }[] = [];
          for (const each of steps) {
            const has = model.has(each.key);
            if (each.kind === 'set') {
              expect(entries.set(each.key, each.entry)).toBe(has);
              model.set(each.key, each.entry);
            } else if (each.kind === 'append') {
              entries.append(each.key, each.entry);
              model.delete(each.key);
              model.set(each.key, each.entry);
            } else if (each.kind === 'delete') {
              expect(entries.delete(each.key)).toBe(model.delete(each.key));
            } else if (each.kind === 'freeze') {
              frozen.push({ copy: entries.frozen(), was: shown(model) });
            }
            expect(entries.has(each.key)).toBe(model.has(each.key));
            const found = entries.get(each.key);
            expect(found === undefined ? undefined : shown([[each.key, found]])).toEqual(
              model.has(each.key) ? shown([[each.key, model.get(each.key) as StateEntry]]) : undefined,
            );
            expect(entries.size).toBe(model.size);
            // Looking moves where it begins past what went.
            if (each.kind === 'look') expect(shown(entries)).toEqual(shown(model));
          }
          expect(shown(entries)).toEqual(shown(model));
          for (const { copy, was } of frozen) expect([copy.size, shown(copy)]).toEqual([was.length, was]);
        },
      ),
      { numRuns: 500 },
    ));
});

describe('PackedEntries', () => {
  it('finds each of very many keys, and no other', () => {
    const count = 70_000;
    const packed = pack(Array.from({ length: count }, (_, index) => [`key ${index}`, keepValue(index)] as const));
    for (let index = 0; index < count; index += 7) expect([packed.find(`key ${index}`), packed.key(index)]).toEqual([index, `key ${index}`]);
    expect(packed.find('key')).toBe(-1);
    expect(packed.find(`key ${count}`)).toBe(-1);
    expect(pack([]).find('')).toBe(-1);
  });
  it('finds keys whose hashes lead to the same place', () => {
    const place = (text: string): number => Math.floor(hashText(text) / KEY_SLOTS) & 7;
    const keys = Array.from({ length: 200 }, (_, index) => `k${index}`).filter((text) => place(text) === 7);
    const three = keys.slice(0, 3).map((text, index) => [text, keepValue(index)] as const);
    const packed = pack(three);
    expect(three.map(([text]) => packed.find(text))).toEqual([0, 1, 2]);
    expect(packed.find(keys[3] ?? '')).toBe(-1);
  });
  it('refuses a key that is there twice', () =>
    expect(() =>
      pack([
        ['a', keepValue(1)],
        ['a', keepValue(2)],
      ]),
    ).toThrow('each key must be there once'));
  it('tells of a value that is none when it is asked for', () => {
    const packed = pack([
      ['a', new StateEntry('nonsense', true, 0)],
      ['b', keepValue(2)],
    ]);
    expect(() => packed.entry(0)).toThrow('broken');
    expect(packed.entry(1)).toEqual(keepValue(2));
  });
});

describe('hashLatin1()', () => {
  it('is the hash of the text', () =>
    fc.assert(
      fc.property(fc.string(), fc.string(), (before, text) => {
        const bytes = Buffer.from(before + text, 'latin1');
        expect(hashLatin1(bytes, before.length, bytes.length)).toBe(hashText(bytes.toString('latin1', before.length)));
      }),
    ));
});
