// Checkpoints in a store: blobs are only added, then the head is written in a last batch of its own; what no retained head names is removed afterwards.
import { crc32, sha256Hex } from '../core/checksum.ts';
import { CorruptionError } from '../core/errors.ts';
import type { CheckpointStore, StoreChange } from './checkpoint-store.ts';
import { CHECKPOINT_FORMAT_VERSION, openEnvelope, sealEnvelope, type EnvelopeKind } from './envelope.ts';
import { decodeHead, encodeHead, type BlobRef, type Head, type SlotRef } from './head.ts';

/** How many heads are kept. */
export const HEADS_RETAINED = 2;

/** Blobs are written in synced batches of about this size. */
const BATCH_BYTES_MAX = 4 * 1024 * 1024;
const NUMBER_DIGITS = 16;
const SLOT_DIGITS = 4;
const HEAD_PREFIX = 'head/';
const BLOB_PREFIXES = ['ledger/', 'state/'];

/** A head that was found. */
export interface StoredHead {
  readonly head: Head;
  readonly hash: string;
}

/** A slot that changed since the checkpoint before. */
export interface ChangedSlot {
  readonly uid: string;
  readonly slot: number;
  readonly entries: number;
  readonly payload: Uint8Array;
}

/** What goes into a new checkpoint. */
export interface CheckpointDraft extends Pick<Head, 'number' | 'lsn' | 'batchTime' | 'app' | 'storeId' | 'metadata'> {
  readonly previous: StoredHead | undefined;
  readonly ledger: Uint8Array;
  readonly changed: readonly ChangedSlot[];
  /** Slots of the checkpoint before that did not change. */
  readonly kept: readonly SlotRef[];
}

function padded(number: number, digits: number): string {
  return String(number).padStart(digits, '0');
}

function headKey(number: number): string {
  return `${HEAD_PREFIX}${padded(number, NUMBER_DIGITS)}`;
}

/** The number of the checkpoint that wrote a key. */
function numberOfKey(key: string): number {
  const match = /(\d{16})(\/base)?$/.exec(key);
  return match?.[1] === undefined ? 0 : Number(match[1]);
}

function refOf(key: string, value: Uint8Array): BlobRef {
  return { key, bytes: value.length, crc: crc32(value) };
}

/** Reads and writes the checkpoints of a store that is open. */
export class Checkpoints {
  readonly #store: CheckpointStore;

  constructor(store: CheckpointStore) {
    this.#store = store;
  }

  /**
   * All heads, newest first, the whole ones apart from the damaged ones.
   *
   * @throws {CorruptionError} If a head is of a format this version does not know.
   */
  async heads(): Promise<{ readonly whole: readonly StoredHead[]; readonly damaged: readonly number[] }> {
    const keys = (await this.#store.keys(HEAD_PREFIX)).toReversed();
    const values = await this.#store.read(keys);
    const whole: StoredHead[] = [];
    const damaged: number[] = [];
    keys.forEach((key, index) => {
      const stored = this.#decodeHead(key, values[index]);
      if (stored === undefined) damaged.push(numberOfKey(key));
      else whole.push(stored);
    });
    return { whole, damaged };
  }

  /** The largest number that any key carries, so that numbers are never used twice. */
  async largestNumber(): Promise<number> {
    let largest = 0;
    for (const prefix of [HEAD_PREFIX, ...BLOB_PREFIXES]) for (const key of await this.#store.keys(prefix)) largest = Math.max(largest, numberOfKey(key));
    return largest;
  }

  /** Reads a blob that a head names; undefined if it is missing or is not the one that was written. */
  async readBlobs(refs: readonly BlobRef[]): Promise<readonly (Uint8Array | undefined)[]> {
    const values = await this.#store.read(refs.map((ref) => ref.key));
    return refs.map((ref, index) => {
      const value = values[index];
      if (value?.length !== ref.bytes || crc32(value) !== ref.crc) return undefined;
      const reading = openEnvelope(value);
      return reading.kind === 'envelope' ? reading.envelope.payload : undefined;
    });
  }

  /** Writes a checkpoint; resolves when it is durable. The checkpoint before stays whole. */
  async write(draft: CheckpointDraft): Promise<StoredHead> {
    const seal = (kind: EnvelopeKind, payload: Uint8Array): Uint8Array =>
      sealEnvelope({ kind, number: draft.number, previous: draft.previous?.head.number ?? 0, lsn: draft.lsn, payload });
    const puts: StoreChange[] = [];
    const put = (key: string, value: Uint8Array): BlobRef => {
      puts.push({ kind: 'put', key, value });
      return refOf(key, value);
    };
    const slots: SlotRef[] = draft.changed
      .filter((slot) => slot.entries > 0)
      .map(({ uid, slot, entries, payload }) => {
        const key = `state/${encodeURIComponent(uid)}/${padded(slot, SLOT_DIGITS)}/${padded(draft.number, NUMBER_DIGITS)}/base`;
        return { uid, slot, entries, blobs: [put(key, seal('base', payload))] };
      });
    const ledger = put(`ledger/${padded(draft.number, NUMBER_DIGITS)}`, seal('ledger', draft.ledger));
    const { number, lsn, batchTime, app, storeId, metadata } = draft;
    const previous = draft.previous === undefined ? null : { number: draft.previous.head.number, hash: draft.previous.hash };
    const head: Head = { number, previous, lsn, batchTime, app, storeId, metadata, ledger, slots: [...draft.kept, ...slots] };
    const value = seal('head', encodeHead(head));
    await this.#writeBlobs(puts);
    await this.#store.write([{ kind: 'put', key: headKey(number), value }]);
    return { head, hash: sha256Hex(value) };
  }

  /** Removes every head but `retained`, and every blob that none of them names. */
  async retain(retained: readonly StoredHead[]): Promise<void> {
    const named = new Set(
      retained.flatMap(({ head }) => [headKey(head.number), head.ledger.key, ...head.slots.flatMap((slot) => slot.blobs.map((blob) => blob.key))]),
    );
    const changes: StoreChange[] = [];
    for (const prefix of [HEAD_PREFIX, ...BLOB_PREFIXES]) {
      for (const key of await this.#store.keys(prefix)) if (!named.has(key)) changes.push({ kind: 'delete', key });
    }
    if (changes.length > 0) await this.#store.write(changes);
  }

  async #writeBlobs(puts: readonly StoreChange[]): Promise<void> {
    let batch: StoreChange[] = [];
    let bytes = 0;
    for (const change of puts) {
      batch.push(change);
      bytes += change.kind === 'put' ? change.value.length : 0;
      if (bytes < BATCH_BYTES_MAX) continue;
      await this.#store.write(batch);
      batch = [];
      bytes = 0;
    }
    if (batch.length > 0) await this.#store.write(batch);
  }

  #decodeHead(key: string, value: Uint8Array | undefined): StoredHead | undefined {
    const reading = value === undefined ? undefined : openEnvelope(value);
    if (reading?.kind === 'version') {
      throw new CorruptionError(
        'STREAM_CHECKPOINT_FORMAT',
        `Cannot read the checkpoint "${key}" as its format version must be ${CHECKPOINT_FORMAT_VERSION}: found version ${reading.version}`,
      );
    }
    if (value === undefined || reading?.kind !== 'envelope' || reading.envelope.kind !== 'head') return undefined;
    const head = decodeHead(reading.envelope.payload);
    return head?.number === reading.envelope.number && headKey(head.number) === key ? { head, hash: sha256Hex(value) } : undefined;
  }
}
