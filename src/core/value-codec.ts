// The default codec of records, keys and state: canonical JSON, and beyond it what JSON would lose: undefined, NaN and the infinities, BigInt, Date, Map, Set, bytes and typed arrays. Such a
// value is an object with one field whose name begins with `$`; a plain object that looks like one is put into `$object`. docs/format-checkpoint.md lists them.
import { canonicalText, type Dialect, type EncodeInner } from './canonical-text.ts';

/** The name under which the format of this codec is written to disk. */
export const VALUE_CODEC_NAME = 'json-2';

const ARRAYS = {
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
} as const;

type ArrayName = keyof typeof ARRAYS;

/** The classes of typed arrays that values may be of. */
export const TYPED_ARRAYS: readonly unknown[] = Object.values(ARRAYS);

function tagged(tag: string, text: string): string {
  return `{"$${tag}":${text}}`;
}

/** Maps and sets are sorted by the text of their keys: equal ones give equal text, in whichever order they were filled. */
function sorted(texts: readonly string[]): string {
  return `[${texts.toSorted((left, right) => (left < right ? -1 : Number(left > right))).join(',')}]`;
}

function arrayName(value: object): ArrayName | 'Buffer' | undefined {
  const { constructor } = value;
  if (constructor === Buffer) return 'Buffer';
  const name = typeof constructor === 'function' ? constructor.name : '';
  return Object.hasOwn(ARRAYS, name) && ARRAYS[name as ArrayName] === constructor ? (name as ArrayName) : undefined;
}

function encodeInstance(value: object, path: string, inner: EncodeInner): string | undefined {
  const { constructor } = value;
  if (value instanceof Date && constructor === Date) return tagged('date', Number.isNaN(value.getTime()) ? 'null' : String(value.getTime()));
  if (value instanceof Map && constructor === Map) {
    const entries = [...value].map(([key, item], index): string => `[${inner(key, `${path}.keys[${index}]`)},${inner(item, `${path}.values[${index}]`)}]`);
    return tagged('map', sorted(entries));
  }
  if (value instanceof Set && constructor === Set) return tagged('set', sorted([...value].map((item, index) => inner(item, `${path}.items[${index}]`))));
  if (!ArrayBuffer.isView(value)) return undefined;
  const name = arrayName(value);
  return name === undefined
    ? undefined
    : tagged('bytes', JSON.stringify([name, Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64')]));
}

const VALUE_DIALECT: Dialect = {
  name: VALUE_CODEC_NAME,
  takes:
    'strings, numbers, booleans, null, undefined, BigInt, Date, Map, Set, bytes, typed arrays, arrays and plain objects, none of a class derived from them',
  special(value, path, inner) {
    if (value === undefined) return tagged('undefined', '0');
    if (typeof value === 'number') return tagged('number', JSON.stringify(String(value)));
    if (typeof value === 'bigint') return tagged('bigint', JSON.stringify(String(value)));
    return typeof value === 'object' && value !== null ? encodeInstance(value, path, inner) : undefined;
  },
  object: (text, keys) => (keys.length === 1 && keys[0]?.startsWith('$') === true ? tagged('object', text) : text),
};

/** Encodes a value; throws {@link UsageError} with the path of what it cannot take. Equal values give equal text. */
export function encodeValue(value: unknown): string {
  return canonicalText(VALUE_DIALECT, value);
}

function decodeBytes(payload: unknown): unknown {
  const [name, base64] = payload as readonly [string, string];
  const bytes = Buffer.from(base64, 'base64');
  if (name === 'Buffer') return bytes;
  const ArrayType = Object.hasOwn(ARRAYS, name) ? ARRAYS[name as ArrayName] : undefined;
  if (ArrayType === undefined) throw new SyntaxError(`Cannot decode bytes of ${VALUE_CODEC_NAME} as they must be of a known kind: found "${name}"`);
  // A copy of its own: the pool that small buffers share is aligned for none of the wider types.
  return new ArrayType(new Uint8Array(bytes).buffer);
}

const DECODERS: Readonly<Record<string, (payload: unknown) => unknown>> = {
  $undefined: () => undefined,
  $number: Number,
  $bigint: (payload) => BigInt(payload as string),
  $date: (payload) => new Date(payload === null ? Number.NaN : (payload as number)),
  $map: (payload) => new Map((payload as readonly (readonly [unknown, unknown])[]).map(([key, item]) => [untag(key), untag(item)])),
  $set: (payload) => new Set((payload as readonly unknown[]).map(untag)),
  $bytes: decodeBytes,
  $object: (payload) => untagFields(payload as Record<string, unknown>),
};

function untagFields(value: Record<string, unknown>): unknown {
  for (const key of Object.keys(value)) value[key] = untag(value[key]);
  return value;
}

/** What stands behind the tags, in place. */
function untag(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) value[index] = untag(value[index]);
    return value;
  }
  const fields = value as Record<string, unknown>;
  const [tag, ...more] = Object.keys(fields);
  if (tag === undefined || more.length > 0 || !tag.startsWith('$')) return untagFields(fields);
  const decode = Object.hasOwn(DECODERS, tag) ? DECODERS[tag] : undefined;
  if (decode === undefined) throw new SyntaxError(`Cannot decode a value of ${VALUE_CODEC_NAME} as its tag must be known: found "${tag}"`);
  return decode(fields[tag]);
}

/** Decodes what {@link encodeValue} made. Throws SyntaxError if the text is none. */
export function decodeValue(text: string): unknown {
  const value: unknown = JSON.parse(text);
  // Most values need no second look.
  return text.includes('{"$') ? untag(value) : value;
}
