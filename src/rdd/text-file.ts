// Text files as partitions of lines: a piece of a plain file, or a whole compressed one. A line belongs to the piece in which the line feed before it stands.
import { isUtf8 } from 'node:buffer';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { SourceError, toError } from '../core/errors.ts';
import { pushLines } from '../core/lines.ts';
import type { FileSystem } from '../env/file-system.ts';
import type { InputFile } from '../journal/events.ts';
import { readPiece, readWhole, type FilePiece } from './file-pieces.ts';
import type { Producer } from './node.ts';

const LINE_FEED = 10;
const CARRIAGE_RETURN = 13;
const MIB = 1024 * 1024;
const inflate = promisify(gunzip);

/** The longest line of a text file. */
export const FILE_LINE_BYTES_MAX: number = MIB;

/** What a compressed file may come to. */
export const INFLATED_BYTES_MAX: number = 256 * MIB;

/** Turns the bytes of a whole file into records. */
export interface FileCodec<out T> {
  /** The name under which the graph knows it; another name is another graph. */
  readonly name: string;
  /** All records of a file, in order. Called with the bytes of the whole file, decompressed. */
  decode(bytes: Uint8Array): Iterable<T>;
}

/** Whether a file is compressed, by its name. */
export function isCompressed(name: string): boolean {
  return name.endsWith('.gz');
}

/** How many partitions a file gives: one per piece where it can be cut, else one; none if it is empty. */
export function filePartitions(file: InputFile, hasCodec: boolean): number {
  return hasCodec || isCompressed(file.name) ? Math.min(1, file.hashes.length) : file.hashes.length;
}

/** The bytes of all lines that begin in a piece. The bytes behind it are read until the last of them ends. */
async function linesOfPiece(files: FileSystem, path: string, place: FilePiece): Promise<Uint8Array> {
  const { file, piece } = place;
  const bytes = Buffer.from(await readPiece(files, path, place));
  const first = piece === 0 ? 0 : bytes.indexOf(LINE_FEED) + 1;
  if (piece > 0 && first === 0) return bytes.subarray(bytes.length);
  const parts = [bytes.subarray(first)];
  for (let next = piece + 1; next < file.hashes.length; next++) {
    const more = Buffer.from(await readPiece(files, path, { file, piece: next }));
    const end = more.indexOf(LINE_FEED);
    parts.push(end < 0 ? more : more.subarray(0, end + 1));
    if (end >= 0) break;
  }
  return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
}

async function decompressed(files: FileSystem, path: string, file: InputFile): Promise<Uint8Array> {
  const bytes = await readWhole(files, path, file);
  if (!isCompressed(file.name)) return bytes;
  try {
    return await inflate(bytes, { maxOutputLength: INFLATED_BYTES_MAX });
  } catch (error) {
    throw new SourceError(
      'STREAM_SOURCE_FILE',
      `Cannot read "${path}" as it must be a gzip file of at most ${INFLATED_BYTES_MAX} bytes when decompressed: ${toError(error).message}`,
      { cause: error },
    );
  }
}

/** Finds what a line must not be: too long. Looks at line feeds only, so that short lines cost a search each. */
function checkLines(path: string, bytes: Uint8Array): void {
  if (!isUtf8(bytes)) throw new SourceError('STREAM_SOURCE_NOT_UTF8', `Cannot read "${path}" as it must be valid UTF-8: it is not`);
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let start = 0; start < buffer.length;) {
    if (buffer.length - start <= FILE_LINE_BYTES_MAX) return;
    const end = buffer.lastIndexOf(LINE_FEED, start + FILE_LINE_BYTES_MAX);
    if (end < start) {
      throw new SourceError(
        'STREAM_SOURCE_LINE_TOO_LONG',
        `Cannot read "${path}" as a line must have at most ${FILE_LINE_BYTES_MAX} bytes: the one behind byte ${start} of a piece has more`,
      );
    }
    start = end + 1;
  }
}

/** Gets ready to give the lines of a partition of a file. A carriage return before a line feed goes. */
export async function prepareLines(files: FileSystem, path: string, place: FilePiece): Promise<Producer<string>> {
  const bytes = isCompressed(place.file.name) ? await decompressed(files, path, place.file) : await linesOfPiece(files, path, place);
  checkLines(path, bytes);
  const hasReturns = bytes.includes(CARRIAGE_RETURN);
  return (push) => pushLines(bytes, hasReturns ? (line) => push(line.endsWith('\r') ? line.slice(0, -1) : line) : push);
}

/** Gets ready to give the records that a codec makes of a whole file. */
export async function prepareDecoded<T>(
  files: FileSystem,
  path: string,
  source: { readonly file: InputFile; readonly codec: FileCodec<T> },
): Promise<Producer<T>> {
  const bytes = await decompressed(files, path, source.file);
  return (push) => {
    for (const record of source.codec.decode(bytes)) push(record);
  };
}
