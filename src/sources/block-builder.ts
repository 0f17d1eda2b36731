// Gathers records into the block that is being built. Knows no clock: the runner says when a block is sealed.
import { SourceError } from '../core/errors.ts';
import type { SourceRange } from '../journal/events.ts';

/** Records that go to the log together. */
export interface BuiltBlock {
  readonly pieces: readonly Uint8Array[];
  readonly bytes: number;
  readonly recordCount: number;
  readonly ranges: readonly SourceRange[];
}

/** A block under construction. */
export class BlockBuilder {
  #pieces: Uint8Array[] = [];
  #bytes = 0;
  #recordCount = 0;
  #ranges = new Map<string, SourceRange>();

  /** Bytes gathered so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Records gathered so far. */
  get recordCount(): number {
    return this.#recordCount;
  }

  /**
   * Adds encoded records.
   *
   * @throws {SourceError} If the range does not continue the one the block holds for its source partition; nothing was added.
   */
  add(bytes: Uint8Array, recordCount: number, range: SourceRange | undefined): void {
    if (range !== undefined) {
      const held = this.#ranges.get(range.partition);
      if (range.until < range.from || (held !== undefined && held.until !== range.from)) {
        throw new SourceError(
          'STREAM_RECEIVER',
          `Cannot take records of "${range.partition}" as they must continue at ${held?.until ?? 'a position'}: they stand at ${range.from} to ${range.until}`,
        );
      }
      this.#ranges.set(range.partition, { partition: range.partition, from: held?.from ?? range.from, until: range.until });
    }
    this.#pieces.push(bytes);
    this.#bytes += bytes.length;
    this.#recordCount += recordCount;
  }

  /** The block, if it has any record; the builder is empty afterwards. */
  take(): BuiltBlock | undefined {
    if (this.#recordCount === 0) return undefined;
    const block = { pieces: this.#pieces, bytes: this.#bytes, recordCount: this.#recordCount, ranges: [...this.#ranges.values()] };
    this.#pieces = [];
    this.#bytes = 0;
    this.#recordCount = 0;
    this.#ranges = new Map();
    return block;
  }
}
