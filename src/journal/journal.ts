// The journal, open for appending: an event is written to the log, and when it is durable it is folded into the ledger, in the order of the log.
import { CorruptionError, SourceError } from '../core/errors.ts';
import type { Uid } from '../core/ids.ts';
import type { LogPosition } from '../wal/read-at.ts';
import type { Wal } from '../wal/wal.ts';
import { applyEvent } from './apply-event.ts';
import { BlockCache } from './block-cache.ts';
import { decodeEvent, encodeEvent, EVENT_TYPES } from './event-codec.ts';
import type { BlockAdded, JournalEvent } from './events.ts';
import type { Ledger, LoggedBlock } from './ledger.ts';

/** A journal that is open for appending. */
export class Journal {
  readonly #wal: Wal;
  readonly #ledger: Ledger;
  readonly #cache: BlockCache;
  readonly #appendedPositions: Map<Uid, Map<string, number>>;

  /**
   * @param wal - The log, open.
   * @param ledger - The fold of all its events; the journal owns it from here on.
   * @param blockCacheBytesMax - Bytes of blocks that are kept in memory; others are read back from the log.
   */
  constructor(wal: Wal, ledger: Ledger, blockCacheBytesMax: number) {
    this.#wal = wal;
    this.#ledger = ledger;
    this.#cache = new BlockCache(blockCacheBytesMax);
    this.#appendedPositions = new Map([...ledger.positions].map(([stream, partitions]) => [stream, new Map(partitions)]));
  }

  /** The fold of all durable events. */
  get ledger(): Ledger {
    return this.#ledger;
  }

  /**
   * Appends an event. Resolves when it is durable and folded into the ledger.
   *
   * @throws {SourceError} If a block does not continue the last appended range of its source partition; nothing was written.
   * @throws {StorageError} If writing failed: whether the event is in the journal is unknown until the next start.
   */
  async append(event: JournalEvent): Promise<LogPosition> {
    if (event.kind === 'block-added') this.#continueRanges(event);
    return this.#wal.append({
      ...encodeEvent(event),
      onDurable: (position) => {
        applyEvent(this.#ledger, { event, position });
        if (event.kind === 'block-added') this.#cache.put(event.blockId, event.payload);
      },
    });
  }

  /** The bytes of a block: from memory, or from the log. */
  async readBlock(block: LoggedBlock): Promise<Uint8Array> {
    const cached = this.#cache.get(block.blockId);
    if (cached !== undefined) return cached;
    const event = decodeEvent(EVENT_TYPES['block-added'], await this.#wal.readAt(block.position), block.position.lsn);
    if (event.kind !== 'block-added' || event.blockId !== block.blockId) {
      throw new CorruptionError('STREAM_BLOCK_CORRUPT', `Cannot read block ${block.blockId} as record ${block.position.lsn} must hold it: found ${event.kind}`);
    }
    return Buffer.concat(event.payload);
  }

  /** Forgets the bytes of blocks that no batch needs again. */
  releaseBlocks(blocks: Iterable<LoggedBlock>): void {
    for (const block of blocks) this.#cache.delete(block.blockId);
  }

  /** Removes what lies below low water. */
  cut(lowWater: number): Promise<void> {
    return this.#wal.cut(lowWater);
  }

  /** Waits for what was appended and closes the log. */
  close(): Promise<void> {
    return this.#wal.close();
  }

  #continueRanges(event: BlockAdded): void {
    const positions = this.#appendedPositions.get(event.stream) ?? new Map<string, number>();
    for (const { partition, from } of event.ranges ?? []) {
      const held = positions.get(partition);
      if (held !== undefined && held !== from) {
        throw new SourceError(
          'STREAM_RECEIVER',
          `Cannot add a block of "${event.stream}" as "${partition}" must continue at ${held}: the block begins at ${from}`,
        );
      }
    }
    for (const { partition, until } of event.ranges ?? []) positions.set(partition, until);
    this.#appendedPositions.set(event.stream, positions);
  }
}
