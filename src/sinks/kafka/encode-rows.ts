// Pure: records of a stream as records of Kafka, and the fingerprint over what is written.
import { createHash } from 'node:crypto';
import { toError, UsageError } from '../../core/errors.ts';
import { encodeValue } from '../../core/value-codec.ts';
import type { EncodedRow } from './place-rows.ts';

/** What a key or a value may be: text is written as UTF-8. */
export type KafkaBytes = string | Uint8Array;

/** How a record becomes a record of Kafka. */
export interface RowEncoder<in T> {
  readonly key?: ((record: T) => KafkaBytes | null) | undefined;
  readonly value?: ((record: T) => KafkaBytes | null) | undefined;
  readonly headers?: ((record: T) => Readonly<Record<string, KafkaBytes>>) | undefined;
  readonly partition?: ((record: T) => number) | undefined;
}

const OVERHEAD_BYTES = 24;
const FINGERPRINT_DIGITS = 32;
const HASHED_AT_ONCE = 64 * 1024;

function show(found: unknown): string {
  return found === null ? 'null' : Array.isArray(found) ? 'an array' : typeof found === 'object' ? 'an object' : typeof found;
}

function requireBytes(what: string, found: unknown, isNullable: boolean): void {
  if (typeof found === 'string' || found instanceof Uint8Array || (isNullable && found === null)) return;
  throw new TypeError(`its ${what} must be a string${isNullable ? ', a Uint8Array or null' : ' or a Uint8Array'}: it is ${show(found)}`);
}

function bytesOf(text: KafkaBytes | null): number {
  return text === null ? 0 : typeof text === 'string' ? Buffer.byteLength(text) : text.byteLength;
}

/** kafkajs takes Buffers. The bytes are copied, so that nobody changes them between two attempts of a commit. */
function toBuffer(text: KafkaBytes | null): Buffer | null {
  return text === null ? null : Buffer.from(text as string);
}

/** A part of a row for the fingerprint: unlike any other, and without a way to run into the next. */
function mark(part: KafkaBytes | null): string {
  if (part === null) return '-';
  if (typeof part === 'string') return `s${part.length}:${part}`;
  return `b${part.byteLength}:${Buffer.from(part).toString('base64')}`;
}

function encodeRow<T>(record: T, { key, value, headers, partition }: RowEncoder<T>): { readonly row: EncodedRow; readonly text: string } {
  const rawKey = key?.(record) ?? null;
  requireBytes('key', rawKey, true);
  const rowValue = value === undefined ? encodeValue(record) : value(record);
  requireBytes('value', rowValue, true);
  const keyBytes = toBuffer(rawKey);
  let bytes = OVERHEAD_BYTES + bytesOf(keyBytes) + bytesOf(rowValue);
  let text = mark(rawKey) + mark(rowValue);
  const more: { headers?: Readonly<Record<string, string | Buffer>>; partition?: number } = {};
  if (headers !== undefined) {
    const given = Object.entries(headers(record));
    for (const [name, header] of given) {
      requireBytes(`header "${name}"`, header, false);
      bytes += OVERHEAD_BYTES + Buffer.byteLength(name) + bytesOf(header);
      text += `h${mark(name)}${mark(header)}`;
    }
    more.headers = Object.fromEntries(given.map(([name, header]) => [name, typeof header === 'string' ? header : Buffer.from(header)]));
  }
  if (partition !== undefined) {
    const target = partition(record);
    if (!Number.isSafeInteger(target) || target < 0) throw new TypeError(`its partition must be a whole number from 0: it is ${String(target)}`);
    more.partition = target;
    text += `p${target}`;
  }
  const row = { key: keyBytes, value: typeof rowValue === 'string' ? rowValue : toBuffer(rowValue), bytes };
  return { row: headers === undefined && partition === undefined ? row : { ...row, ...more }, text };
}

/**
 * Encodes the rows of a partition.
 *
 * @throws {UsageError} If one cannot be encoded; it names the row.
 */
export function encodeRows<T>(records: readonly T[], encoders: RowEncoder<T>): { readonly rows: readonly EncodedRow[]; readonly fingerprint: string } {
  const hash = createHash('sha256');
  let pending = '';
  const rows = records.map((record, index) => {
    try {
      const { row, text } = encodeRow(record, encoders);
      pending += `${text}\n`;
      if (pending.length > HASHED_AT_ONCE) {
        hash.update(pending);
        pending = '';
      }
      return row;
    } catch (error) {
      throw new UsageError('STREAM_CODEC', `Cannot prepare row ${index} of a partition for Kafka: ${toError(error).message}`, { cause: error });
    }
  });
  return { rows, fingerprint: hash.update(pending).digest('hex').slice(0, FINGERPRINT_DIGITS) };
}
