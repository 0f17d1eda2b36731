// The journal, open for appending: an event is written to the log, and when it is durable it is folded into the ledger, in the order of the log.
import { CorruptionError, SourceError } from '../core/errors.ts';
import { blockIdOf, type BlockId, type Uid } from '../core/ids.ts';
import type { LogPosition } from '../wal/read-at.ts';
import type { SyncTimes } from '../wal/sync-times.ts';
import type { Wal, WalRecord } from '../wal/wal.ts';
import { applyEvent } from './apply-event.ts';
import { BlockCache } from './block-cache.ts';
import type { DiskSpace } from './disk-space.ts';
import { decodeEvent, encodeEvent, EVENT_TYPES } from './event-codec.ts';
import type { BlockAdded, JournalEvent } from './events.ts';
import type { Ledger, LedgerBatch, LoggedBlock } from './ledger.ts';
import { PatientAppends, type AppendKind } from './patient-appends.ts';

/** What a journal is made of. */
export interface JournalParts {
  /** The log, open. */
  readonly wal: Wal;
  /** The fold of all its events; the journal owns it from here on. */
  readonly ledger: Ledger;
  readonly space: DiskSpace;
  readonly directory: string;
  /** Numbers the blocks, with a counter. */
  readonly epoch: number;
  /** Bytes of blocks that are kept in memory; others are read back from the log. */
  readonly blockCacheBytesMax: number;
}

/** A block that has no number yet. */
export type BlockDraft = Omit<BlockAdded, 'kind' | 'blockId'>;

/** How the log of a context fares. */
export interface LogStatus {
  /** Bytes that it takes on the disk: segments, and one that is prepared. */
  readonly bytes: number;
  /** The number of the last durable record. */
  readonly durableLsn: number;
  /** Whether the disk has no room: receivers pause until it has. */
  readonly isDiskFull: boolean;
  /** How long the syncs took since the start. */
  readonly syncMs: SyncTimes;
}

/** A journal that is open for appending. */
export class Journal {
  readonly #parts: JournalParts;
  readonly #appends: PatientAppends;
  readonly #cache: BlockCache;
  readonly #appendedPositions: Map<Uid, Map<string, number>>;
  #blocks = 0;

  constructor(parts: JournalParts) {
    this.#parts = parts;
    this.#appends = new PatientAppends(parts.wal, parts.space, parts.directory);
    this.#cache = new BlockCache(parts.blockCacheBytesMax);
    this.#appendedPositions = new Map([...parts.ledger.positions].map(([stream, partitions]) => [stream, new Map(partitions)]));
  }

  /** The fold of all durable events. */
  get ledger(): Ledger {
    return this.#parts.ledger;
  }

  /** How the log fares. */
  get status(): LogStatus {
    const { wal, space } = this.#parts;
    return { bytes: wal.bytes, durableLsn: wal.durableLsn, isDiskFull: space.isShort, syncMs: wal.syncTimes };
  }

  /** Whether the disk has no room for blocks. */
  get isDiskFull(): boolean {
    return this.#parts.space.isShort;
  }

  /** Bytes that the log takes on the disk. */
  get logBytes(): number {
    return this.#parts.wal.bytes;
  }

  /** Bytes of the log that a start would read. */
  get validBytes(): number {
    return this.#parts.wal.spans.reduce((sum, { end }) => sum + end, 0);
  }

  /**
   * Appends what was decided. Resolves when it is durable and folded into the ledger, however long the disk has no room for it.
   *
   * @throws {StorageError} If writing failed: whether the event is in the journal is unknown until the next start.
   */
  append(event: Exclude<JournalEvent, BlockAdded>): Promise<LogPosition> {
    return this.#appends.append('decision', () => this.#recordOf(event));
  }

  /**
   * Appends what a start decided. Resolves when it is durable and folded into the ledger.
   *
   * @throws {StorageError} `STREAM_DISK_FULL` if the disk has no room for it: a start does not wait. Else as {@link Journal.append}.
   */
  appendAtOnce(event: Exclude<JournalEvent, BlockAdded>): Promise<LogPosition> {
    return this.#appends.appendAtOnce(() => this.#recordOf(event));
  }

