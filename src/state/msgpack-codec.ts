// State as MessagePack, by the package msgpackr. The one file here that knows it; imported as millrace/msgpack.
import { UsageError } from '../core/errors.ts';
import { decodeValue, encodeValue, TYPED_ARRAYS } from '../core/value-codec.ts';
import { optionalPackage } from '../env/optional-package.ts';
import type { StateCodec } from './state-codec.ts';

interface Packr {
  pack(value: unknown): Uint8Array;
  unpack(bytes: Uint8Array): unknown;
}

interface Msgpackr {
  readonly Packr: new (options: object) => Packr;
}

/** The byte that MessagePack never uses: behind it stands a value of the default codec. */
const DEFAULT_CODEC_MARK = 0xc1;

/** Classes that msgpackr carries, besides plain objects and arrays. */
const CARRIED: ReadonlySet<unknown> = new Set([Date, Map, Set, Buffer, ...TYPED_ARRAYS]);

/** Deeper values are left to the default codec, which sees a value inside itself. */
const DEPTH_MAX = 64;

/** Half of a character: UTF-8 has none. */
const LONE_SURROGATE = /\p{Surrogate}/u;

/** Whether msgpackr gives back what it is given. It gives 0 for -0, another name for `__proto__` and another character for a lone surrogate, and takes what the default codec refuses, such as functions, for something else. */
function isCarried(value: unknown, depth = 0): boolean {
  if (typeof value === 'number') return !Object.is(value, -0);
  if (typeof value === 'string') return !LONE_SURROGATE.test(value);
  if (typeof value === 'function' || typeof value === 'symbol') return false;
  return typeof value !== 'object' || value === null || (depth < DEPTH_MAX && isCarriedObject(value, depth + 1));
}

function isCarriedObject(value: object, depth: number): boolean {
  const areCarried = (items: readonly unknown[]): boolean => items.every((item) => isCarried(item, depth));
  if (Array.isArray(value)) return areCarried(value);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null)
    return !Object.hasOwn(value, '__proto__') && areCarried(Object.keys(value)) && areCarried(Object.values(value));
  if (!CARRIED.has(value.constructor)) return false;
  if (value instanceof Map) return areCarried([...value.keys()]) && areCarried([...value.values()]);
  return value instanceof Set ? areCarried([...value]) : true;
}

/**
 * A codec for state that takes less time and fewer bytes than the default one, by the package msgpackr, which must be installed: `npm install msgpackr`. Takes what the default codec
 * takes. Equal values give equal bytes only if their keys, and the entries of maps and sets, stand in the same order.
 *
 * @throws {UsageError} If the package is not installed.
 * @example
 * ```ts
 * import { seconds, StreamingContext } from 'millrace';
 * import { msgpackCodec } from 'millrace/msgpack';
 *
 * const context = new StreamingContext({ appName: 'word-count', batchInterval: seconds(1) });
 * context
 *   .socketTextStream('localhost', 9999)
 *   .map((word) => [word, 1])
 *   .updateStateByKey<{ n: number }>((values, state) => ({ n: values.length + (state?.n ?? 0) }), { uid: 'counts', state: { codec: msgpackCodec() } })
 *   .print();
 * ```
 */
export function msgpackCodec<S = unknown>(): StateCodec<S> {
  const { Packr } = optionalPackage<Msgpackr>('msgpackr', 'the codec msgpack-1');
  const packr = new Packr({ structuredClone: true, moreTypes: true, useRecords: true, useBigIntExtension: true, copyBuffers: true });
  return {
    name: 'msgpack-1',
    encode(value) {
      if (isCarried(value)) return packr.pack(value);
      // Throws with the path for what it does not take either.
      return Buffer.concat([Buffer.of(DEFAULT_CODEC_MARK), Buffer.from(encodeValue(value))]);
    },
    decode(bytes) {
      try {
        if (bytes[0] === DEFAULT_CODEC_MARK) return decodeValue(Buffer.from(bytes.subarray(1)).toString()) as S;
        return packr.unpack(bytes) as S;
      } catch (error) {
        throw new UsageError('STREAM_CODEC', `Cannot decode a state as it must be MessagePack: ${error instanceof Error ? error.message : String(error)}`, {
          cause: error,
        });
      }
    },
  };
}
