import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteReader, ByteWriter } from '../../../src/core/bytes.ts';
import { detach } from '../../../src/core/detach.ts';
import { stateDigest, rowsFingerprint } from '../../../src/core/digest.ts';
import { exitCodeOf } from '../../../src/core/errors.ts';
import { optionalPackage } from '../../../src/env/optional-package.ts';
import { encodeJson } from '../../../src/core/json-codec.ts';
import { decodeValue, encodeValue } from '../../../src/core/value-codec.ts';
import { KEY_SLOTS, keySlot, keyText, partitionOfSlot } from '../../../src/core/key-slot.ts';
import { refuseUnknownOptions, textOption, wholeOption } from '../../../src/core/options.ts';
import { array, count, object, ShapeError, string } from '../../../src/core/shape.ts';
import { batchAfter, floorToBatch, milliseconds, minutes, seconds } from '../../../src/core/time.ts';
import { CorruptionError, LockedError, StorageError, UsageError } from '../../../src/index.ts';

const json = fc.jsonValue();

describe('durations', () => {
  it('are whole milliseconds', () => {
    expect(seconds(0.5)).toBe(milliseconds(500));
    expect(minutes(2)).toBe(seconds(120));
  });
  it.each([0, -1, 0.5, Number.NaN, Infinity])('refuse %s', (count_) => expect(() => milliseconds(count_)).toThrow(RangeError));
  it('align to the epoch', () => {
    expect(floorToBatch(1999, seconds(1))).toBe(1000);
    expect(batchAfter(1000, seconds(1))).toBe(2000);
    expect(batchAfter(999, seconds(1))).toBe(1000);
  });
});

describe('encodeJson()', () => {
  it('gives back what it took', () =>
    fc.assert(
      fc.property(json, (value) => {
        expect(JSON.parse(encodeJson(value))).toEqual(value);
      }),
    ));
  it('gives equal text for equal objects', () => expect(encodeJson({ b: 1, a: [2] })).toBe(encodeJson({ a: [2], b: 1 })));
  it('keeps -0', () => expect(Object.is(JSON.parse(encodeJson(-0)), -0)).toBe(true));
  it.each([
    [{ a: [undefined] }, 'STREAM_CODEC', '$.a[0]'],
    [[Number.NaN], 'STREAM_CODEC', '$[0]'],
    [{ at: new Date(0) }, 'STREAM_CODEC', 'an instance of Date at $.at'],
    [new Map(), 'STREAM_CODEC', 'an instance of Map at $'],
    [{ f: () => 1 }, 'STREAM_CODEC', 'function at $.f'],
    [10n, 'STREAM_CODEC', 'bigint at $'],
  ])('refuses %o with its path', (value, code, where) => {
    expect(() => encodeJson(value)).toThrow(expect.objectContaining({ code, message: expect.stringContaining(where) }) as Error);
  });
  it('refuses a cycle', () => {
    const cycle: unknown[] = [];
    cycle.push({ cycle });
    expect(() => encodeJson(cycle)).toThrow('an enclosing value at $[0].cycle');
  });
});

