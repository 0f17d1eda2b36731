// The state of one operator, in slots. It changes only by the changes of a completed batch; what an attempt does stays in changes of its own until then.
import type { StateChange } from '../core/digest.ts';
import { encodeValue } from '../core/value-codec.ts';
import type { ChangedSlot } from '../checkpoint/checkpoints.ts';
import type { SlotRef } from '../checkpoint/head.ts';
import { encodeSlot, type SlotEntries, type StateEntry } from './slot-codec.ts';
import { valueText } from './state-value.ts';

const NO_ENTRIES: ReadonlyMap<string, StateEntry> = new Map();

/** What a batch changes in one slot: an entry, or undefined for a key that goes. */
export type SlotChanges = ReadonlyMap<string, { readonly key: unknown; readonly entry: StateEntry | undefined }>;

/** The state of one operator. */
export class KeyedState {
  /** The uid of the operator. */
  readonly uid: string;
  readonly #slots = new Map<number, SlotEntries>();
  /** What the last checkpoint holds of each slot. */
  readonly #saved = new Map<number, SlotRef>();
  readonly #dirty = new Set<number>();

  constructor(uid: string) {
    this.uid = uid;
  }

  /** The entries of a slot. */
  slot(slot: number): ReadonlyMap<string, StateEntry> {
    return this.#slots.get(slot) ?? NO_ENTRIES;
  }

  /** Takes a slot over from a checkpoint. */
  load(ref: SlotRef, entries: SlotEntries): void {
    this.#slots.set(ref.slot, entries);
    this.#saved.set(ref.slot, ref);
  }

  /** Makes the changes of a completed batch. */
  merge(slot: number, changes: SlotChanges): void {
    if (changes.size === 0) return;
    const entries = this.#slots.get(slot) ?? new Map<string, StateEntry>();
    this.#slots.set(slot, entries);
    this.#dirty.add(slot);
    for (const [text, { entry }] of changes) {
      if (entry === undefined) entries.delete(text);
      else entries.set(text, entry);
    }
  }

  /** What the next checkpoint must write, and what it can keep of the last one. */
  collect(): { readonly changed: readonly ChangedSlot[]; readonly kept: readonly SlotRef[] } {
    const changed = [...this.#dirty].map((slot) => ({ uid: this.uid, slot, entries: this.slot(slot).size, payload: encodeSlot(this.slot(slot)) }));
    return { changed, kept: [...this.#saved.values()].filter((ref) => !this.#dirty.has(ref.slot)) };
  }

  /** Notes that a checkpoint with these slots is durable and that nothing has changed since it was collected. */
  saved(refs: readonly SlotRef[]): void {
    this.#saved.clear();
    for (const ref of refs) if (ref.uid === this.uid) this.#saved.set(ref.slot, ref);
    this.#dirty.clear();
  }
}

/** Changes as they go into the digest of a batch. */
export function digestChanges(uid: string, slot: number, changes: SlotChanges): readonly StateChange[] {
  return [...changes.values()].map(({ key, entry }) => ({ uid, slot, key: encodeValue(key), value: entry === undefined ? undefined : valueText(entry.value) }));
}
