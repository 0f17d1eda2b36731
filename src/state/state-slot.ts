// One slot of one operator's state: its entries, what a checkpoint holds of it, what changed since, and what a checkpoint under way still has to write of it.
import { compactText } from '../core/compact-text.ts';
import { CorruptionError, toError, UsageError } from '../core/errors.ts';
import type { ChangedSlot } from '../checkpoint/checkpoints.ts';
import type { SlotRef } from '../checkpoint/head.ts';
import { chooseWrite } from './choose-write.ts';
import { ENTRY_INSERTED, ENTRY_REMOVED, ENTRY_SET, joinChanges, noteChange, type EntryChange, type EntryChanges } from './entry-changes.ts';
import { codecOfSlot, decodeSlot, encodeSlot, type BlobEntries, type SlotEntries } from './slot-codec.ts';
import type { TextCodec } from './state-codec.ts';
import { keepFor, showValue, type StateEntry } from './state-value.ts';

/** A slot as a checkpoint holds it: its blobs were checked, not decoded. */
export interface StoredSlot {
  readonly ref: SlotRef;
  /** What stands in the blobs of `ref`, in their order. */
  readonly payloads: readonly Uint8Array[];
  /** Whether the blobs are not in the checkpoint store, so that the next checkpoint must write all of it. */
  readonly isElsewhere?: boolean;
}

/** What a batch changes in one slot, by the text of the key: an entry, or undefined for a key that goes. */
export type SlotChanges = ReadonlyMap<string, StateEntry | undefined>;

/** What a checkpoint writes of a slot. The entries are those of the moment in which it began, whatever happens to the slot until it is encoded. */
export type SlotWrite = Omit<ChangedSlot, 'uid'>;

interface PendingWrite {
  readonly keepDeltas: number | undefined;
  readonly changes: EntryChanges;
  /** What the keys hold that changed since the checkpoint before. */
  readonly fresh: ReadonlyMap<string, StateEntry | undefined>;
  /** The entries to write, once the slot has changed. */
  captured: BlobEntries | undefined;
}

const NOTHING: BlobEntries = { texts: [], changes: undefined, entries: [] };

/** One slot. */
export class StateSlot {
  readonly #slot: number;
  readonly #codec: TextCodec;
  /** The codecs that blobs may have been written with. */
  readonly #codecs: readonly TextCodec[];
  /** Undefined until the slot is touched for the first time. */
  #entries: SlotEntries | undefined;
  #payloads: readonly Uint8Array[] = [];
  #ref: SlotRef | undefined;
  /** The keys of each delta of `ref`. */
  #deltas: readonly EntryChanges[] = [];
  #changes = new Map<string, EntryChange>();
  /** What the keys of `#changes` hold: they were touched just now, to find them in all entries again would take longer. */
  #fresh = new Map<string, StateEntry | undefined>();
  #pending: PendingWrite | undefined;
  /** Whether all of it must be written afresh. */
  #isConverted = false;
  /** Whether the blobs of `ref` are not in the checkpoint store. */
  #isElsewhere = false;

  constructor(slot: number, codecs: readonly [TextCodec, ...TextCodec[]], stored?: StoredSlot) {
    this.#slot = slot;
    this.#codec = codecs[0];
    this.#codecs = codecs;
    if (stored === undefined) {
      this.#entries = new Map();
      return;
    }
    this.#ref = stored.ref;
    this.#payloads = stored.payloads;
    // What another codec wrote is written afresh by the next checkpoint, touched or not: a later release need not read it.
    this.#isElsewhere = stored.isElsewhere === true;
    this.#isConverted = this.#isElsewhere || stored.payloads.some((payload) => this.#codecOf(payload) !== this.#codec);
  }

  /** How many entries it has; known without decoding it. */
  get size(): number {
    return this.#entries?.size ?? this.#ref?.entries ?? 0;
  }

  /** The bytes that a checkpoint holds of it. */
  get storedBytes(): number {
    return this.#ref?.blobs.reduce((sum, { bytes }) => sum + bytes, 0) ?? 0;
  }

  /** Whether the next checkpoint must write something of it. */
  get isDirty(): boolean {
    return this.#changes.size > 0 || this.#isConverted;
  }

  /** What the newest checkpoint holds of it. */
  get ref(): SlotRef | undefined {
    return this.#ref;
  }

  /**
   * The entries.
   *
   * @throws {CorruptionError} If the bytes of a checkpoint are none, though their checksum fits.
   */
  get entries(): ReadonlyMap<string, StateEntry> {
    return this.#entries ?? this.#decode();
  }