  #recordOf(event: Exclude<JournalEvent, BlockAdded>): WalRecord {
    return { ...encodeEvent(event), onDurable: (position) => applyEvent(this.ledger, { event, position }) };
  }

  /**
   * Appends a block and numbers it. Resolves when it is durable and folded into the ledger.
   *
   * @param kind - `block` waits while the disk has no room; `decision` may use the room of the ballast.
   * @throws {SourceError} If the block does not continue the last appended range of its source partition; nothing was written.
   * @throws {StorageError} If writing failed: whether the block is in the journal is unknown until the next start.
   */
  async appendBlock(draft: BlockDraft, kind: AppendKind = 'block'): Promise<{ readonly blockId: BlockId; readonly lsn: number }> {
    this.#continueRanges(draft);
    let blockId = '';
    const { lsn } = await this.#appends.append(kind, () => {
      // Numbered when it goes to the log, also for the second time: numbers grow in the order of the log.
      this.#blocks += 1;
      blockId = blockIdOf(this.#parts.epoch, this.#blocks);
      const event: BlockAdded = { kind: 'block-added', blockId, ...draft };
      return {
        ...encodeEvent(event),
        onDurable: (position) => {
          applyEvent(this.ledger, { event, position });
          this.#cache.put(event.blockId, event.payload, event.unloggedBytes === undefined ? 'if-there-is-room' : 'in-any-case');
        },
      };
    });
    return { blockId, lsn };
  }

  /** The bytes of a block: from memory, or from the log. Empty if they were in the memory of a driver that is gone. */
  async readBlock(block: LoggedBlock): Promise<Uint8Array> {
    const cached = this.#cache.get(block.blockId);
    if (cached !== undefined) return cached;
    if (block.unloggedBytes !== undefined) return new Uint8Array(0);
    const event = decodeEvent(EVENT_TYPES['block-added'], await this.#parts.wal.readAt(block.position), block.position.lsn);
    if (event.kind !== 'block-added' || event.blockId !== block.blockId) {
      throw new CorruptionError('STREAM_BLOCK_CORRUPT', `Cannot read block ${block.blockId} as record ${block.position.lsn} must hold it: found ${event.kind}`);
    }
    return Buffer.concat(event.payload);
  }

  /** Whether the records of a block were only in the memory of a driver that is gone. */
  isLost(block: LoggedBlock): boolean {
    return block.unloggedBytes !== undefined && this.#cache.get(block.blockId) === undefined;
  }

  /** The streams of which a batch has lost records: what is made of them is not what its first run made. */
  lostStreams(batch: LedgerBatch): readonly Uid[] {
    return [...batch.inputs].filter(([, { blocks }]) => blocks.some((block) => this.isLost(block))).map(([stream]) => stream);
  }

  /** Forgets the bytes of the blocks of a batch that is completed: nothing reads them again. */
  release(batch: LedgerBatch): void {
    for (const { blocks } of batch.inputs.values()) for (const block of blocks) this.#cache.delete(block.blockId);
  }

  /** Whether the disk has room for a checkpoint. */
  hasCheckpointRoom(): Promise<boolean> {
    return this.#parts.space.hasStoreRoom();
  }

  /** Refuses blocks that wait for room, now and from here on: the context stops, their sources were told nothing. */
  refuseWaitingBlocks(): void {
    this.#appends.giveUp('block');
  }

  /** Removes what lies below low water. */
  cut(lowWater: number): Promise<void> {
    return this.#parts.wal.cut(lowWater);
  }

  /** Gives up what waits for room. What is on its way to the disk comes to its end. */
  giveUp(): void {
    this.#appends.giveUp('block');
    this.#appends.giveUp('decision');
  }

  /** Gives up what waits for room, waits for what is on its way, and closes the log. */
  async close(): Promise<void> {
    this.giveUp();
    await this.#parts.space.close();
    await this.#parts.wal.close();
  }

  #continueRanges(event: BlockDraft): void {
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
