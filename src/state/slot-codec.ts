// One slot of state as bytes, in columns: all key texts, then all value texts, then the times of the last touch. docs/format-checkpoint.md has the layout.
import { ByteReader, written, type ByteWriter } from '../core/bytes.ts';
import { ENTRY_INSERTED, ENTRY_REMOVED, ENTRY_SET, type EntryChange } from './entry-changes.ts';
import type { TextCodec } from './state-codec.ts';
import { keepText, valueText, type StateEntry } from './state-value.ts';

/** The entries of a slot by the text of their key, in the order in which they came. */
export type SlotEntries = Map<string, StateEntry>;

/** The entries of a blob in columns: what happened to each key, and what it holds then. */
export interface BlobEntries {
  readonly texts: string[];
  /** Undefined where every key came. */
  readonly changes: EntryChange[] | undefined;
  /** Undefined for a key that goes. */
  readonly entries: (StateEntry | undefined)[];
}

/** How the characters of a column stand in it; the numbers are part of the format. */
const ENCODINGS = ['latin1', 'utf8', 'utf16le'] as const;

const HAS_TIMES = 1;
const INSERTED_BIT = 0x8000_0000;
const NO_VALUE = 0xffff_ffff;

function writeColumn(writer: ByteWriter, text: string, isBinary: boolean): void {
  const bytes = isBinary ? text.length : Buffer.byteLength(text);
  if (bytes === text.length) writer.u32(0).encoded(text, 'latin1', bytes);
  // A lone surrogate has no UTF-8.
  else if (/\p{Surrogate}/u.test(text)) writer.u32(2).encoded(text, 'utf16le', 2 * text.length);
  else writer.u32(1).encoded(text, 'utf8', bytes);
}

function readColumn(reader: ByteReader): string {
  const encoding = ENCODINGS[reader.u32()];
  if (encoding === undefined) throw new RangeError('Cannot read a column as its encoding must be known');
  const bytes = reader.raw(reader.u32());
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString(encoding);
}

/** The bytes of a blob: a whole slot, or what changed in it. */
export function encodeSlot({ texts, changes, entries }: BlobEntries, codec: TextCodec): Uint8Array {
  const keyMarks: number[] = [];
  const valueMarks: number[] = [];
  const times: number[] = [];
  let keys = '';
  let values = '';
  let hasTimes = false;
  for (let index = 0; index < texts.length; index++) {
    const text = texts[index] as string;
    const entry = entries[index];
    keys += text;
    keyMarks.push(changes === undefined || changes[index] === ENTRY_INSERTED ? text.length + INSERTED_BIT : text.length);
    const value = entry === undefined ? '' : valueText(entry, codec);
    values += value;
    valueMarks.push(entry === undefined ? NO_VALUE : value.length);
    const at = entry?.at ?? 0;
    times.push(at);
    hasTimes ||= at !== 0;
  }
  return written((writer) => {
    writer
      .text(codec.name)
      .u32(hasTimes ? HAS_TIMES : 0)
      .u32(texts.length);
    writeColumn(writer, keys, false);
    writer.u32s(keyMarks);
    writeColumn(writer, values, codec.isBinary);
    writer.u32s(valueMarks);
    if (hasTimes) for (const at of times) writer.u64(at);
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
