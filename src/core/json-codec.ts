// The default codec: canonical JSON. Object keys are sorted, so equal values give equal bytes; what JSON would silently change (undefined, NaN, Map, Date, a class
// instance, ...) is refused with its path instead.
import type { Codec } from './codec.ts';
import { UsageError } from './errors.ts';

/** The name under which the format of this codec is written to disk. */
export const JSON_CODEC_NAME = 'json-1';

function refuse(path: string, found: string): UsageError {
  return new UsageError(
    'STREAM_CODEC',
    `Cannot encode a value as the codec ${JSON_CODEC_NAME} takes strings, finite numbers, booleans, null, arrays and plain objects only: found ${found} at ${path}`,
  );
}

function describe(value: unknown): string {
  if (typeof value === 'number') return String(value);
  if (typeof value !== 'object' || value === null) return typeof value;
  const prototype: unknown = Object.getPrototypeOf(value);
  const constructor = typeof prototype === 'object' && prototype !== null && 'constructor' in prototype ? prototype.constructor : undefined;
  return typeof constructor === 'function' ? `an instance of ${constructor.name}` : 'an object with a prototype of its own';
}

function isPlainObject(value: object): value is Readonly<Record<string, unknown>> {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function encodeObject(value: Readonly<Record<string, unknown>>, path: string, parents: ReadonlySet<object>): string {
  const fields: string[] = [];
  for (const key of Object.keys(value).sort()) fields.push(`${JSON.stringify(key)}:${encodeAny(value[key], `${path}.${key}`, parents)}`);
  return `{${fields.join(',')}}`;
}

function encodeArray(value: readonly unknown[], path: string, parents: ReadonlySet<object>): string {
  let text = '[';
  for (let index = 0; index < value.length; index++) {
    if (index > 0) text += ',';
    text += encodeAny(value[index], `${path}[${index}]`, parents);
  }
  return `${text}]`;
}

function encodeAny(value: unknown, path: string, parents: ReadonlySet<object>): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw refuse(path, describe(value));
    return Object.is(value, -0) ? '-0' : String(value);
  }
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value !== 'object') throw refuse(path, describe(value));
  if (parents.has(value)) throw refuse(path, 'a reference to an enclosing value');
  if (Array.isArray(value)) return encodeArray(value, path, new Set(parents).add(value));
  if (isPlainObject(value)) return encodeObject(value, path, new Set(parents).add(value));
  throw refuse(path, describe(value));
}

const NO_PARENTS: ReadonlySet<object> = new Set();

/** Encodes a value as canonical JSON; throws {@link UsageError} with the path of what it cannot take. */
export function encodeJson(value: unknown): string {
  return encodeAny(value, '$', NO_PARENTS);
}

/** The JSON codec for values of type `T`. The type is the caller's word for what it encoded. */
export function jsonCodec<T>(): Codec<T> {
  return {
    name: JSON_CODEC_NAME,
    encode: encodeJson,
    decode: (text) => JSON.parse(text) as T,
  };
}
