// The records a file sink keeps beside its files: who may commit, and what each file must hold. A record is a line of JSON and a line with its SHA-256.
import { sha256Hex } from '../core/checksum.ts';
import { CorruptionError, toError } from '../core/errors.ts';
import type { CommitKey, Uid } from '../core/ids.ts';
import { count, object, string, type Shape } from '../core/shape.ts';
import { toBatchTime } from '../core/time.ts';
import type { LedgerRow, SinkFence } from './sink.ts';

const FENCE_DIGITS = 16;

/** What the manifest says of a file. */
export interface FileRecord {
  /** The name of the file. */
  readonly file: string;
  readonly batchTime: number;
  readonly partitionId: number;
  readonly planId: string;
  readonly epoch: number;
  readonly fingerprint: string;
  /** How many rows it holds. */
  readonly rows: number;
  /** Its size. */
  readonly bytes: number;
  /** SHA-256 of its bytes. */
  readonly sha256: string;
}

const fileShape: Shape<FileRecord> = object<{ [K in keyof FileRecord]: FileRecord[K] }>({
  file: string,
  batchTime: count,
  partitionId: count,
  planId: string,
  epoch: count,
  fingerprint: string,
  rows: count,
  bytes: count,
  sha256: string,
});
const fenceShape: Shape<SinkFence> = object<{ epoch: number; incarnation: string; storeId: string }>({ epoch: count, incarnation: string, storeId: string });

/** The text of a record. */
export function encodeRecord(record: FileRecord | SinkFence): string {
  const text = JSON.stringify(record);
  return `${text}\n${sha256Hex(text)}\n`;
}

function decodeRecord<T>(path: string, text: string, shape: Shape<T>): T {
  const [line = '', checksum] = text.split('\n');
  try {
    if (sha256Hex(line) !== checksum) throw new Error('its checksum does not fit');
    return shape(JSON.parse(line), 'record');
  } catch (error) {
    throw new CorruptionError('STREAM_SINK', `Cannot read "${path}" as it must be a whole record of a file sink: ${toError(error).message}`, { cause: error });
  }
}

/** Reads what the manifest says of a file; throws {@link CorruptionError} if it is damaged. */
export function decodeFileRecord(path: string, text: string): FileRecord {
  return decodeRecord(path, text, fileShape);
}

/** Reads a fence; throws {@link CorruptionError} if it is damaged. */
export function decodeFence(path: string, text: string): SinkFence {
  return decodeRecord(path, text, fenceShape);
}

/** The ledger row that a record stands for. */
export function rowOf({ batchTime, planId, epoch, fingerprint, rows }: FileRecord): LedgerRow {
  return { batchTime: toBatchTime(batchTime), planId, epoch, fingerprint, rows };
}

/** The name of a file without its extension. It has no epoch: two drivers that commit the same meet at the same name. */
export function partName(key: Pick<CommitKey, 'batchTime' | 'partitionId'>): string {
  return `part-${key.batchTime}-${key.partitionId}`;
}

/** Batch and partition of a record, by its name; undefined for other names. */
export function parseRecordName(name: string): { readonly batchTime: number; readonly partitionId: number } | undefined {
  const found = /^part-(\d+)-(\d+)\.json$/u.exec(name);
  return found === null ? undefined : { batchTime: Number(found[1]), partitionId: Number(found[2]) };
}

/** The name of the fence of an epoch. */
export function fenceName(epoch: number): string {
  return String(epoch).padStart(FENCE_DIGITS, '0');
}

/** The directory of an output's records, below that of its files. */
export function recordsDirectory(owner: { readonly app: string; readonly sink: Uid }): string {
  return `_millrace/${encodeURIComponent(owner.app)}/${encodeURIComponent(owner.sink)}`;
}
