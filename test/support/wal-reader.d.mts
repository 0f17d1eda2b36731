// The types of wal-reader.mjs.

/** A record as the second reader gives it. */
export interface SecondRecord {
  readonly lsn: number;
  readonly type: number;
  readonly group: number;
  readonly segment: number;
  readonly offset: number;
  readonly payload: Buffer;
}

export function readWal(directory: string): { readonly records: readonly SecondRecord[]; readonly end: 'end' | 'torn' };
