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

/** Reads records by position, one after another; keeps the segment read last open. */
export class PositionReader {
  readonly #files: FileSystem;
  readonly #directory: string;
  #open: { readonly segment: number; readonly handle: FileHandle } | undefined;
  /** The reading before: the next one waits for it, since it may close the file. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(files: FileSystem, directory: string) {
    this.#files = files;
    this.#directory = directory;
  }

  /** The payload of the record at `position`. Throws {@link CorruptionError} if it is not what was written there. */
  read(position: LogPosition): Promise<Uint8Array> {
    return this.#inTurn(() => this.#read(position));
  }

  /** Closes the segment it keeps open, when what is being read is. */
  close(): Promise<void> {
    return this.#inTurn(() => this.#close());
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    // A failure is its caller's; the next in turn goes on.
    this.#turn = result.catch(() => undefined);
    return result;
  }

  async #handleOf(segment: number): Promise<FileHandle> {
    if (this.#open?.segment === segment) return this.#open.handle;
    await this.#close();
    const handle = await this.#files.open(`${this.#directory}/${segmentName(segment)}`, 'read');
    this.#open = { segment, handle };
    return handle;
  }

  async #read(position: LogPosition): Promise<Uint8Array> {
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

  async #close(): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    await open?.handle.close();
  }
}
