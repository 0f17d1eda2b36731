// What happened to the keys of a slot since it was last written, in an order that gives the same order of keys when it is read back. The order matters: it is the order of the rows.
import type { StateEntry } from './state-value.ts';

/** The key was there and keeps its place. */
export const ENTRY_SET = 0;
/** The key came, or came again, and stands behind all others. */
export const ENTRY_INSERTED = 1;
/** The key went. */
export const ENTRY_REMOVED = 2;

/** What happened to a key. */
export type EntryChange = typeof ENTRY_SET | typeof ENTRY_INSERTED | typeof ENTRY_REMOVED;

/** Told of one key: what happened to it, and what it holds now; undefined where it went. */
export type VisitChange = (text: string, change: EntryChange, entry: StateEntry | undefined) => void;

/** The keys that changed, by their text. */
export class EntryChanges {
  readonly #entries = new Map<string, StateEntry | undefined>();
  readonly #inserted = new Set<string>();

  /** How many keys changed. */
  get size(): number {
    return this.#entries.size;
  }

  /** Notes that a key that was there holds something else. One that came since stays one that came. */
  set(text: string, entry: StateEntry): void {
    this.#entries.set(text, entry);
  }

  /** Notes that a key came, or moved behind all others. */
  insert(text: string, entry: StateEntry): void {
    this.#entries.delete(text);
    this.#entries.set(text, entry);
    this.#inserted.add(text);
  }

  /** Notes that a key went. */
  remove(text: string): void {
    this.#entries.set(text, undefined);
    this.#inserted.delete(text);
  }

  /** Tells each key once. */
  visit(each: VisitChange): void {
    for (const [text, entry] of this.#entries) each(text, entry === undefined ? ENTRY_REMOVED : this.#inserted.has(text) ? ENTRY_INSERTED : ENTRY_SET, entry);
  }
}
