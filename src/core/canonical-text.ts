// Walks a value and writes it as canonical JSON text: the keys of objects are sorted, so equal values give equal text. What JSON lacks is the business of the codec that walks.
import { UsageError } from './errors.ts';

/** Encodes a value inside another one, at its path. */
export type EncodeInner = (value: unknown, path: string) => string;

/** What a codec adds to JSON. */
export interface Dialect {
  /** The name of the codec, for messages. */
  readonly name: string;
  /** What it takes, for messages. */
  readonly takes: string;
  /** The text of a value that JSON lacks, or undefined if the codec lacks it too. */
  special(value: unknown, path: string, inner: EncodeInner): string | undefined;
  /** The text of a plain object, given that of its fields, which are sorted by name. */
  object(text: string, keys: readonly string[]): string;
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

/** One walk over a value. */
class Walk {
  readonly #dialect: Dialect;
  /** The values around the one that is being encoded. */
  readonly #enclosing = new Set<object>();

  constructor(dialect: Dialect) {
    this.#dialect = dialect;
  }

  readonly encode: EncodeInner = (value, path) => {
    if (typeof value === 'string') return JSON.stringify(value);
    if (typeof value === 'number' && Number.isFinite(value)) return Object.is(value, -0) ? '-0' : String(value);
    if (value === null || typeof value === 'boolean') return String(value);
    if (typeof value !== 'object') return this.#dialect.special(value, path, this.encode) ?? this.#refuse(path, describe(value));
    if (this.#enclosing.has(value)) return this.#refuse(path, 'a reference to an enclosing value');
    this.#enclosing.add(value);
    const text = this.#encodeObject(value, path);
    this.#enclosing.delete(value);
    return text;
  };

  #encodeObject(value: object, path: string): string {
    if (Array.isArray(value)) return this.#encodeArray(value, path);
    if (!isPlainObject(value)) return this.#dialect.special(value, path, this.encode) ?? this.#refuse(path, describe(value));
    const keys = Object.keys(value).sort();
    let text = '{';
    for (const key of keys) text += `${text === '{' ? '' : ','}${JSON.stringify(key)}:${this.encode(value[key], `${path}.${key}`)}`;
    return this.#dialect.object(`${text}}`, keys);
  }

  #encodeArray(value: readonly unknown[], path: string): string {
    let text = '[';
    for (let index = 0; index < value.length; index++) text += `${index === 0 ? '' : ','}${this.encode(value[index], `${path}[${index}]`)}`;
    return `${text}]`;
  }

  #refuse(path: string, found: string): never {
    const { name, takes } = this.#dialect;
    throw new UsageError('STREAM_CODEC', `Cannot encode a value as the codec ${name} takes ${takes} only: found ${found} at ${path}`);
  }
}

/** Encodes a value; throws {@link UsageError} with the path of what the dialect cannot take. */
export function canonicalText(dialect: Dialect, value: unknown): string {
  return new Walk(dialect).encode(value, '$');
}
