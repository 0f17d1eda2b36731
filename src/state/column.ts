// A column of a blob: the texts of all its entries, one behind the other. Those of one byte for each character stay bytes; only what is asked for becomes a string, with memory of its own.
import { compactText } from '../core/compact-text.ts';
import { hashLatin1, hashText } from '../core/key-slot.ts';

/** Texts, one behind the other. Places are in UTF-16 units. */
export interface Column {
  readonly length: number;
  /** The text from one place to another. */
  text(from: number, to: number): string;
  /** Whether a text stands at a place. */
  isAt(text: string, from: number): boolean;
  /** Whether the texts of this length at two places are the same. */
  isSame(length: number, from: number, other: number): boolean;
  /** The hash of the text from one place to another. */
  hash(from: number, to: number): number;
}

class ByteColumn implements Column {
  readonly #bytes: Buffer;
  readonly #offset: number;
  readonly length: number;

  constructor(bytes: Buffer, offset: number, length: number) {
    this.#bytes = bytes;
    this.#offset = offset;
    this.length = length;
  }

  text(from: number, to: number): string {
    return this.#bytes.toString('latin1', this.#offset + from, this.#offset + to);
  }

  isAt(text: string, from: number): boolean {
    const bytes = this.#bytes;
    const offset = this.#offset + from;
    for (let index = 0; index < text.length; index++) if (bytes[offset + index] !== text.charCodeAt(index)) return false;
    return true;
  }

  isSame(length: number, from: number, other: number): boolean {
    const bytes = this.#bytes;
    const left = this.#offset + from;
    const right = this.#offset + other;
    for (let index = 0; index < length; index++) if (bytes[left + index] !== bytes[right + index]) return false;
    return true;
  }

  hash(from: number, to: number): number {
    return hashLatin1(this.#bytes, this.#offset + from, this.#offset + to);
  }
}

class TextColumn implements Column {
  readonly #texts: string;

  constructor(texts: string) {
    this.#texts = texts;
  }

  get length(): number {
    return this.#texts.length;
  }

  text(from: number, to: number): string {
    return compactText(this.#texts.slice(from, to));
  }

  isAt(text: string, from: number): boolean {
    return this.#texts.startsWith(text, from);
  }

  isSame(length: number, from: number, other: number): boolean {
    return this.#texts.startsWith(this.#texts.slice(from, from + length), other);
  }

  hash(from: number, to: number): number {
    return hashText(this.#texts.slice(from, to));
  }
}

/** Where the bytes of a column are. */
export interface ColumnPlace {
  readonly encoding: 'latin1' | 'utf8' | 'utf16le';
  readonly offset: number;
  readonly length: number;
}

/** A column given its bytes, which must not change. */
export function columnOf(bytes: Buffer, { encoding, offset, length }: ColumnPlace): Column {
  return encoding === 'latin1' ? new ByteColumn(bytes, offset, length) : new TextColumn(bytes.toString(encoding, offset, offset + length));
}
