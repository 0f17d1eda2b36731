// One slot of state as bytes: the number of entries, then key and value of each as texts of the default codec with their lengths. docs/format-checkpoint.md has the layout.
import { ByteReader, ByteWriter } from '../core/bytes.ts';
import { keyText } from '../core/key-slot.ts';
import { decodeValue, encodeValue } from '../core/value-codec.ts';
import { keepValue, valueText, type StateValue } from './state-value.ts';

/** A key with its value. */
export interface StateEntry {
  readonly key: unknown;
  readonly value: StateValue;
}

/** The entries of a slot by the text of their key, in the order in which they came. */
export type SlotEntries = Map<string, StateEntry>;

/** The bytes of a slot. */
export function encodeSlot(entries: ReadonlyMap<string, StateEntry>): Uint8Array {
  const writer = new ByteWriter(64 * (entries.size + 1)).u32(entries.size);
  for (const { key, value } of entries.values()) writer.text(encodeValue(key)).text(valueText(value));
  return writer.finish();
}

/** Reads a slot back. Throws RangeError or SyntaxError if the bytes are none. */
export function decodeSlot(bytes: Uint8Array): SlotEntries {
  const reader = new ByteReader(bytes);
  const entries: SlotEntries = new Map();
  for (let left = reader.u32(); left > 0; left--) {
    const key = decodeValue(reader.text());
    entries.set(keyText(key), { key, value: keepValue(decodeValue(reader.text())) });
  }
  if (reader.left > 0) throw new RangeError(`Cannot read a slot as nothing may follow its entries: ${reader.left} bytes are left`);
  return entries;
}
