// A file read from front to back through one buffer. Pieces are read by the thread that checks them: what another thread reads lies in the cache of another core, and the checksum
// takes twice as long over it (measured by bench/wal). The system reads ahead by itself. Now and then a piece is waited for, so that others get their turn.
import type { FileHandle } from '../env/file-system.ts';

/** Bytes that are read at a time: a piece stays in the cache of a core until it is checked. */
const PIECE_BYTES = 256 * 1024;

/** Every so many pieces the event loop gets its turn. */
const PIECES_PER_TURN = 64;

/** The part of a file that is in memory. Bytes in it are overwritten by the next {@link FileWindow.fill}. */
export class FileWindow {
  readonly #handle: FileHandle;
  readonly #fileBytes: number;
  #buffer = Buffer.allocUnsafe(4 * PIECE_BYTES);
  #pieces = 0;

  /** Where in the file the window begins. */
  base: number;
  /** The bytes, the first of them that at {@link FileWindow.base}. */
  bytes: Buffer = this.#buffer.subarray(0, 0);

  /**
   * @param from - Where reading begins.
   * @param fileBytes - The size of the file.
   */
  constructor(handle: FileHandle, from: number, fileBytes: number) {
    this.#handle = handle;
    this.#fileBytes = fileBytes;
    this.base = from;
  }

  /** Where in the file the window ends. */
  get end(): number {
    return this.base + this.bytes.length;
  }

  /** Whether `length` bytes from `offset` on are here, or all that the file has. */
  has(offset: number, length: number): boolean {
    return Math.min(offset + length, this.#fileBytes) <= this.end;
  }

  /** Brings `length` bytes from `offset` on, or all that the file has; what stands before `offset` goes. `offset` is not behind the end of the window. */
  async fill(offset: number, length: number): Promise<void> {
    this.#forget(offset, length);
    while (!this.has(offset, length)) {
      const filled = this.bytes.length;
      const room = this.#buffer.subarray(filled, filled + Math.min(PIECE_BYTES, this.#fileBytes - this.end));
      this.#pieces += 1;
      const isTurn = this.#pieces % PIECES_PER_TURN === 0;
      const piece = isTurn ? await this.#handle.read(this.end, room.length, room) : this.#handle.readNow(this.end, room);
      if (piece.length === 0) throw new Error(`Cannot read ${length} bytes at ${offset} as the file must have ${this.#fileBytes}: it ends at ${this.end}`);
      this.bytes = this.#buffer.subarray(0, filled + piece.length);
    }
  }

  /** Moves what is left to the front, of a larger buffer if what is wanted and one more piece have no room. */
  #forget(offset: number, length: number): void {
    const left = this.bytes.subarray(offset - this.base);
    if (left.length + length + PIECE_BYTES > this.#buffer.length) this.#buffer = Buffer.allocUnsafe(2 * (length + PIECE_BYTES));
    left.copy(this.#buffer);
    this.bytes = this.#buffer.subarray(0, left.length);
    this.base = offset;
  }
}
