// Reads one record by its position, for blocks that are no longer in memory. What comes back was checked like everything that is read from the log.
import { CorruptionError } from '../core/errors.ts';
import type { FileHandle, FileSystem } from '../env/file-system.ts';
import { readFrame } from './frame.ts';
import { segmentName } from './segment-files.ts';

/** Where a record stands in the log. */
export interface LogPosition {
  readonly lsn: number;
  readonly segment: number;
  readonly offset: number;
  /** Bytes of the whole frame. */
  readonly frameBytes: number;
}

/** Reads records by position; keeps the segment read last open. */
export class PositionReader {
  readonly #files: FileSystem;
  readonly #directory: string;
  #open: { readonly segment: number; readonly handle: Promise<FileHandle> } | undefined;

  constructor(files: FileSystem, directory: string) {
    this.#files = files;
    this.#directory = directory;
  }

  async #handleOf(segment: number): Promise<FileHandle> {
    if (this.#open?.segment !== segment) {
      await this.close();
      this.#open = { segment, handle: this.#files.open(`${this.#directory}/${segmentName(segment)}`, 'read') };
    }
    return this.#open.handle;
  }

  /** The payload of the record at `position`. Throws {@link CorruptionError} if it is not what was written there. */
  async read(position: LogPosition): Promise<Uint8Array> {
    const handle = await this.#handleOf(position.segment);
    const bytes = await handle.read(position.offset, position.frameBytes);
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const reading = readFrame(buffer, 0, { end: buffer.length, payloadBytesMax: position.frameBytes });
    if (reading.kind === 'frame' && reading.frame.lsn === position.lsn) return reading.frame.payload;
    throw new CorruptionError(
      'STREAM_BLOCK_CORRUPT',
      `Cannot read record ${position.lsn} as segment ${position.segment} must hold it at offset ${position.offset}: ${reading.kind === 'bad' ? reading.why : `found ${reading.kind === 'frame' ? `record ${reading.frame.lsn}` : 'zeros'}`}`,
    );
  }

  /** Closes the segment it keeps open. */
  async close(): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    await (await open?.handle)?.close();
  }
}
