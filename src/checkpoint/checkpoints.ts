// Checkpoints in a store: blobs are only added, the head is in the last batch; what no retained head names is removed afterwards.
import type { ByteWriter } from '../core/bytes.ts';
import { crc32, sha256Hex } from '../core/checksum.ts';
import { CorruptionError } from '../core/errors.ts';
import type { CheckpointStore, StoreChange } from './checkpoint-store.ts';
import { CHECKPOINT_FORMAT_VERSION, openEnvelope, PAYLOAD_OFFSET, sealEnvelope, sealWritten, type EnvelopeKind } from './envelope.ts';
import { decodeHead, encodeHead, numberOfKey, paddedNumber, stateKey, type BlobRef, type Head, type SlotRef } from './head.ts';

/** How many heads are kept. */
export const HEADS_RETAINED = 2;

/** Blobs are written in synced batches of about this size. */
const BATCH_BYTES_MAX = 4 * 1024 * 1024;
/** So many blobs are read at once. */
const READ_AT_ONCE = 256;
/** So many reads are under way at once: a store has threads of its own. */
const READS_AT_ONCE = 4;
const HEAD_PREFIX = 'head/';
const BLOB_PREFIXES = ['ledger/', 'state/'];

/** A head that was found. */
export interface StoredHead {
  readonly head: Head;
  readonly hash: string;
}

/** A slot that changed since the checkpoint before, and how it is written. */
export interface ChangedSlot {
  readonly uid: string;
  readonly slot: number;
  /** How many entries it has. */
  readonly entries: number;
  readonly kind: 'base' | 'delta';
  /** The blobs in front of this one that stay: none for a base. */
  readonly keeps: readonly BlobRef[];
  /** The blobs of the checkpoint before that do not. */
  readonly replaces: readonly BlobRef[];
  /** Encodes it. Called once, when its turn comes. */
  write(writer: ByteWriter): void;
  /** Called with what was written, which nothing changes any more. */
  written(payload: Uint8Array): void;
}

/** A slot with all its blobs, as another store wrote them. */
export interface BegunSlot {
  readonly uid: string;
  readonly slot: number;
  readonly entries: number;
  /** The base first. */
  readonly payloads: readonly Uint8Array[];
}

/** What goes into a new checkpoint. */
export interface CheckpointDraft extends Pick<Head, 'number' | 'lsn' | 'batchTime' | 'app' | 'storeId' | 'metadata'> {
  readonly previous: StoredHead | undefined;
  readonly ledger: Uint8Array;
  readonly changed: readonly ChangedSlot[];
  /** Slots of the checkpoint before that did not change. */
  readonly kept: readonly SlotRef[];
}

/** Called between two slots: gives a promise to wait for where others have waited long enough. */
export type Breathe = () => Promise<void> | undefined;

function headKey(number: number): string {
  return `${HEAD_PREFIX}${paddedNumber(number)}`;
}

function refOf(key: string, value: Uint8Array): BlobRef {
  return { key, bytes: value.length, crc: crc32(value) };
}

/** The keys of everything that a checkpoint consists of. */
function keysOf({ head }: StoredHead): readonly string[] {
  return [headKey(head.number), head.ledger.key, ...head.slots.flatMap((slot) => slot.blobs.map((blob) => blob.key))];
}

function blobsOf(slots: readonly SlotRef[]): number {
  return slots.reduce((sum, { blobs }) => sum + blobs.length, 0);
}

function without(keys: readonly string[], others: readonly string[]): readonly string[] {
  const named = new Set(others);
  return keys.filter((key) => !named.has(key));
}

/** Reads and writes the checkpoints of a store that is open. */
export class Checkpoints {
  readonly #store: CheckpointStore;
  /** The blobs that no head behind one names any more, by the number of that one: known of those that this object has followed. */
  readonly #replaced = new Map<number, readonly string[]>();

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

