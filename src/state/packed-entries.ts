// The entries of a base as the checkpoint has them: bytes, and an index by which a key is found. A key that nobody asks for is never decoded, and takes what its bytes take.
import { present } from '../core/assert.ts';
import { hashText, KEY_SLOTS } from '../core/key-slot.ts';
import { ENTRY_REMOVED } from './entry-changes.ts';
import type { SlotSection } from './slot-codec.ts';
import type { TextCodec } from './state-codec.ts';
import type { StateEntry } from './state-value.ts';

/** Places of a table that is at most half full: the number of an entry, plus one; 0 where there is none. */
type Table = Uint16Array | Uint32Array;

const UINT16_MAX = 0xffff;

function tableFor(count: number): Table {
  let size = 4;
  while (size < 2 * count) size *= 2;
  return count < UINT16_MAX ? new Uint16Array(size) : new Uint32Array(size);
}

/** The keys of one slot share the lower bits of their hashes. */
function placeOf(hash: number, table: Table): number {
  return Math.floor(hash / KEY_SLOTS) & (table.length - 1);
}

/** Decodes what a key holds when it is asked for. */
export class EntryDecoder {
  readonly #codec: TextCodec;
  readonly #broken: (why: unknown) => Error;

  /**
   * @param broken - Makes the error of a value that cannot be read.
   */
  constructor(codec: TextCodec, broken: (why: unknown) => Error) {
    this.#codec = codec;
    this.#broken = broken;
  }

  /** A new one each time. */
  entry(section: SlotSection, index: number): StateEntry {
    try {
      return present(section.entry(index, this.#codec), 'a key that did not go holds something');
    } catch (error) {
      throw this.#broken(error);
    }
  }
}

/** Entries that do not change, in their order. */
export class PackedEntries {
  readonly #section: SlotSection;
  readonly #table: Table;
  /** Decodes them. */
  readonly decoder: EntryDecoder;

  /**
   * Builds the index.
   *
   * @throws RangeError if a key is there twice, or went.
   */
  constructor(section: SlotSection, decoder: EntryDecoder) {
    this.#section = section;
    this.decoder = decoder;
    const { count, keys, keyEnds } = section;
    const table = tableFor(count);
    let from = 0;
    for (let index = 0; index < count; index++) {
      const to = keyEnds[index] as number;
      if (section.change(index) === ENTRY_REMOVED) throw new RangeError('Cannot read a base as each of its keys must have a value: one has none');
      let place = placeOf(keys.hash(from, to), table);
      for (let found = table[place] as number; found !== 0; found = table[place] as number) {
        const other = this.#startOf(found - 1);
        if ((keyEnds[found - 1] as number) - other === to - from && keys.isSame(to - from, from, other))
          throw new RangeError('Cannot read a base as each key must be there once: one is there twice');
        place = (place + 1) & (table.length - 1);
      }
      table[place] = index + 1;
      from = to;
    }
    this.#table = table;
  }

  /** How many there are. */
  get count(): number {
    return this.#section.count;
  }

  /** The number of a key; -1 if it is not there. */
  find(text: string): number {
    const table = this.#table;
    let place = placeOf(hashText(text), table);
    for (let found = table[place] as number; found !== 0; found = table[place] as number) {
      if (this.#isKey(found - 1, text)) return found - 1;
      place = (place + 1) & (table.length - 1);
    }
    return -1;
  }

  /** The key of a number. */
  key(index: number): string {
    return this.#section.key(index);
  }

  /** What the key of a number holds: a new one each time. */
  entry(index: number): StateEntry {
    return this.decoder.entry(this.#section, index);
  }

  #isKey(index: number, text: string): boolean {
    const { keys, keyEnds } = this.#section;
    const from = this.#startOf(index);
    return (keyEnds[index] as number) - from === text.length && keys.isAt(text, from);
  }

  #startOf(index: number): number {
    return index === 0 ? 0 : (this.#section.keyEnds[index - 1] as number);
  }
}
