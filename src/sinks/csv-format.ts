// Rows as CSV, by the package csv-stringify. The one file here that knows it; imported as millrace/csv.
import { optionError, refuseUnknownOptions } from '../core/options.ts';
import { optionalPackage } from '../env/optional-package.ts';
import type { FileFormat } from './file-format.ts';

/** Options of {@link csvFormat}. */
export interface CsvFormatOptions {
  /** The names of the columns, in order: the fields of each row that are written. */
  readonly columns: readonly string[];
  /**
   * Whether the first line of each file has the names of the columns.
   *
   * @defaultValue true
   */
  readonly header?: boolean;
  /**
   * What stands between fields.
   *
   * @defaultValue `','`
   */
  readonly delimiter?: string;
}

interface Stringifier {
  stringify(rows: readonly object[], options: object): string;
}

/**
 * Rows as CSV (RFC 4180) with line feeds, by the package csv-stringify, which must be installed: `npm install csv-stringify`. Missing and null fields are empty, objects are JSON.
 *
 * @throws {UsageError} If an option is missing or wrong, or the package is not installed.
 * @example
 * ```ts
 * import { fileSink, seconds, StreamingContext } from 'millrace';
 * import { csvFormat } from 'millrace/csv';
 *
 * const context = new StreamingContext({ appName: 'word-count', batchInterval: seconds(1) });
 * context
 *   .socketTextStream('localhost', 9999)
 *   .map((line) => ({ line, length: line.length }))
 *   .saveTo(fileSink({ directory: './lines', format: csvFormat({ columns: ['line', 'length'] }) }), { uid: 'lines' });
 * ```
 */
export function csvFormat(options: CsvFormatOptions): FileFormat<object> {
  const owner = 'csvFormat';
  refuseUnknownOptions(owner, options, ['columns', 'header', 'delimiter']);
  const columns: unknown = options.columns;
  if (!Array.isArray(columns) || columns.length === 0 || columns.some((name) => typeof name !== 'string'))
    throw optionError(owner, 'columns', { expected: 'a list of names, not empty', found: columns });
  const { header = true, delimiter = ',' } = options;
  if (typeof delimiter !== 'string' || delimiter.length !== 1 || /["\n\r]/u.test(delimiter))
    throw optionError(owner, 'delimiter', { expected: 'one character, no quote and no line end', found: delimiter });
  const csv = optionalPackage<Stringifier>('csv-stringify/sync', 'csvFormat');
  return {
    extension: 'csv',
    encode: (rows) => csv.stringify(rows, { columns: options.columns, header, delimiter, cast: { boolean: String, date: (date: Date) => date.toISOString() } }),
  };
}
