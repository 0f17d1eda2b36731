// One slot of state as bytes, in columns: all key texts, then all value texts, then the times of the last touch. docs/format-checkpoint.md has the layout.
import { ByteReader, written, type ByteWriter } from '../core/bytes.ts';
import { ENTRY_INSERTED, ENTRY_REMOVED, ENTRY_SET, type EntryChange } from './entry-changes.ts';
import type { TextCodec } from './state-codec.ts';
import { keepText, valueText, type StateEntry } from './state-value.ts';

/** The entries of a slot by the text of their key, in the order in which they came. */
export type SlotEntries = Map<string, StateEntry>;

/** One entry of a blob: what happened to a key, and what it holds then. */
export interface BlobEntry {
  readonly text: string;
  readonly change: EntryChange;
  /** Undefined for a key that goes. */
  readonly entry: StateEntry | undefined;
}

/** How the characters of a column stand in it; the numbers are part of the format. */
const ENCODINGS = ['latin1', 'utf8', 'utf16le'] as const;

const HAS_TIMES = 1;
const INSERTED_BIT = 0x8000_0000;
const NO_VALUE = 0xffff_ffff;

function columnEncoding(text: string, isBinary: boolean): 0 | 1 | 2 {
  if (isBinary || Buffer.byteLength(text) === text.length) return 0;
  // A lone surrogate has no UTF-8.
  return /\p{Surrogate}/u.test(text) ? 2 : 1;
}

function writeColumn(writer: ByteWriter, text: string, isBinary: boolean): void {
  const encoding = columnEncoding(text, isBinary);
  const bytes = Buffer.from(text, ENCODINGS[encoding]);
  writer.u32(encoding).u32(bytes.length).raw(bytes);
}

function readColumn(reader: ByteReader): string {
  const encoding = ENCODINGS[reader.u32()];
  if (encoding === undefined) throw new RangeError('Cannot read a column as its encoding must be known');
  const bytes = reader.raw(reader.u32());
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString(encoding);
}

/** The bytes of a blob: a whole slot, or what changed in it. */
export function encodeSlot(entries: Iterable<BlobEntry>, codec: TextCodec): Uint8Array {
  const all = [...entries];
  const keys = all.map(({ text }) => text);
  const values = all.map(({ entry }) => (entry === undefined ? '' : valueText(entry, codec)));
  const hasTimes = all.some(({ entry }) => entry !== undefined && entry.at !== 0);
  return written((writer) => {
    writer
      .text(codec.name)
      .u32(hasTimes ? HAS_TIMES : 0)
      .u32(all.length);
    writeColumn(writer, keys.join(''), false);
    for (const { text, change } of all) writer.u32(change === ENTRY_INSERTED ? text.length + INSERTED_BIT : text.length);
    writeColumn(writer, values.join(''), codec.isBinary);
    all.forEach(({ entry }, index) => writer.u32(entry === undefined ? NO_VALUE : (values[index]?.length ?? 0)));
    if (hasTimes) for (const { entry } of all) writer.u64(entry?.at ?? 0);
  });
}

/** The codec that wrote a blob. */
export function codecOfSlot(bytes: Uint8Array): string {
  return new ByteReader(bytes).text();
}

/** Reads a blob back, entry by entry. Throws RangeError or SyntaxError if the bytes are none. */
export function decodeSlot(bytes: Uint8Array, codec: TextCodec, visit: (text: string, change: EntryChange, entry: StateEntry | undefined) => void): void {
  const reader = new ByteReader(bytes);
  const name = reader.text();
  if (name !== codec.name) throw new RangeError(`Cannot read a slot as its codec must be "${codec.name}": found "${name}"`);
  const hasTimes = reader.u32() === HAS_TIMES;
  const count = reader.u32();
  const keys = readColumn(reader);
  const keyLengths = reader.u32s(count);
  const values = readColumn(reader);
  const valueLengths = reader.u32s(count);
  let keyAt = 0;
  let valueAt = 0;
  for (let index = 0; index < count; index++) {
    const mark = keyLengths[index] as number;
    const keyEnd = keyAt + (mark % INSERTED_BIT);
    const text = keys.slice(keyAt, keyEnd);
    keyAt = keyEnd;
    const valueLength = valueLengths[index] as number;
    const at = hasTimes ? reader.u64() : 0;
    if (valueLength === NO_VALUE) {
      visit(text, ENTRY_REMOVED, undefined);
      continue;
    }
    const value = values.slice(valueAt, valueAt + valueLength);
    valueAt += valueLength;
    visit(text, mark >= INSERTED_BIT ? ENTRY_INSERTED : ENTRY_SET, keepText(value, codec, at));
  }
  if (reader.left > 0 || keyAt !== keys.length || valueAt !== values.length)
    throw new RangeError(`Cannot read a slot as its columns must end with its last entry: ${reader.left} bytes are left, or a column is of another length`);
}
