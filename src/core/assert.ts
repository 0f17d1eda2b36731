// Assertions stay on in production: a condition that does not hold is a bug in this library, and going on could lose data.
import { InvariantError } from './errors.ts';

/** Returns `value`, which must be there. */
export function present<T>(value: T | undefined, why: string): T {
  if (value === undefined) throw new InvariantError(`Broken invariant: ${why}`);
  return value;
}
