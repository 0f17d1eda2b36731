// Rows of an upsert as text: one line per row, key and value as canonical JSON. The fingerprint of a partition is taken over these lines.
import { rowsFingerprint } from '../core/digest.ts';
import { encodeValue } from '../core/value-codec.ts';
import { UsageError, toError } from '../core/errors.ts';

/** A row, encoded. */
export interface EncodedRow {
  readonly key: string;
  readonly value: string;
}

/** Encodes rows; throws {@link UsageError} naming the row that cannot be encoded. */
export function encodeRows<T>(
  rows: readonly T[],
  columns: { readonly key: (row: T) => unknown; readonly value: (row: T) => unknown },
): { readonly rows: readonly EncodedRow[]; readonly fingerprint: string } {
  const encoded = rows.map((row, index) => {
    try {
      return { key: encodeValue(columns.key(row)), value: encodeValue(columns.value(row)) };
    } catch (error) {
      throw new UsageError('STREAM_CODEC', `Cannot prepare row ${index} of a partition: ${toError(error).message}`, { cause: error });
    }
  });
  return { rows: encoded, fingerprint: rowsFingerprint(encoded.map(({ key, value }) => `${key}\t${value}`)) };
}
