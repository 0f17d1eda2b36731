// One slot of state as bytes, in columns: all key texts, then all value texts, then the times of the last touch. docs/format-checkpoint.md has the layout.
import { ByteReader, readU64, type ByteWriter } from '../core/bytes.ts';
import { columnOf, type Column } from './column.ts';
import { ENTRY_INSERTED, ENTRY_REMOVED, ENTRY_SET, type EntryChange, type EntryChanges, type VisitChange } from './entry-changes.ts';
import type { TextCodec } from './state-codec.ts';
import { keepText, valueText, type StateEntry } from './state-value.ts';

/** How the characters of a column stand in it; the numbers are part of the format. */
const ENCODINGS = ['latin1', 'utf8', 'utf16le'] as const;

const HAS_TIMES = 1;
const INSERTED_BIT = 0x8000_0000;
const NO_VALUE = 0xffff_ffff;
const MARK_BYTES = 4;
const TIME_BYTES = 8;

function writeColumn(writer: ByteWriter, text: string, isBinary: boolean): void {
  const bytes = isBinary ? text.length : Buffer.byteLength(text);
  if (bytes === text.length) writer.u32(0).encoded(text, 'latin1', bytes);
  // A lone surrogate has no UTF-8.
  else if (/\p{Surrogate}/u.test(text)) writer.u32(2).encoded(text, 'utf16le', 2 * text.length);
  else writer.u32(1).encoded(text, 'utf8', bytes);
}

/** Entries as columns, added one after another. */
class Columns {
  readonly #codec: TextCodec;
  readonly #keyMarks: number[] = [];
  readonly #valueMarks: number[] = [];
  readonly #times: number[] = [];
  #keys = '';
  #values = '';
  #hasTimes = false;

  constructor(codec: TextCodec) {
    this.#codec = codec;
  }

