// Pure: rows as text that Postgres parses: lines of COPY, or an array per column. The fingerprint is over the names of the columns and the lines of COPY, whatever is sent.
import { sha256Hex } from '../../core/checksum.ts';
import { UsageError } from '../../core/errors.ts';

/** A row for a table: values by the names of the columns. */
export type PostgresRow = Readonly<Record<string, unknown>>;

/** A partition, encoded. */
export interface EncodedPartition {
  /** The names, in the order of the first row. */
  readonly columns: readonly string[];
  /** 32 hex digits. */
  readonly fingerprint: string;
  /** A line per row, as COPY takes it. */
  readonly lines: Uint8Array;
  /** The cells, row by row; null is NULL. */
  readonly cells: readonly (readonly (string | null)[])[];
}

const FINGERPRINT_DIGITS = 32;
const ESCAPES: Readonly<Record<string, string>> = { '\\': String.raw`\\`, '\n': String.raw`\n`, '\r': String.raw`\r`, '\t': String.raw`\t` };
/** Postgres has no zero character, and UTF-8 no half of a character. */
const UNKNOWN_TO_POSTGRES = /\0|\p{Surrogate}/u;

function rowError(index: number, what: string): UsageError {
  return new UsageError('STREAM_CODEC', `Cannot prepare row ${index} of a partition for Postgres: ${what}`);
}

/** An array as Postgres writes it. */
export function arrayText(cells: readonly (string | null)[]): string {
  let text = '{';
  for (const [index, cell] of cells.entries()) {
    if (index > 0) text += ',';
    // Digits, and no more than that: words such as NULL would mean something else without quotes.
    text += cell === null ? 'NULL' : /^-?[\d.]+$/.test(cell) ? cell : `"${/["\\]/.test(cell) ? cell.replaceAll(/["\\]/g, String.raw`\$&`) : cell}"`;
  }
  return `${text}}`;
}

/** Nested arrays keep their braces; everything else is quoted. */
function nestedText(values: readonly unknown[]): string {
  const parts = values.map((value) => (Array.isArray(value) ? nestedText(value) : arrayText([cellText(value)]).slice(1, -1)));
  return `{${parts.join(',')}}`;
}

function objectText(value: object): string {
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Uint8Array) return String.raw`\x${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('hex')}`;
  if (Array.isArray(value)) return nestedText(value);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) throw new TypeError(`an instance of ${value.constructor.name} has no text`);
  return JSON.stringify(value);
}

/** A value as Postgres parses it: null and undefined are NULL, dates ISO 8601, bytes `bytea`, arrays Postgres arrays, plain objects JSON. */
export function cellText(value: unknown): string | null {
  switch (typeof value) {
    case 'string':
      return value;
    case 'number':
    case 'bigint':
    case 'boolean':
      return String(value);
    case 'undefined':
      return null;
    case 'object':
      return value === null ? null : objectText(value);
    case 'function':
    case 'symbol':
    default:
      throw new TypeError(`a ${typeof value} has no text`);
  }
}

function escapeLine(cell: string | null): string {
  if (cell === null) return String.raw`\N`;
  return /[\\\n\r\t]/.test(cell) ? cell.replaceAll(/[\\\n\r\t]/g, (character) => ESCAPES[character] ?? character) : cell;
}

function sameColumns(row: PostgresRow, columns: readonly string[], index: number): void {
  const names = Object.keys(row);
  if (names.length === columns.length && columns.every((column) => Object.hasOwn(row, column))) return;
  throw rowError(index, `it must have the columns ${columns.join(', ')}: it has ${names.join(', ') || 'none'}`);
}

function encodeRow(row: PostgresRow, columns: readonly string[], index: number): readonly (string | null)[] {
  sameColumns(row, columns, index);
  return columns.map((column) => {
    try {
      return cellText(row[column]);
    } catch (error) {
      throw rowError(index, `column "${column}": ${error instanceof Error ? error.message : String(error)}`);
    }
  });
}

/**
 * Encodes the rows of a partition.
 *
 * @param names - The columns in their order; those of the first row if not given.
 * @throws {UsageError} Naming the row, if one has other columns than the first, or a value without a text.
 */
export function encodePartition(rows: readonly PostgresRow[], names?: readonly string[]): EncodedPartition {
  const columns = names ?? Object.keys(rows[0] ?? {});
  if (columns.length === 0) throw rowError(0, 'it must be an object with a field per column: it has none');
  const cells = rows.map((row, index) => encodeRow(row, columns, index));
  const header = `${columns.map(escapeLine).join('\t')}\n`;
  let text = header;
  for (const row of cells) {
    for (let index = 0; index < row.length; index++) text += (index === 0 ? '' : '\t') + escapeLine(row[index] ?? null);
    text += '\n';
  }
  if (UNKNOWN_TO_POSTGRES.test(text)) {
    const index = cells.findIndex((row) => row.some((cell) => cell !== null && UNKNOWN_TO_POSTGRES.test(cell)));
    throw rowError(index, 'a text must be without the character U+0000 and halves of characters: one is there');
  }
  const bytes = Buffer.from(text);
  return { columns, fingerprint: sha256Hex(bytes).slice(0, FINGERPRINT_DIGITS), lines: bytes.subarray(Buffer.byteLength(header)), cells };
}

/** The rows that an upsert sends: of those with one key the last. */
export function lastOfEachKey({ columns, cells }: EncodedPartition, key: readonly string[]): readonly (readonly (string | null)[])[] {
  const places = key.map((name) => columns.indexOf(name));
  const missing = key[places.indexOf(-1)];
  if (missing !== undefined) throw rowError(0, `it must have the columns of the key, ${key.join(', ')}: "${missing}" is missing`);
  const last = new Map<string, readonly (string | null)[]>();
  for (const [index, row] of cells.entries()) {
    const values = places.map((place) => row[place] ?? null);
    if (values.includes(null)) throw rowError(index, `a column of the key, ${key.join(', ')}, must have a value: it is NULL, which is equal to no key`);
    const [first = ''] = values;
    last.set(values.length === 1 && first !== null ? first : JSON.stringify(values), row);
  }
  return last.size === cells.length ? cells : [...last.values()];
}

/** The cells of each column as a Postgres array. */
export function columnArrays(cells: readonly (readonly (string | null)[])[], columns: number): readonly string[] {
  return Array.from({ length: columns }, (_unused, column) => arrayText(cells.map((row) => row[column] ?? null)));
}
