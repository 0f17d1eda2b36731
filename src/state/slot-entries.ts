// The entries of one slot: those of its base, where they stay packed until they change, and those that came behind them.
import { ENTRY_INSERTED, type EntryChange } from './entry-changes.ts';
import type { PackedEntries } from './packed-entries.ts';
import type { StateEntry } from './state-value.ts';

/** The entries of a slot by the text of their key, in their order. */
export interface StateEntries extends Iterable<readonly [text: string, entry: StateEntry]> {
  readonly size: number;
  get(text: string): StateEntry | undefined;
  has(text: string): boolean;
}

/** Stands for an entry of the base that went. */
const GONE = null;

/** Entries that change. */
export class SlotEntries implements StateEntries {
  readonly #base: PackedEntries | undefined;
  /** By the number of an entry of the base: what it holds now, where that is not what the base says. */
  #replaced: (StateEntry | typeof GONE | undefined)[] | undefined;
  /** What stands behind the base. */
  readonly #added: Map<string, StateEntry>;
  /** Entries of the base in front of this one went. */
  #first = 0;
  #size: number;

  constructor(base?: PackedEntries, added: Map<string, StateEntry> = new Map()) {
    this.#base = base;
    this.#added = added;
    this.#size = (base?.count ?? 0) + added.size;
  }

  get size(): number {
    return this.#size;
  }

  get(text: string): StateEntry | undefined {
    const base = this.#base;
    if (base !== undefined) {
      const index = base.find(text);
      if (index >= 0) {
        const held = this.#replaced?.[index];
        if (held === undefined) return base.entry(index);
        if (held !== GONE) return held;
      }
    }
    return this.#added.get(text);
  }

  has(text: string): boolean {
    return this.#live(text) >= 0 || this.#added.has(text);
  }

  /** Sets a key where it stands, or behind all others if it is not there; returns whether it was. */
  set(text: string, entry: StateEntry): boolean {
    const index = this.#live(text);
    if (index >= 0) {
      this.#replace(index, entry);
      return true;
    }
    const before = this.#added.size;
    this.#added.set(text, entry);
    const isNew = this.#added.size > before;
    if (isNew) this.#size += 1;
    return !isNew;
  }

  /** Sets a key behind all others. */
  append(text: string, entry: StateEntry): void {
    this.delete(text);
    this.#added.set(text, entry);
    this.#size += 1;
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
    else if (change === ENTRY_INSERTED) this.append(text, entry);
    else this.set(text, entry);
  }

  /** What is there now, whatever happens to this object. */
  frozen(): SlotEntries {
    const copy = new SlotEntries(this.#base, new Map(this.#added));
    copy.#replaced = this.#replaced?.slice();
    copy.#first = this.#first;
    copy.#size = this.#size;
    return copy;
  }

  /** Tells all entries, in their order. */
  forEach(each: (entry: StateEntry, text: string) => void): void {
    const base = this.#base;
    for (let index = this.#first; index < (base?.count ?? 0); index++) {
      const held = this.#replaced?.[index];
      if (held !== GONE) each(held ?? (base as PackedEntries).entry(index), (base as PackedEntries).key(index));
    }
    this.#added.forEach(each);
  }

  *[Symbol.iterator](): Generator<readonly [string, StateEntry], void, undefined> {
    const base = this.#base;
    if (base !== undefined) {
      for (let index = this.#first; index < base.count; index++) {
        const held = this.#replaced?.[index];
        if (held === undefined) yield [base.key(index), base.entry(index)];
        else if (held !== GONE) yield [base.key(index), held];
        // Where the oldest go first, the next one who looks need not pass over them.
        else if (index === this.#first) this.#first += 1;
      }
    }
    yield* this.#added;
  }

  /** The number of a key of the base that did not go; -1 for any other. */
  #live(text: string): number {
    const index = this.#base?.find(text) ?? -1;
    return index >= 0 && this.#replaced?.[index] === GONE ? -1 : index;
  }

  #replace(index: number, held: StateEntry | typeof GONE): void {
    if (this.#replaced === undefined) {
      this.#replaced = [];
      this.#replaced.length = this.#base?.count ?? 0;
    }
    this.#replaced[index] = held;
  }
}
