// The bytes of blocks that wait, up to a limit. Blocks over the limit are not kept: their bytes are in the log anyway.
import type { BlockId } from '../core/ids.ts';

/** Bytes of blocks by their id, bounded. */
export class BlockCache {
  readonly #bytesMax: number;
  readonly #blocks = new Map<BlockId, Uint8Array>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Keeps a block if there is room; in any case if its bytes are nowhere else. */
  put(blockId: BlockId, pieces: readonly Uint8Array[], when: 'if-there-is-room' | 'in-any-case' = 'if-there-is-room'): void {
    const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
    if (when === 'if-there-is-room' && this.#bytes + bytes > this.#bytesMax) return;
    const [only] = pieces;
    this.#blocks.set(blockId, pieces.length === 1 && only !== undefined ? only : Buffer.concat(pieces));
    this.#bytes += bytes;
  }

  /** The bytes of a block, if they were kept. */
  get(blockId: BlockId): Uint8Array | undefined {
    return this.#blocks.get(blockId);
  }

  /** Forgets a block. */
  delete(blockId: BlockId): void {
    this.#bytes -= this.#blocks.get(blockId)?.length ?? 0;
    this.#blocks.delete(blockId);
  }
}
