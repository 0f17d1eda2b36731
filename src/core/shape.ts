// Narrows data read from disk from `unknown` to a type, once, at the edge. A value that does not fit throws ShapeError with the path where it did not.

/** Data does not have the shape that was expected; the caller wraps it into the error of its own format. */
export class ShapeError extends Error {
  override readonly name = 'ShapeError';
}

/** A function that checks a value found at `path` and returns it typed. */
export type Shape<T> = (value: unknown, path: string) => T;

function mismatch(path: string, expected: string, found: unknown): ShapeError {
  return new ShapeError(`${path} must be ${expected}: found ${found === null ? 'null' : Array.isArray(found) ? 'an array' : typeof found}`);
}

/** A string. */
export const string: Shape<string> = (value, path) => {
  if (typeof value !== 'string') throw mismatch(path, 'a string', value);
  return value;
};

/** A whole number that a double holds exactly, of 0 or more. */
export const count: Shape<number> = (value, path) => {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw mismatch(path, 'a whole number of 0 or more', value);
  return value;
};

/** True or false. */
export const boolean: Shape<boolean> = (value, path) => {
  if (typeof value !== 'boolean') throw mismatch(path, 'true or false', value);
  return value;
};

/** An array whose elements all fit `element`. */
export function array<T>(element: Shape<T>): Shape<readonly T[]> {
  return (value, path) => {
    if (!Array.isArray(value)) throw mismatch(path, 'an array', value);
    return value.map((item: unknown, index) => element(item, `${path}[${index}]`));
  };
}

/** The value, or undefined when it is absent. */
export function optional<T>(shape: Shape<T>): Shape<T | undefined> {
  return (value, path) => (value === undefined ? undefined : shape(value, path));
}

/** The value, or null. */
export function nullable<T>(shape: Shape<T>): Shape<T | null> {
  return (value, path) => (value === null ? null : shape(value, path));
}

function asObject(value: unknown, path: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw mismatch(path, 'an object', value);
  return Object.fromEntries(Object.entries(value));
}

/** An object used as a map: every value fits `element`. */
export function dictionary<T>(element: Shape<T>): Shape<ReadonlyMap<string, T>> {
  return (value, path) => new Map(Object.entries(asObject(value, path)).map(([key, item]) => [key, element(item, `${path}.${key}`)]));
}

/** An object with the given fields; fields that are not named are ignored, so that a later minor version may add some. */
export function object<T extends Readonly<Record<string, unknown>>>(fields: { readonly [K in keyof T]: Shape<T[K]> }): Shape<T> {
  return (value, path) => {
    const source = asObject(value, path);
    const result: Partial<Record<keyof T, unknown>> = {};
    for (const name of Object.keys(fields) as (keyof T & string)[]) {
      const field = fields[name](source[name], `${path}.${name}`);
      if (field !== undefined) result[name] = field;
    }
    return result as T;
  };
}
