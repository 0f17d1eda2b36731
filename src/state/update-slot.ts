// Pure: updateStateByKey on one slot. The function is called for every key that has state or new values; undefined removes the key.
import { keyOfText } from '../core/key-slot.ts';
import { JSON_CODEC, type TextCodec } from './state-codec.ts';
import type { StateEntries } from './slot-entries.ts';
import type { SlotChanges } from './state-slot.ts';
import { isSameValue, keepFor, showValue, type StateEntry } from './state-value.ts';

/** The user's function, without its types. */
export type UpdateFunction = (values: readonly unknown[], state: unknown) => unknown;

const NO_VALUES: readonly unknown[] = Object.freeze([]);

/** A key with what is kept for it. */
export interface StateRow {
  readonly text: string;
  readonly entry: StateEntry;
}

/** What an update gives: every key with its state, and what changed. */
export interface SlotUpdate {
  readonly rows: readonly StateRow[];
  readonly changes: SlotChanges;
}

/** A row as a record. */
export function showRow({ text, entry }: StateRow, codec: TextCodec): [unknown, unknown] {
  return [keyOfText(text), showValue(entry, codec)];
}

/**
 * Calls `update` for each key of `entries` in their order, then for each new key in the order of `incoming`. Changes nothing it is given: what differs is in the result,
 * entries whose encoding stayed the same are not in it.
 */
export function updateSlot(
  entries: StateEntries,
  incoming: ReadonlyMap<string, { readonly value: readonly unknown[] }>,
  { update, codec = JSON_CODEC }: { readonly update: UpdateFunction; readonly codec?: TextCodec },
): SlotUpdate {
  const rows: StateRow[] = [];
  const changes = new Map<string, StateEntry | undefined>();
  const visit = (text: string, held: StateEntry | undefined): void => {
    const result = update(incoming.get(text)?.value ?? NO_VALUES, held === undefined ? undefined : showValue(held, codec));
    if (result === undefined) {
      if (held !== undefined) changes.set(text, undefined);
      return;
    }
    const entry = keepFor(text, result, { codec });
    if (held === undefined || !isSameValue(held, entry, codec)) changes.set(text, entry);
    rows.push({ text, entry });
  };
  for (const [text, held] of entries) visit(text, held);
  for (const text of incoming.keys()) if (!entries.has(text)) visit(text, undefined);
  return { rows, changes };
}