  /** Reads blobs that a head names; undefined for one that is missing or is not the one that was written. */
  async readBlobs(refs: readonly BlobRef[]): Promise<readonly (Uint8Array | undefined)[]> {
    const found: (Uint8Array | undefined)[] = [];
    for (let from = 0; from < refs.length; from += READS_AT_ONCE * READ_AT_ONCE) {
      const all = Array.from({ length: READS_AT_ONCE }, (_, part) => refs.slice(from + part * READ_AT_ONCE, from + (part + 1) * READ_AT_ONCE));
      const parts = all.filter((part) => part.length > 0);
      const read = await Promise.all(parts.map((part) => this.#store.read(part.map((ref) => ref.key))));
      for (const [part, values] of read.entries()) parts[part]?.forEach((ref, index) => found.push(payloadOf(ref, values[index])));
    }
    return found;
  }

  /**
   * Writes a checkpoint; resolves when it is durable. The checkpoint before stays whole. Slots are encoded one after another as they are written.
   *
   * @param breathe - Called between two slots.
   */
  async write(draft: CheckpointDraft, breathe: Breathe = () => undefined): Promise<StoredHead> {
    const { number, lsn, batchTime, app, storeId, metadata } = draft;
    const previousNumber = draft.previous?.head.number ?? 0;
    const seal = (kind: EnvelopeKind, payload: Uint8Array): Uint8Array => sealEnvelope({ kind, number, previous: previousNumber, lsn, payload });
    const batch = new BlobBatch(this.#store);
    const slots = [...draft.kept];
    const replaced: string[] = [];
    /** Blobs of the checkpoint before that belong to slots that changed. */
    let followed = 0;
    for (const changed of draft.changed) {
      const { uid, slot, entries, kind, keeps } = changed;
      followed += keeps.length + changed.replaces.length;
      for (const { key } of changed.replaces) replaced.push(key);
      const pause = breathe();
      if (pause !== undefined) await pause;
      // A slot without entries has no blob.
      if (entries === 0) continue;
      const value = sealWritten({ kind, number, previous: previousNumber, lsn }, (writer) => changed.write(writer));
      changed.written(value.subarray(PAYLOAD_OFFSET));
      slots.push({ uid, slot, entries, blobs: [...keeps, batch.put(stateKey(uid, slot, { number, kind }), value)] });
      if (batch.bytes >= BATCH_BYTES_MAX) await batch.write();
    }
    const ledger = batch.put(`ledger/${paddedNumber(number)}`, seal('ledger', draft.ledger));
    const previous = draft.previous === undefined ? null : { number: draft.previous.head.number, hash: draft.previous.hash };
    const head: Head = { number, previous, lsn, batchTime, app, storeId, metadata, ledger, slots };
    const value = seal('head', encodeHead(head));
    // With the last of the blobs, in one batch: all of it or nothing.
    batch.put(headKey(number), value);
    await batch.write();
    // State that was dropped or migrated is neither kept nor replaced by a slot: then all names are compared.
    if (draft.previous !== undefined && blobsOf(draft.previous.head.slots) === blobsOf(draft.kept) + followed)
      this.#replaced.set(draft.previous.head.number, replaced);
    return { head, hash: sha256Hex(value) };
  }

  /** Writes the first checkpoint of a store, given all blobs of its slots as they are; resolves when it is durable. */
  async begin(
    first: Omit<Head, 'number' | 'slots' | 'ledger' | 'previous'> & { readonly ledger: Uint8Array; readonly slots: readonly BegunSlot[] },
  ): Promise<StoredHead> {
    const { lsn, batchTime, app, storeId, metadata } = first;
    const batch = new BlobBatch(this.#store);
    const slots: SlotRef[] = [];
    // The blobs of a slot are told apart by the number of the checkpoint that wrote them: here they count from 1, and the head comes behind all of them.
    let last = 0;
    for (const { uid, slot, entries, payloads } of first.slots) {
      const blobs = payloads.map((payload, index) => {
        const [kind, number] = [index === 0 ? 'base' : 'delta', index + 1] as const;
        return batch.put(stateKey(uid, slot, { number, kind }), sealEnvelope({ kind, number, previous: 0, lsn, payload }));
      });
      last = Math.max(last, payloads.length);
      slots.push({ uid, slot, entries, blobs });
      if (batch.bytes >= BATCH_BYTES_MAX) await batch.write();
    }
    const number = last + 1;
    const ledger = batch.put(`ledger/${paddedNumber(number)}`, sealEnvelope({ kind: 'ledger', number, previous: 0, lsn, payload: first.ledger }));
    await batch.write();
    const head: Head = { number, previous: null, lsn, batchTime, app, storeId, metadata, ledger, slots };
    const value = sealEnvelope({ kind: 'head', number, previous: 0, lsn, payload: encodeHead(head) });
    await this.#store.write([{ kind: 'put', key: headKey(number), value }]);
    return { head, hash: sha256Hex(value) };
  }

  /** Removes every head but `retained`, and every blob that none of them names. Reads the names of all. */
  async retain(retained: readonly StoredHead[]): Promise<void> {
    const named = new Set(retained.flatMap(keysOf));
    const all: string[] = [];
    for (const prefix of [HEAD_PREFIX, ...BLOB_PREFIXES]) all.push(...(await this.#store.keys(prefix)));
    await this.#remove(all.filter((key) => !named.has(key)));
  }

  /** Removes a checkpoint, but for the blobs that the ones behind it, `retained`, name too. */
  async drop(old: StoredHead, retained: readonly StoredHead[]): Promise<void> {
    const { number, ledger } = old.head;
    const known = this.#replaced.get(number);
    this.#replaced.delete(number);
    // Blobs never come back: what the next head does not name, no later one does.
    const replaced = known ?? without(keysOf(old), retained.flatMap(keysOf));
    await this.#remove([...new Set([headKey(number), ledger.key, ...replaced])]);
  }

  async #remove(keys: readonly string[]): Promise<void> {
    if (keys.length > 0) await this.#store.write(keys.map((key): StoreChange => ({ kind: 'delete', key })));
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

function payloadOf(ref: BlobRef, value: Uint8Array | undefined): Uint8Array | undefined {
  if (value?.length !== ref.bytes || crc32(value) !== ref.crc) return undefined;
  const reading = openEnvelope(value);
  return reading.kind === 'envelope' ? reading.envelope.payload : undefined;
}

/** Blobs that are written together. */
class BlobBatch {
  readonly #store: CheckpointStore;
  #changes: StoreChange[] = [];
  bytes = 0;

  constructor(store: CheckpointStore) {
    this.#store = store;
  }

  put(key: string, value: Uint8Array): BlobRef {
    this.#changes.push({ kind: 'put', key, value });
    this.bytes += value.length;
    return refOf(key, value);
  }

  async write(): Promise<void> {
    const changes = this.#changes;
    this.#changes = [];
    this.bytes = 0;
    await this.#store.write(changes);
  }
}
