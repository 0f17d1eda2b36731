// Pure: updateStateByKey on one slot. The function is called for every key that has state or new values; undefined removes the key.
import type { StateEntry } from './slot-codec.ts';
import type { SlotChanges } from './keyed-state.ts';
import { isSameValue, keepValue, showValue } from './state-value.ts';

/** The new values of a key. */
export interface KeyedValues {
  readonly key: unknown;
  readonly values: readonly unknown[];
}

/** The user's function, without its types. */
export type UpdateFunction = (values: readonly unknown[], state: unknown) => unknown;

const NO_VALUES: readonly unknown[] = Object.freeze([]);

/** What an update gives: every key with its state, and what changed. */
export interface SlotUpdate {
  readonly rows: readonly StateEntry[];
  readonly changes: SlotChanges;
}

/**
 * Calls `update` for each key of `entries` in their order, then for each new key in the order of `incoming`. Changes nothing it is given: what differs is in the result,
 * entries whose encoding stayed the same are not in it.
 */
export function updateSlot(entries: ReadonlyMap<string, StateEntry>, incoming: ReadonlyMap<string, KeyedValues>, update: UpdateFunction): SlotUpdate {
  const rows: StateEntry[] = [];
  const changes = new Map<string, { readonly key: unknown; readonly entry: StateEntry | undefined }>();
  const visit = (text: string, key: unknown, held: StateEntry | undefined): void => {
    const result = update(incoming.get(text)?.values ?? NO_VALUES, held === undefined ? undefined : showValue(held.value));
    if (result === undefined) {
      if (held !== undefined) changes.set(text, { key, entry: undefined });
      return;
    }
    const value = keepValue(result);
    if (held === undefined || !isSameValue(held.value, value)) changes.set(text, { key, entry: { key, value } });
    rows.push({ key, value });
  };
  for (const [text, held] of entries) visit(text, held.key, held);
  for (const [text, { key }] of incoming) if (!entries.has(text)) visit(text, key, undefined);
  return { rows, changes };
}
