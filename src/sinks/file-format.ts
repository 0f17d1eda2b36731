// How rows stand in a file: text, NDJSON, or a format of your own, such as csvFormat.
import { encodeJson } from '../core/json-codec.ts';
import { UsageError, toError } from '../core/errors.ts';

/** Turns the rows of a partition into the bytes of a file. */
export interface FileFormat<in T> {
  /** Behind the last dot of the file names. */
  readonly extension: string;
  /** The text of a file. The same rows must always give the same text. */
  encode(rows: readonly T[]): string;
}

function encodeLines(rows: readonly unknown[], lineOf: (row: unknown) => string): string {
  let text = '';
  for (const [index, row] of rows.entries()) {
    try {
      text += `${lineOf(row)}\n`;
    } catch (error) {
      throw new UsageError('STREAM_CODEC', `Cannot prepare row ${index} of a partition: ${toError(error).message}`, { cause: error });
    }
  }
  return text;
}

function textLine(row: unknown): string {
  if (typeof row === 'string' && !row.includes('\n') && !/\p{Surrogate}/u.test(row)) return row;
  throw new TypeError(`a row of text must be a well-formed string without line feeds: found ${typeof row}`);
}

/** The formats by name. */
export const FILE_FORMATS: Readonly<Record<'text' | 'ndjson', FileFormat<unknown>>> = {
  text: { extension: 'txt', encode: (rows) => encodeLines(rows, textLine) },
  ndjson: { extension: 'ndjson', encode: (rows) => encodeLines(rows, encodeJson) },
};
