// Keys and values in memory that keep the rules of a store: a write whole or not at all, and no bytes that two sides share.
import type { StoreChange } from './checkpoint-store.ts';

/** Applies changes to `values`: reads and copies all of them before the first takes effect. */
export function applyToMemory(values: Map<string, Uint8Array>, changes: readonly StoreChange[]): void {
  const copied = changes.map((change) => [change.key, change.kind === 'put' ? Buffer.from(change.value) : undefined] as const);
  for (const [key, value] of copied) {
    if (value === undefined) values.delete(key);
    else values.set(key, value);
  }
}

/** Copies of values, in the order of the keys. */
export function readFromMemory(values: ReadonlyMap<string, Uint8Array>, keys: readonly string[]): readonly (Uint8Array | undefined)[] {
  return keys.map((key) => {
    const value = values.get(key);
    return value === undefined ? undefined : Buffer.from(value);
  });
}
