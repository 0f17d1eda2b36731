// Pure: names and texts inside SQL. Every name is quoted, so it is taken as it is written, in upper and lower case.
import { optionError } from '../../core/options.ts';

const NAME_BYTES_MAX = 63;

/** A name as it stands in SQL. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A text as it stands in SQL, whatever standard_conforming_strings says. */
export function quoteText(text: string): string {
  const quoted = `'${text.replaceAll("'", "''").replaceAll('\\', String.raw`\\`)}'`;
  return text.includes('\\') ? ` E${quoted}` : quoted;
}

/** Checks a name; Postgres would cut a longer one silently. */
export function checkName(option: string, name: unknown): string {
  const isName = typeof name === 'string' && name !== '' && !/\p{Cc}|\p{Surrogate}/u.test(name) && Buffer.byteLength(name) <= NAME_BYTES_MAX;
  if (!isName) throw optionError('postgresSink', option, { expected: `a name of 1 to ${NAME_BYTES_MAX} bytes without control characters`, found: name });
  return name;
}

/** Quotes `table` or `schema.table`. */
export function quoteTable(table: unknown): string {
  if (typeof table !== 'string') throw optionError('postgresSink', 'table', { expected: "'table' or 'schema.table'", found: table });
  const parts = table.split('.');
  if (parts.length > 2) throw optionError('postgresSink', 'table', { expected: "'table' or 'schema.table'", found: table });
  return parts.map((part) => quoteName(checkName('table', part))).join('.');
}
