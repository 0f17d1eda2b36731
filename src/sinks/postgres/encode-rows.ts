// Pure: rows as text that Postgres parses: lines of COPY, or an array per column. The fingerprint is over the names of the columns and what is sent.
import { sha256Hex } from '../../core/checksum.ts';
import { UsageError } from '../../core/errors.ts';

/** A row for a table: values by the names of the columns. */
export type PostgresRow = Readonly<Record<string, unknown>>;

/** A partition as lines of COPY. */
export interface EncodedLines {
  /** The names, in the order of the first row. */
  readonly columns: readonly string[];
  /** 32 hex digits over the names and the lines. */
  readonly fingerprint: string;
  readonly lines: Uint8Array;
  /** How many lines there are. */
  readonly count: number;
}

/** A partition as an array per column. */
export interface EncodedArrays {
  readonly columns: readonly string[];
  /** 32 hex digits over the names and the arrays. */
  readonly fingerprint: string;
  readonly values: readonly string[];
  /** How many rows the arrays hold: without those that a later one with the same key replaces. */
  readonly count: number;
}

const FINGERPRINT_DIGITS = 32;
/** A text that grows longer takes more time per character (measured). */
const PIECE_LENGTH = 16_384;
const ESCAPES: Readonly<Record<string, string>> = { '\\': String.raw`\\`, '\n': String.raw`\n`, '\r': String.raw`\r`, '\t': String.raw`\t` };

function rowError(index: number, what: string): UsageError {
  return new UsageError('STREAM_CODEC', `Cannot prepare row ${index} of a partition for Postgres: ${what}`);
}

function quoted(text: string): string {
  return `"${/["\\]/.test(text) ? text.replaceAll(/["\\]/g, String.raw`\$&`) : text}"`;
}

/** A value inside an array: quoted, but for numbers, so that a text NULL stays a text. An array goes as its text here: in an array of arrays unnest would take it apart. */
function elementText(value: unknown): string {
  if (typeof value === 'number') return String(value);
  const cell = cellText(value);
  return cell === null ? 'NULL' : quoted(cell);
}

/** Arrays in arrays keep their braces. */
function arrayText(values: readonly unknown[]): string {
  return `{${values.map((value) => (Array.isArray(value) ? arrayText(value) : elementText(value))).join(',')}}`;
}

function objectText(value: object): string {
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Uint8Array) return String.raw`\x${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('hex')}`;
  if (Array.isArray(value)) return arrayText(value);
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

function escapeLine(text: string): string {
  return /[\\\n\r\t]/.test(text) ? text.replaceAll(/[\\\n\r\t]/g, (character) => ESCAPES[character] ?? character) : text;
}

function lineText(value: unknown): string {
  if (typeof value === 'number') return String(value);
  const cell = cellText(value);
  return cell === null ? String.raw`\N` : escapeLine(cell);
}

function columnsOf(rows: readonly PostgresRow[]): readonly string[] {
  const columns = Object.keys(rows[0] ?? {});
  if (columns.length === 0) throw rowError(0, 'it must be an object with a field per column: it has none');
  return columns;
}

function requireColumns(row: PostgresRow, columns: readonly string[], index: number): void {
  const names = Object.keys(row);
  const isSame = names.length === columns.length && columns.every((column, place) => names[place] === column || Object.hasOwn(row, column));
  if (!isSame) throw rowError(index, `it must have the columns ${columns.join(', ')}: it has ${names.join(', ') || 'none'}`);
}

/** The text of one value; an error names its row and column. */
function textOf(
  row: PostgresRow,
  column: string,
  { rows, toText }: { readonly rows: readonly PostgresRow[]; readonly toText: (value: unknown) => string },
): string {
  try {
    return toText(row[column]);
  } catch (error) {
    throw rowError(rows.indexOf(row), `column "${column}": ${error instanceof Error ? error.message : String(error)}`);
  }
}