  add(text: string, change: EntryChange, entry: StateEntry | undefined): void {
    this.#keys += text;
    this.#keyMarks.push(change === ENTRY_INSERTED ? text.length + INSERTED_BIT : text.length);
    const value = entry === undefined ? '' : valueText(entry, this.#codec);
    this.#values += value;
    this.#valueMarks.push(entry === undefined ? NO_VALUE : value.length);
    const at = entry?.at ?? 0;
    this.#times.push(at);
    this.#hasTimes ||= at !== 0;
  }

  write(writer: ByteWriter): void {
    writer
      .text(this.#codec.name)
      .u32(this.#hasTimes ? HAS_TIMES : 0)
      .u32(this.#keyMarks.length);
    writeColumn(writer, this.#keys, false);
    writer.u32s(this.#keyMarks);
    writeColumn(writer, this.#values, this.#codec.isBinary);
    writer.u32s(this.#valueMarks);
    if (this.#hasTimes) for (const at of this.#times) writer.u64(at);
  }
}

/** What tells its entries. */
interface AllEntries {
  forEach(each: (entry: StateEntry, text: string) => void): void;
}

/** Writes a base: a whole slot. */
export function writeBase(writer: ByteWriter, entries: AllEntries, codec: TextCodec): void {
  const columns = new Columns(codec);
  entries.forEach((entry, text) => columns.add(text, ENTRY_INSERTED, entry));
  columns.write(writer);
}

/** Writes a delta: what changed. Behind the bytes of other deltas it makes one of all of them. */
export function writeDelta(writer: ByteWriter, changes: EntryChanges, codec: TextCodec): void {
  const columns = new Columns(codec);
  changes.visit((text, change, entry) => columns.add(text, change, entry));
  columns.write(writer);
}

/** The codec that wrote a blob. */
export function codecOfSlot(bytes: Uint8Array): string {
  return new ByteReader(bytes).text();
}

function startOf(ends: Uint32Array, index: number): number {
  return index === 0 ? 0 : (ends[index - 1] as number);
}

/** A column, with the length of each of its texts behind it: the places where they end, and where the lengths are. */
interface ReadColumn {
  readonly column: Column;
  readonly ends: Uint32Array;
  readonly marksAt: number;
}

function readColumn(reader: ByteReader, count: number): ReadColumn {
  const encoding = ENCODINGS[reader.u32()];
  if (encoding === undefined) throw new RangeError('Cannot read a column as its encoding must be known');
  const { bytes } = reader;
  const length = reader.u32();
  const column = columnOf(bytes, { encoding, length, offset: reader.skip(length) });
  const marksAt = reader.skip(MARK_BYTES * count);
  const ends = new Uint32Array(count);
  let end = 0;
  for (let index = 0; index < count; index++) {
    const mark = bytes.readUInt32LE(marksAt + MARK_BYTES * index);
    // The bit stands in the lengths of keys only; no text is so long that it would be part of its length.
    if (mark !== NO_VALUE) end += mark % INSERTED_BIT;
    ends[index] = end;
  }
  if (end !== column.length)
    throw new RangeError(`Cannot read a slot as its columns must end with its last entry: one of ${column.length} characters has texts of ${end}`);
  return { column, ends, marksAt };
}

/** One section of a blob: its columns, of which nothing is decoded yet. */
export class SlotSection {
  readonly count: number;
  readonly keys: Column;
  /** Where the text of each key ends. */
  readonly keyEnds: Uint32Array;
  readonly #bytes: Buffer;
  readonly #values: Column;
  readonly #valueEnds: Uint32Array;
  readonly #keyMarksAt: number;
  readonly #valueMarksAt: number;
  readonly #timesAt: number | undefined;

  /** Reads where the columns are. Throws RangeError if the bytes are none. */
  constructor(reader: ByteReader, codec: TextCodec) {
    const name = reader.text();
    if (name !== codec.name) throw new RangeError(`Cannot read a slot as its codec must be "${codec.name}": found "${name}"`);
    const flags = reader.u32();
    if (flags > HAS_TIMES) throw new RangeError(`Cannot read a slot as its flags must be known: found ${flags}`);
    const hasTimes = flags === HAS_TIMES;
    this.#bytes = reader.bytes;
    this.count = reader.u32();
    const keys = readColumn(reader, this.count);
    const values = readColumn(reader, this.count);
    this.keys = keys.column;
    this.keyEnds = keys.ends;
    this.#keyMarksAt = keys.marksAt;
    this.#values = values.column;
    this.#valueEnds = values.ends;
    this.#valueMarksAt = values.marksAt;
    this.#timesAt = hasTimes ? reader.skip(TIME_BYTES * this.count) : undefined;
  }

  key(index: number): string {
    return this.keys.text(startOf(this.keyEnds, index), this.keyEnds[index] as number);
  }

  change(index: number): EntryChange {
    if (this.#isGone(index)) return ENTRY_REMOVED;
    return this.#bytes.readUInt32LE(this.#keyMarksAt + MARK_BYTES * index) >= INSERTED_BIT ? ENTRY_INSERTED : ENTRY_SET;
  }

  /** The entry of a key, decoded; undefined where it went. Throws SyntaxError if its text is none. */
  entry(index: number, codec: TextCodec): StateEntry | undefined {
    if (this.#isGone(index)) return undefined;
    const value = this.#values.text(startOf(this.#valueEnds, index), this.#valueEnds[index] as number);
    return keepText(value, codec, this.#timesAt === undefined ? 0 : readU64(this.#bytes, this.#timesAt + TIME_BYTES * index));
  }

  #isGone(index: number): boolean {
    return this.#bytes.readUInt32LE(this.#valueMarksAt + MARK_BYTES * index) === NO_VALUE;
  }
}

/** The sections of a blob: one, or those of the deltas that were joined in it, oldest first. Throws RangeError if the bytes are none. */
export function readSections(bytes: Uint8Array, codec: TextCodec): readonly SlotSection[] {
  const reader = new ByteReader(bytes);
  const sections = [new SlotSection(reader, codec)];
  while (reader.left > 0) sections.push(new SlotSection(reader, codec));
  return sections;
}

/** Tells what stands in a section, entry by entry. */
export function visitSection(section: SlotSection, codec: TextCodec, visit: VisitChange): void {
  for (let index = 0; index < section.count; index++) visit(section.key(index), section.change(index), section.entry(index, codec));
}
