// Assertions stay on in production: a condition that does not hold is a bug in this library, and going on could lose data.
import { InvariantError } from './errors.ts';

/** Throws an {@link InvariantError} unless `condition` holds. */
export function assert(condition: boolean, why: string): asserts condition {
  if (!condition) throw new InvariantError(`Broken invariant: ${why}`);
}

/** Returns `value`, which must be there. */
export function present<T>(value: T | undefined, why: string): T {
  if (value === undefined) throw new InvariantError(`Broken invariant: ${why}`);
  return value;
}
