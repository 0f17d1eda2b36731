// The entries of one slot: those of its base, where they stay packed until they change, and those that came behind them. What a delta has written need not be kept decoded either.
import { ENTRY_INSERTED, ENTRY_REMOVED, type EntryChange, type EntryChanges } from './entry-changes.ts';
import type { EntryDecoder, PackedEntries } from './packed-entries.ts';
import type { SlotSection } from './slot-codec.ts';
import type { StateEntry } from './state-value.ts';

/** The entries of a slot by the text of their key, in their order. */
export interface StateEntries extends Iterable<readonly [text: string, entry: StateEntry]> {
  readonly size: number;
  get(text: string): StateEntry | undefined;
  has(text: string): boolean;
}

/** Stands for an entry of the base that went. */
const GONE = null;

/** What a key holds, or where that stands: the number of a section and in it that of the entry, as one small integer. */
type Held = StateEntry | number;

/** So many entries a section has at the least for its entries to be dropped: for fewer, the places of its texts take more than they do. */
export const SECTION_MIN = 32;
const INDEX_BITS = 22;
const SECTIONS_MAX = 2 ** (30 - INDEX_BITS);

/** Entries that change. */
export class SlotEntries implements StateEntries {
  readonly #base: PackedEntries | undefined;
  readonly #decoder: EntryDecoder | undefined;
  /** By the number of an entry of the base: what it holds now, where that is not what the base says. */
  #replaced: (Held | typeof GONE | undefined)[] | undefined;
  /** What stands behind the base. */
  readonly #added: Map<string, Held>;
  /** Sections of deltas in which entries stand. */
  readonly #sections: SlotSection[];
  /** Entries of the base in front of this one went. */
  #first = 0;
  #size: number;

  constructor(base?: PackedEntries, added: Map<string, Held> = new Map(), sections: SlotSection[] = []) {
    this.#base = base;
    this.#decoder = base?.decoder;
    this.#added = added;
    this.#sections = sections;
    this.#size = (base?.count ?? 0) + added.size;
  }

  get size(): number {
    return this.#size;
  }

  get(text: string): StateEntry | undefined {
    const base = this.#base;
    const index = this.#live(text);
    if (base === undefined || index < 0) return this.#entryOf(this.#added.get(text));
    return this.#entryOf(this.#replaced?.[index]) ?? base.entry(index);
  }

  has(text: string): boolean {
    return this.#live(text) >= 0 || this.#added.has(text);
  }

  /** Sets a key where it stands, or behind all others if it is not there; returns whether it was. */
  set(text: string, entry: StateEntry): boolean {
    return this.#set(text, entry);
  }

  /** Sets a key behind all others. */
  append(text: string, entry: StateEntry): void {
    this.#append(text, entry);
  }

  /** Removes a key; returns whether it was there. */
  delete(text: string): boolean {
    const index = this.#live(text);
    if (index >= 0) this.#replace(index, GONE);
    else if (!this.#added.delete(text)) return false;
    this.#size -= 1;
    return true;
  }

  /** Does what happened to a key. */
  apply(text: string, change: EntryChange, entry: StateEntry | undefined): void {
    if (entry === undefined) this.delete(text);
    else this.#put(text, change, entry);
  }

  /** Does what a section says, if it has so many entries that they need not be decoded; returns whether it did. */
  applySection(section: SlotSection): boolean {
    const number = this.#addSection(section);
    if (number === undefined) return false;
    for (let index = 0; index < section.count; index++) {
      const change = section.change(index);
      if (change === ENTRY_REMOVED) this.delete(section.key(index));
      else this.#put(section.key(index), change, placeIn(number, index));
    }
    return true;
  }

  /** Drops the entries of changes that were written in a section, in their order: those that were not changed again stand there. */
  written(changes: EntryChanges, section: SlotSection): void {
    const number = this.#addSection(section);
    if (number === undefined) return;
    let index = 0;
    changes.visit((text, _change, entry) => {
      const place = placeIn(number, index);
      index += 1;
      if (entry === undefined) return;
      const at = this.#live(text);
      if (at < 0) {
        if (this.#added.get(text) === entry) this.#added.set(text, place);
      } else if (this.#replaced?.[at] === entry) this.#replace(at, place);
    });
  }

  /** What is there now, whatever happens to this object. */
  frozen(): SlotEntries {
    const copy = new SlotEntries(this.#base, new Map(this.#added), [...this.#sections]);
    copy.#replaced = this.#replaced?.slice();
    copy.#first = this.#first;
    copy.#size = this.#size;
    return copy;
  }

  /** Tells all entries, in their order. */
  forEach(each: (entry: StateEntry, text: string) => void): void {
    for (const [text, entry] of this) each(entry, text);
  }

  *[Symbol.iterator](): Generator<readonly [string, StateEntry], void, undefined> {
    const base = this.#base;
    if (base !== undefined) {
      for (let index = this.#first; index < base.count; index++) {
        const held = this.#replaced?.[index];
        if (held !== GONE) yield [base.key(index), this.#entryOf(held) ?? base.entry(index)];
        // Where the oldest go first, the next one who looks need not pass over them.
        else if (index === this.#first) this.#first += 1;
      }
    }
    for (const [text, held] of this.#added) yield [text, this.#entryOf(held)];
  }

  #entryOf(held: Held): StateEntry;
  #entryOf(held: Held | null | undefined): StateEntry | undefined;
  #entryOf(held: Held | null | undefined): StateEntry | undefined {
    if (typeof held !== 'number') return held ?? undefined;
    const section = this.#sections[held >>> INDEX_BITS];
    if (section === undefined || this.#decoder === undefined) throw new TypeError('an entry must stand in a section that is there');
    return this.#decoder.entry(section, held & (2 ** INDEX_BITS - 1));
  }

  /** The number of a section in which entries may stand. */
  #addSection(section: SlotSection): number | undefined {
    const { count } = section;
    if (this.#decoder === undefined || count < SECTION_MIN || count > 2 ** INDEX_BITS || this.#sections.length === SECTIONS_MAX) return undefined;
    return this.#sections.push(section) - 1;
  }

  #put(text: string, change: EntryChange, held: Held): void {
    if (change === ENTRY_INSERTED) this.#append(text, held);
    else this.#set(text, held);
  }

  #set(text: string, held: Held): boolean {
    const index = this.#live(text);
    if (index >= 0) {
      this.#replace(index, held);
      return true;
    }
    const before = this.#added.size;
    this.#added.set(text, held);
    const isNew = this.#added.size > before;
    if (isNew) this.#size += 1;
    return !isNew;
  }

  #append(text: string, held: Held): void {
    this.delete(text);
    this.#added.set(text, held);
    this.#size += 1;
  }

  /** The number of a key of the base that did not go; -1 for any other. */
  #live(text: string): number {
    const index = this.#base?.find(text) ?? -1;
    return index >= 0 && this.#replaced?.[index] === GONE ? -1 : index;
  }

  #replace(index: number, held: Held | typeof GONE): void {
    if (this.#replaced === undefined) {
      this.#replaced = [];
      this.#replaced.length = this.#base?.count ?? 0;
    }
    this.#replaced[index] = held;
  }
}

function placeIn(section: number, index: number): number {
  return section * 2 ** INDEX_BITS + index;
}
