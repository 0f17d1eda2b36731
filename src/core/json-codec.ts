// Canonical JSON, for what leaves the engine as JSON. What JSON would silently change (undefined, NaN, Map, Date, a class instance, ...) is refused with its path instead.
import { canonicalText, type Dialect } from './canonical-text.ts';

const JSON_DIALECT: Dialect = {
  name: 'json',
  takes: 'strings, finite numbers, booleans, null, arrays and plain objects',
  special: () => undefined,
  object: (text) => text,
};

/** Encodes a value as canonical JSON; throws {@link UsageError} with the path of what it cannot take. */
export function encodeJson(value: unknown): string {
  return canonicalText(JSON_DIALECT, value);
}