function isKnownToPostgres(text: string): boolean {
  // In Node since 20, in the types since ES2024.
  return !text.includes('\0') && (text as string & { isWellFormed(): boolean }).isWellFormed();
}

/** Postgres has no zero character, and UTF-8 no half of a character. Looked for in the whole, since it is hardly ever there. */
function requireText(text: string, rows: readonly PostgresRow[], columns: readonly string[]): void {
  if (isKnownToPostgres(text)) return;
  const index = rows.findIndex((row) => columns.some((column) => !isKnownToPostgres(cellText(row[column]) ?? '')));
  throw rowError(index, 'a text must be without the character U+0000 and halves of characters: one is there');
}

function headerOf(columns: readonly string[]): string {
  return `${columns.map(escapeLine).join('\t')}\n`;
}

/**
 * Encodes the rows of a partition for COPY.
 *
 * @throws {UsageError} Naming the row, if one has other columns than the first, or a value without a text.
 */
export function encodeLines(rows: readonly PostgresRow[]): EncodedLines {
  const columns = columnsOf(rows);
  const header = Buffer.from(headerOf(columns));
  const pieces: Buffer[] = [header];
  const cells = { rows, toText: lineText };
  let text = '';
  const flush = (): void => {
    requireText(text, rows, columns);
    pieces.push(Buffer.from(text));
    text = '';
  };
  for (let index = 0; index < rows.length; index++) {
    const row = rows[index] ?? {};
    requireColumns(row, columns, index);
    for (let place = 0; place < columns.length; place++) text += (place === 0 ? '' : '\t') + textOf(row, columns[place] ?? '', cells);
    text += '\n';
    if (text.length > PIECE_LENGTH) flush();
  }
  flush();
  const bytes = Buffer.concat(pieces);
  return { columns, fingerprint: sha256Hex(bytes).slice(0, FINGERPRINT_DIGITS), lines: bytes.subarray(header.length), count: rows.length };
}

/** Of rows with one key the last; all in the order of the first. */
function lastOfEachKey(rows: readonly PostgresRow[], key: readonly string[]): readonly PostgresRow[] {
  const last = new Map<string, PostgresRow>();
  for (const [index, row] of rows.entries()) {
    const cells = key.map((column) => (Object.hasOwn(row, column) ? textOf(row, column, { rows, toText: (value) => cellText(value) ?? '\0' }) : undefined));
    if (cells.includes(undefined)) throw rowError(index, `it must have the columns of the key, ${key.join(', ')}: it has ${Object.keys(row).join(', ')}`);
    if (cells.includes('\0')) throw rowError(index, `a column of the key, ${key.join(', ')}, must have a value: it is NULL, which is equal to no key`);
    last.set(cells.length === 1 ? (cells[0] ?? '') : JSON.stringify(cells), row);
  }
  return last.size === rows.length ? rows : [...last.values()];
}

/**
 * Encodes the rows of a partition as an array per column.
 *
 * @param rule - The columns in their order, or those of the first row; and the key of which each row is the only one.
 * @throws {UsageError} Naming the row, if one has other columns, a value without a text, or no key.
 */
export function encodeArrays(rows: readonly PostgresRow[], rule: { readonly columns?: readonly string[]; readonly key?: readonly string[] }): EncodedArrays {
  const columns = rule.columns ?? columnsOf(rows);
  for (const [index, row] of rows.entries()) requireColumns(row, columns, index);
  const sent = rule.key === undefined ? rows : lastOfEachKey(rows, rule.key);
  const cells = { rows, toText: elementText };
  const values = columns.map((column) => {
    let text = '{';
    for (let index = 0; index < sent.length; index++) text += (index === 0 ? '' : ',') + textOf(sent[index] ?? {}, column, cells);
    return `${text}}`;
  });
  for (const text of values) requireText(text, rows, columns);
  return { columns, fingerprint: sha256Hex(`${headerOf(columns)}${values.join('\n')}`).slice(0, FINGERPRINT_DIGITS), values, count: sent.length };
}