  /**
   * Makes the changes of a completed batch.
   *
   * @param isOrdered - Whether a key that is set moves behind all others, as where the oldest is to be found first.
   */
  merge(changes: SlotChanges, isOrdered: boolean): void {
    const entries = this.#entries ?? this.#decode();
    this.#capture();
    for (const [found, entry] of changes) {
      const text = compactText(found);
      if (entry === undefined) {
        if (!entries.delete(text)) continue;
        noteChange(this.#changes, text, ENTRY_REMOVED);
        this.#fresh.set(text, undefined);
        continue;
      }
      const stays = !isOrdered && entries.has(text);
      if (!stays) entries.delete(text);
      entries.set(text, entry);
      noteChange(this.#changes, text, stays ? ENTRY_SET : ENTRY_INSERTED);
      this.#fresh.set(text, entry);
    }
  }

  /** Begins to write what changed since the last checkpoint. Must be followed by {@link saved} before it is called again. */
  begin(): SlotWrite {
    const choice = this.#isConverted
      ? ({ kind: 'base' } as const)
      : chooseWrite({
          slot: this.#slot,
          entries: this.size,
          hasBase: this.#ref !== undefined,
          deltas: this.#deltas.map((delta) => delta.size),
          changed: this.#changes.size,
        });
    const keepDeltas = choice.kind === 'delta' ? choice.keepDeltas : undefined;
    const changes = keepDeltas === undefined ? this.#changes : joinChanges([...this.#deltas.slice(keepDeltas), this.#changes]);
    const pending: PendingWrite = { keepDeltas, changes, fresh: this.#fresh, captured: undefined };
    const blobs = this.#isElsewhere ? [] : (this.#ref?.blobs ?? []);
    const kept = keepDeltas === undefined ? 0 : 1 + keepDeltas;
    this.#pending = pending;
    this.#changes = new Map();
    this.#fresh = new Map();
    this.#isConverted = false;
    return {
      slot: this.#slot,
      entries: this.size,
      kind: choice.kind,
      keeps: blobs.slice(0, kept),
      replaces: blobs.slice(kept),
      encode: () => {
        const bytes = encodeSlot(pending.captured ?? this.#select(pending), this.#codec);
        // What is encoded needs no copy any more.
        pending.captured = NOTHING;
        return bytes;
      },
    };
  }

  /** Notes that the checkpoint is durable, and what it holds of the slot: undefined where it holds nothing. */
  saved(ref: SlotRef | undefined): void {
    this.#ref = ref;
    this.#isElsewhere = false;
    if (this.#pending !== undefined) {
      const { keepDeltas, changes } = this.#pending;
      this.#deltas = keepDeltas === undefined ? [] : [...this.#deltas.slice(0, keepDeltas), changes];
      this.#pending = undefined;
    }
  }

  /** Keeps what a checkpoint under way has not encoded yet, before it changes. */
  #capture(): void {
    if (this.#pending !== undefined) this.#pending.captured ??= this.#select(this.#pending);
  }

  #select({ keepDeltas, changes, fresh }: PendingWrite): BlobEntries {
    const held = this.entries;
    if (keepDeltas === undefined) return { texts: [...held.keys()], changes: undefined, entries: [...held.values()] };
    const texts = [...changes.keys()];
    return { texts, changes: [...changes.values()], entries: texts.map((text) => fresh.get(text) ?? held.get(text)) };
  }

  #decode(): SlotEntries {
    const entries: SlotEntries = new Map();
    const deltas: Map<string, EntryChange>[] = [];
    try {
      for (const [index, payload] of this.#payloads.entries()) {
        const codec = this.#codecOf(payload);
        const delta = new Map<string, EntryChange>();
        decodeSlot(payload, codec, (text, change, entry) => {
          if (index > 0) delta.set(text, change);
          // In a base every key comes for the first time.
          if (entry === undefined || (change === ENTRY_INSERTED && index > 0)) entries.delete(text);
          if (entry !== undefined) entries.set(text, codec === this.#codec ? entry : this.#convert(text, entry, codec));
        });
        if (index > 0) deltas.push(delta);
      }
    } catch (thrown) {
      if (thrown instanceof CorruptionError) throw thrown;
      throw this.#corrupt(toError(thrown).message, thrown);
    }
    if (entries.size !== this.#ref?.entries) throw this.#corrupt(`it has ${entries.size} entries, the checkpoint says ${String(this.#ref?.entries)}`);
    this.#entries = entries;
    this.#deltas = deltas;
    this.#payloads = [];
    return entries;
  }

  #codecOf(payload: Uint8Array): TextCodec {
    const name = codecOfSlot(payload);
    const codec = this.#codecs.find((each) => each.name === name);
    if (codec !== undefined) return codec;
    throw new UsageError(
      'STREAM_CODEC',
      `Cannot read the state of "${this.#ref?.uid ?? ''}" as its codec must be one of ${this.#codecs.map((each) => `"${each.name}"`).join(', ')}: it was written by "${name}". Give that one in readCodecs`,
    );
  }

  #convert(text: string, entry: StateEntry, from: TextCodec): StateEntry {
    return keepFor(text, showValue(entry, from), { codec: this.#codec, at: entry.at });
  }

  #corrupt(why: string, cause?: unknown): CorruptionError {
    const what = `slot ${this.#slot} of "${this.#ref?.uid ?? ''}"`;
    return new CorruptionError('STREAM_CHECKPOINT_CORRUPT', `Cannot read ${what} as a checkpoint holds it as it must be a slot: ${why}`, { cause });
  }
}
