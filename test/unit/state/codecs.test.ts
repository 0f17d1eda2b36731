// Goal: every codec gives back what it is given, bit for bit, and says where it cannot. Method: arbitrary values, among them what JSON and MessagePack lack.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeValue } from '../../../src/core/value-codec.ts';
import { codecOption, JSON_CODEC, textCodec } from '../../../src/state/state-codec.ts';
import { msgpackCodec } from '../../../src/state/msgpack-codec.ts';

const bytes = fc.uint8Array({ maxLength: 20 });
const leaf = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.double(),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.bigInt(),
  fc.boolean(),
  fc.constantFrom(null, undefined, Number.NaN, -0, Infinity, -Infinity, 2 ** 53, -(2 ** 31), '', '\ud800'),
  fc.date({ noInvalidDate: false }),
  bytes,
  bytes.map((each) => Buffer.from(each)),
  fc.uint16Array({ maxLength: 5 }),
  fc.float64Array({ maxLength: 5 }),
  fc.bigInt64Array({ maxLength: 3 }),
  fc.int8Array({ maxLength: 5 }),
  fc.uint8ClampedArray({ maxLength: 5 }),
);
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    leaf,
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(fc.string(), tie('value'), { maxKeys: 4, noNullPrototype: true }),
    fc.array(fc.tuple(fc.string(), tie('value')), { maxLength: 3 }).map((pairs) => new Map(pairs)),
    fc.array(fc.string(), { maxLength: 3 }).map((items) => new Set(items)),
  ),
}));

const CODECS = [
  ['json-2', JSON_CODEC],
  ['msgpack-1', textCodec(msgpackCodec())],
] as const;

describe.each(CODECS)('the codec %s', (_name, codec) => {
  it('gives back what it is given', () =>
    fc.assert(
      fc.property(value, (given) => {
        const back = codec.decode(codec.encode(given));
        expect(encodeValue(back)).toBe(encodeValue(given));
        expect(back).toStrictEqual(given);
      }),
      { numRuns: 1000 },
    ));
  it('gives the same for the same', () =>
    fc.assert(
      fc.property(value, (given) => {
        expect(codec.encode(codec.decode(codec.encode(given)))).toBe(codec.encode(given));
      }),
    ));
  it.each([
    ['a function', { a: [() => 1] }, 'found function at $.a[0]'],
    ['an instance of a class', { a: new Error('x') }, 'found an instance of Error at $.a'],
    ['a symbol in a map', new Map([['k', Symbol('s')]]), 'found symbol at $.values[0]'],
    ['a class derived from one that it takes', [new (class Mine extends Map {})()], 'found an instance of Mine at $[0]'],
  ])('refuses %s, with its path', (_what, given, message) => expect(() => codec.encode(given)).toThrow(message));
  it('refuses a value inside itself', () => {
    const loop: unknown[] = [];
    loop.push(loop);
    expect(() => codec.encode(loop)).toThrow('a reference to an enclosing value');
  });
});

it('bytes that are no MessagePack are refused', () => expect(() => msgpackCodec().decode(Buffer.from('c7', 'hex'))).toThrow('Cannot decode a state'));
it('a codec of the built-in name is refused', () =>
  expect(() => codecOption('x', 'codec', { name: 'json-2', encode: () => Buffer.alloc(0), decode: () => 0 })).toThrow('of another name'));
