// Checks of options: an unknown name is an error, and so is a value outside its range. Each error says what was expected and what was found.
import { UsageError } from './errors.ts';
import { KEY_SLOTS } from './key-slot.ts';

function show(value: unknown): string {
  return typeof value === 'string'
    ? JSON.stringify(value)
    : typeof value === 'object' && value !== null
      ? Array.isArray(value)
        ? 'an array'
        : 'an object'
      : String(value);
}

/** An option of `owner` that does not hold what it must. */
export function optionError(owner: string, name: string, rule: { readonly expected: string; readonly found: unknown }): UsageError {
  return new UsageError('STREAM_OPTION', `Cannot use the option ${name} of ${owner} as it must be ${rule.expected}: found ${show(rule.found)}`);
}

/** Refuses names that are not among `known`. */
export function refuseUnknownOptions(owner: string, options: object, known: readonly string[]): void {
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) {
      throw new UsageError('STREAM_OPTION', `Cannot use the option ${name} of ${owner} as it is unknown: known are ${known.join(', ')}`);
    }
  }
}

/** A whole number within a range, or the default when it is absent. */
export function wholeOption(
  owner: string,
  name: string,
  rule: { readonly value: number | undefined; readonly fallback: number; readonly min: number; readonly max?: number },
): number {
  const { value, fallback, min, max = Number.MAX_SAFE_INTEGER } = rule;
  if (value === undefined) return fallback;
  if (!Number.isSafeInteger(value) || value < min || value > max) {
    throw optionError(owner, name, { expected: `a whole number from ${min} to ${max}`, found: value });
  }
  return value;
}

/** How many partitions an operator makes, or the default. */
export function partitionsOption<D extends number | undefined>(kind: string, value: number | undefined, fallback: D): number | D {
  return value === undefined ? fallback : wholeOption(kind, 'numPartitions', { value, fallback: value, min: 1, max: KEY_SLOTS });
}

/** A non-empty string without control characters. */
export function textOption(owner: string, name: string, value: unknown): string {
  if (typeof value !== 'string' || value === '' || /\p{Cc}/u.test(value)) {
    throw optionError(owner, name, { expected: 'a non-empty string without control characters', found: value });
  }
  return value;
}

/** Checks an option that is true or false. */
export function flagOption(owner: string, name: string, { value, fallback }: { readonly value: unknown; readonly fallback: boolean }): boolean {
  if (value === undefined) return fallback;
  if (typeof value !== 'boolean') throw optionError(owner, name, { expected: 'true or false', found: value });
  return value;
}