describe('encodeValue()', () => {
  const anything = fc.anything({ withBigInt: true, withDate: true, withMap: true, withSet: true, withTypedArray: true, maxDepth: 3 });
  it('gives back what it took, whatever it is made of', () =>
    fc.assert(
      fc.property(anything, (value) => {
        expect(decodeValue(encodeValue(value))).toStrictEqual(value);
      }),
      { numRuns: 2000 },
    ));
  it('gives the text of JSON for what JSON carries, but for objects that look like a tag', () =>
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = encodeJson(value);
        expect(text.includes('{"$') || encodeValue(value) === text).toBe(true);
      }),
    ));
  it.each([
    ['undefined', undefined, '{"$undefined":0}'],
    ['NaN', Number.NaN, '{"$number":"NaN"}'],
    ['an infinity', -Infinity, '{"$number":"-Infinity"}'],
    ['-0', -0, '-0'],
    ['a bigint', 12n, '{"$bigint":"12"}'],
    ['a date', new Date(5), '{"$date":5}'],
    ['a date that is none', new Date(Number.NaN), '{"$date":null}'],
    [
      'a map',
      new Map<unknown, unknown>([
        ['b', 1],
        ['a', [2]],
      ]),
      '{"$map":[["a",[2]],["b",1]]}',
    ],
    ['a set', new Set([2, 1]), '{"$set":[1,2]}'],
    ['bytes', Buffer.from('hi'), '{"$bytes":["Buffer","aGk="]}'],
    ['a typed array', new Uint16Array([1, 256]), '{"$bytes":["Uint16Array","AQAAAQ=="]}'],
    ['an object that looks like a tag', { $date: 5 }, '{"$object":{"$date":5}}'],
    ['a field that is undefined', { a: undefined }, '{"a":{"$undefined":0}}'],
  ])('writes %s so', (_name, value, text) => {
    expect(encodeValue(value)).toBe(text);
    expect(decodeValue(text)).toStrictEqual(value);
  });
  it('gives equal text for equal maps, sets and objects, in whichever order they were filled', () =>
    fc.assert(
      fc.property(fc.uniqueArray(fc.tuple(fc.string(), anything), { selector: ([key]) => key, maxLength: 5 }), (entries) => {
        const turned = entries.toReversed();
        expect(encodeValue(new Map(entries))).toBe(encodeValue(new Map(turned)));
        expect(encodeValue(new Set(entries.map(([key]) => key)))).toBe(encodeValue(new Set(turned.map(([key]) => key))));
        expect(encodeValue(Object.fromEntries(entries))).toBe(encodeValue(Object.fromEntries(turned)));
      }),
    ));
  class Point {
    x = 1;
  }
  class Dates extends Date {}
  it.each([
    [{ f: () => 1 }, 'function at $.f'],
    [[Symbol('s')], 'symbol at $[0]'],
    [new Map([['a', new Map([['p', new Point()]])]]), 'an instance of Point at $.values[0].values[0]'],
    [new Dates(0), 'an instance of Dates at $'],
    [/x/, 'an instance of RegExp at $'],
    [new ArrayBuffer(2), 'an instance of ArrayBuffer at $'],
  ])('refuses what it cannot give back, with its path: %#', (value, where) => {
    expect(() => encodeValue(value)).toThrow(expect.objectContaining({ code: 'STREAM_CODEC', message: expect.stringContaining(where) as string }) as Error);
  });
  it('refuses a cycle, and takes the same object twice', () => {
    const cycle = new Map<string, unknown>();
    cycle.set('again', [cycle]);
    expect(() => encodeValue(cycle)).toThrow('an enclosing value at $.values[0][0]');
    const shared = { a: 1 };
    expect(encodeValue([shared, shared])).toBe('[{"a":1},{"a":1}]');
  });
  it('refuses a tag and a kind of bytes that it does not know', () => {
    expect(() => decodeValue('{"$weird":1}')).toThrow('found "$weird"');
    expect(() => decodeValue('{"$bytes":["Float16Array",""]}')).toThrow('found "Float16Array"');
  });
});

describe('keys', () => {
  it('are the same exactly when their values are', () =>
    fc.assert(
      fc.property(json, json, (left, right) => {
        expect(keyText(left) === keyText(right)).toBe(encodeValue(left === 0 ? 0 : left) === encodeValue(right === 0 ? 0 : right));
      }),
    ));
  it('have slots that never change: they are on disk', () => {
    expect(['', 'a', 'the', 'ä', 1, true, null, ['a', 1]].map(keySlot)).toMatchInlineSnapshot(`
      [
        11,
        435,
        504,
        1016,
        748,
        989,
        1015,
        781,
      ]
    `);
  });
  it('are spread over all slots', () => {
    const slots = new Set(Array.from({ length: 20_000 }, (_unused, index) => keySlot(`key-${index}`)));
    expect(slots.size).toBeGreaterThan(KEY_SLOTS - 5);
  });
  it('have partitions that are contiguous ranges of slots', () =>
    fc.assert(
      fc.property(fc.integer({ min: 1, max: KEY_SLOTS }), (partitions) => {
        const owners = Array.from({ length: KEY_SLOTS }, (_unused, slot) => partitionOfSlot(slot, partitions));
        expect(owners).toEqual(owners.toSorted((left, right) => left - right));
        expect(new Set(owners).size).toBe(partitions);
      }),
    ));
});

