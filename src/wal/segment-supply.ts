// Prepares the next segment in the background: a file of zeros, synced. Writing over blocks that the file has already takes the file system less than making it grow,
// and a disk that is full shows when a segment is prepared, not in the middle of a record.
import { toError } from '../core/errors.ts';
import type { FileSystem } from '../env/file-system.ts';
import { isNoSpace } from './disk-full.ts';
import type { SegmentDraft } from './segment-files.ts';
import { writeFully } from './write-fully.ts';

/** Zeros that are written and synced at a time: small enough that the sync of a group beside it is not held up. */
const PIECE_BYTES = 1024 * 1024;

const ZEROS = Buffer.alloc(PIECE_BYTES);

/** What a supply works with. */
export interface SegmentSupplyOptions {
  readonly files: FileSystem;
  readonly directory: string;
  /** Tells the temporary names of one driver from those of every other. */
  readonly epoch: number;
  /** Called when the storage fails under it. A disk that is full is no failure: then there is no prepared segment. */
  readonly onFailed: (error: Error) => void;
}

/** Makes a new file that holds zeros up to `zeroBytes` and a hole up to `fileBytes`, synced. */
export async function createDraft(files: FileSystem, path: string, size: { readonly zeroBytes: number; readonly fileBytes: number }): Promise<SegmentDraft> {
  const { zeroBytes, fileBytes } = size;
  const handle = await files.open(path, 'create');
  const draft: SegmentDraft = { path, handle, zeroBytes, fileBytes };
  try {
    for (let filled = 0; filled < zeroBytes; filled += PIECE_BYTES) writeFully(handle, [ZEROS.subarray(0, Math.min(PIECE_BYTES, zeroBytes - filled))], filled);
    if (fileBytes > zeroBytes) writeFully(handle, [ZEROS.subarray(0, 1)], fileBytes - 1);
    if (fileBytes > 0) await handle.sync();
    return draft;
  } catch (error) {
    await dropDraft(files, draft);
    throw error;
  }
}

/** Gives up a file that will not be a segment. */
export async function dropDraft(files: FileSystem, draft: SegmentDraft): Promise<void> {
  await draft.handle.close();
  await files.remove(draft.path);
}

/** Holds at most one prepared segment. */
export class SegmentSupply {
  readonly #options: SegmentSupplyOptions;
  #draft: SegmentDraft | undefined;
  #filled = 0;
  #filling: Promise<void> | undefined;
  #isClosed = false;
  #count = 0;

  constructor(options: SegmentSupplyOptions) {
    this.#options = options;
  }

  /** Bytes that a prepared segment takes on the disk. */
  get bytes(): number {
    return this.#filled;
  }

  /** Whether a prepared segment is there. */
  get isReady(): boolean {
    return this.#draft !== undefined && this.#filled === this.#draft.zeroBytes;
  }

  /** A temporary name that was not used before. */
  nextPath(): string {
    this.#count += 1;
    return `${this.#options.directory}/${this.#options.epoch}-${this.#count}.tmp`;
  }

  /** Prepares a segment of this size, or goes on with the one that was begun, piece by piece as long as `isIdle` says so. */
  prepare(zeroBytes: number, isIdle: () => boolean): void {
    if (!this.isReady && !this.#isClosed) this.#filling ??= this.#fill(zeroBytes, isIdle);
  }

  async #fill(zeroBytes: number, isIdle: () => boolean): Promise<void> {
    try {
      // It must not take the last room from what cannot wait.
      const room = await this.#options.files.freeBytes(this.#options.directory);
      if (room < 2 * zeroBytes - this.#filled) return await this.#drop();
      const draft = this.#draft ?? {
        ...(await createDraft(this.#options.files, this.nextPath(), { zeroBytes: 0, fileBytes: 0 })),
        zeroBytes,
        fileBytes: zeroBytes,
      };
      this.#draft = draft;
      const { handle } = draft;
      while (this.#filled < zeroBytes && !this.#isClosed && isIdle()) {
        const length = Math.min(PIECE_BYTES, zeroBytes - this.#filled);
        writeFully(handle, [ZEROS.subarray(0, length)], this.#filled);
        await handle.sync();
        this.#filled += length;
      }
    } catch (error) {
      await this.#fail(toError(error));
    } finally {
      this.#filling = undefined;
    }
  }

  async #fail(error: Error): Promise<void> {
    if (!isNoSpace(error)) this.#options.onFailed(error);
    else await this.#drop().catch((failed: unknown) => this.#options.onFailed(toError(failed)));
  }

  async #drop(): Promise<void> {
    const draft = this.#draft;
    this.#draft = undefined;
    this.#filled = 0;
    if (draft !== undefined) await dropDraft(this.#options.files, draft);
  }

  /** The prepared segment, if there is one; it is the caller's from here on. */
  take(): SegmentDraft | undefined {
    if (!this.isReady) return undefined;
    const ready = this.#draft;
    this.#draft = undefined;
    this.#filled = 0;
    return ready;
  }

  /** Gives up what is prepared. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#filling;
    await this.#drop();
  }
}
