// The state of one operator, in slots. It changes only by the changes of a completed batch; what an attempt does stays in changes of its own until then.
import type { SlotRef } from '../checkpoint/head.ts';
import type { SlotChange } from '../core/digest.ts';
import { KEY_SLOTS } from '../core/key-slot.ts';
import type { StateEntries } from './slot-entries.ts';
import { JSON_CODEC, type TextCodec } from './state-codec.ts';
import { StateSlot, type SlotChanges, type SlotWrite, type StateSettings, type StoredSlot } from './state-slot.ts';
import { valueText } from './state-value.ts';

const NO_ENTRIES: StateEntries = new Map();

/** The settings of an operator that has none of its own. */
export const DEFAULT_STATE: StateSettings = { codecs: [JSON_CODEC], isOrdered: false, isScanned: false };

/** What a checkpoint takes of the state of an operator. */
export interface StateWrite {
  readonly uid: string;
  /** The slots that changed, each encoded when it is asked for. */
  readonly writes: readonly SlotWrite[];
  /** The slots that did not. */
  readonly kept: readonly SlotRef[];
}

/** The state of one operator. */
export class KeyedState {
  /** The uid of the operator. */
  readonly uid: string;
  /** The codec of its values. */
  readonly codec: TextCodec;
  readonly #settings: StateSettings;
  readonly #slots: (StateSlot | undefined)[] = Array.from<StateSlot | undefined>({ length: KEY_SLOTS });

  /**
   * @param stored - What a checkpoint holds of it.
   */
  constructor(uid: string, settings: StateSettings = DEFAULT_STATE, stored: readonly StoredSlot[] = []) {
    this.uid = uid;
    [this.codec] = settings.codecs;
    this.#settings = settings;
    for (const slot of stored) this.#slots[slot.ref.slot] = new StateSlot(slot.ref.slot, settings, slot);
  }

  /** The entries of a slot, by the text of their key. */
  slot(slot: number): StateEntries {
    return this.#slots[slot]?.entries ?? NO_ENTRIES;
  }

  /** How many keys it has, and how many bytes a checkpoint holds of them. Decodes nothing. */
  get size(): { readonly keys: number; readonly bytes: number } {
    let keys = 0;
    let bytes = 0;
    for (const slot of this.#slots) {
      if (slot === undefined) continue;
      keys += slot.size;
      bytes += slot.storedBytes;
    }
    return { keys, bytes };
  }

  /** Makes the changes of a completed batch. */
  merge(slot: number, changes: SlotChanges): void {
    if (changes.size === 0) return;
    let held = this.#slots[slot];
    if (held === undefined) {
      held = new StateSlot(slot, this.#settings);
      this.#slots[slot] = held;
    }
    held.merge(changes);
  }

  /** Begins a checkpoint of what is there now. Batches may go on: {@link merge} keeps aside what is not encoded yet. Must be followed by {@link saved}. */
  begin(): StateWrite {
    const writes: SlotWrite[] = [];
    const kept: SlotRef[] = [];
    for (const slot of this.#slots) {
      if (slot === undefined) continue;
      if (slot.isDirty) writes.push(slot.begin());
      else if (slot.ref !== undefined) kept.push(slot.ref);
    }
    return { uid: this.uid, writes, kept };
  }

  /** Notes that the checkpoint is durable, and with which slots. */
  saved(refs: readonly SlotRef[]): void {
    const saved = new Map(refs.filter(({ uid }) => uid === this.uid).map((ref) => [ref.slot, ref]));
    this.#slots.forEach((slot, index) => {
      slot?.saved(saved.get(index));
      if (slot?.size === 0 && !slot.isDirty) this.#slots[index] = undefined;
    });
  }
}

/** The changes of a slot as they go into the digest of a batch. */
export function slotChange(uid: string, slot: number, { of, codec }: { readonly of: SlotChanges; readonly codec: TextCodec }): SlotChange {
  return {
    uid,
    slot,
    keys: [...of.keys()],
    value: (key) => {
      const entry = of.get(key);
      return entry === undefined ? undefined : valueText(entry, codec);
    },
  };
}