describe('bytes', () => {
  it('are read as they were written', () =>
    fc.assert(
      fc.property(fc.nat(), fc.maxSafeNat(), fc.string({ unit: 'grapheme' }), (small, large, text) => {
        const reader = new ByteReader(new ByteWriter(1).u32(small).u64(large).text(text).finish());
        expect([reader.u32(), reader.u64(), reader.text(), reader.left]).toEqual([small, large, text, 0]);
      }),
    ));
  it('find room for more than there was', () => {
    const large = Buffer.alloc(1000, 7);
    expect(Buffer.from(new ByteWriter(16).raw(large).raw(large).finish()).equals(Buffer.concat([large, large]))).toBe(true);
  });
  it('are not read past their end', () => expect(() => new ByteReader(new Uint8Array(3)).u32()).toThrow(RangeError));
});

describe('digests', () => {
  it('of rows depend on order and on where a row ends', () => {
    expect(rowsFingerprint(['a', 'b'])).not.toBe(rowsFingerprint(['b', 'a']));
    expect(rowsFingerprint(['ab'])).not.toBe(rowsFingerprint(['a', 'b']));
    expect(rowsFingerprint(['a'])).toHaveLength(32);
  });
  it('of state do not depend on the order of changes, but on removal', () => {
    const slot = (number: number, changes: Record<string, string | undefined>) => ({
      uid: 'u',
      slot: number,
      keys: Object.keys(changes),
      value: (key: string) => changes[key],
    });
    const digest = stateDigest([slot(1, { a: '1', b: '2' }), slot(10, { c: '3' })]);
    expect(digest).toMatchInlineSnapshot(`"bd328446c7e6db5e309688f35b8e79d3c8c315f539eb008fff8e64bae2360f25"`);
    expect(stateDigest([slot(10, { c: '3' }), slot(1, { b: '2', a: '1' })])).toBe(digest);
    expect(stateDigest([slot(1, { a: '1' })])).not.toBe(stateDigest([slot(1, { a: undefined })]));
    expect(stateDigest([slot(1, { a: '1' })])).not.toBe(stateDigest([slot(2, { a: '1' })]));
  });
});

describe('detach()', () => {
  it('copies what can be changed', () => {
    const value = { a: [1] };
    const copy = detach(value);
    copy.a.push(2);
    expect(value).toEqual({ a: [1] });
  });
});

describe('shapes', () => {
  const shape = object<{ name: string; sizes: readonly number[] }>({ name: string, sizes: array(count) });
  it('narrow what fits', () => expect(shape({ name: 'a', sizes: [1], more: true }, 'x')).toEqual({ name: 'a', sizes: [1] }));
  it('say where something does not', () =>
    expect(() => shape({ name: 'a', sizes: [1, -1] }, 'x')).toThrow(new ShapeError('x.sizes[1] must be a whole number of 0 or more: found number')));
});

describe('options', () => {
  it.each([
    () => refuseUnknownOptions('thing', { sise: 1 }, ['size']),
    () => wholeOption('thing', 'size', { value: 0, fallback: 1, min: 1 }),
    () => wholeOption('thing', 'size', { value: 1.5, fallback: 1, min: 1 }),
    () => textOption('thing', 'uid', ''),
    () => textOption('thing', 'uid', 'a\nb'),
  ])('that are wrong are named: %#', (call) => expect(call).toThrow(expect.objectContaining({ code: 'STREAM_OPTION', exitCode: 64 }) as Error));
});

describe('exitCodeOf()', () => {
  it.each([
    [new UsageError('STREAM_OPTION', ''), 64],
    [new LockedError('STREAM_LOCKED', ''), 73],
    [new StorageError('STREAM_WAL_POISONED', ''), 74],
    [new CorruptionError('STREAM_WAL_CORRUPT', ''), 78],
    [new Error('any'), 1],
    ['thrown text', 1],
  ])('%s ends with %i', (error, code) => expect(exitCodeOf(error)).toBe(code));
});

describe('optionalPackage()', () => {
  it('says how to install what is missing', () => {
    for (const [name, command] of [
      ['millrace-has-no-such-package/sync', 'npm install millrace-has-no-such-package'],
      ['@millrace/no-such-package/sync', 'npm install @millrace/no-such-package'],
    ] as const) {
      expect(() => optionalPackage(name, 'a test')).toThrow(
        expect.objectContaining({
          code: 'STREAM_OPTION',
          exitCode: 64,
          message: expect.stringContaining(`Cannot use a test as the package ${command.slice(12)} must be installed: run "${command}"`),
        }) as Error,
      );
    }
  });
});
