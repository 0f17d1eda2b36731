// One slot of one operator's state: its entries, what a checkpoint holds of it, what changed since, and what a checkpoint under way still has to write of it.
import { ByteReader, type ByteWriter } from '../core/bytes.ts';
import { compactText } from '../core/compact-text.ts';
import { CorruptionError, toError, UsageError } from '../core/errors.ts';
import type { ChangedSlot } from '../checkpoint/checkpoints.ts';
import type { SlotRef } from '../checkpoint/head.ts';
import { chooseWrite } from './choose-write.ts';
import { EntryChanges } from './entry-changes.ts';
import { EntryDecoder, PackedEntries } from './packed-entries.ts';
import { codecOfSlot, readSections, SlotSection, visitSection, writeBase, writeDelta } from './slot-codec.ts';
import { SECTION_MIN, SlotEntries, type StateEntries } from './slot-entries.ts';
import type { TextCodec } from './state-codec.ts';
import { keepFor, showValue, type StateEntry } from './state-value.ts';

/** How the state of an operator is kept. */
export interface StateSettings {
  /** The codec that writes, then those that may have written before. */
  readonly codecs: readonly [TextCodec, ...TextCodec[]];
  /** Whether the keys of a slot stand in the order in which they were touched last. */
  readonly isOrdered: boolean;
  /** Whether every batch reads all keys: then all are kept decoded. */
  readonly isScanned: boolean;
}

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
  /** What changed since the checkpoint before. */
  readonly changes: EntryChanges;
  /** The entries as they were, once the slot has changed and all of them are to be written. */
  captured: SlotEntries | undefined;
  /** The delta that was written. */
  delta: StoredDelta | undefined;
  isWritten: boolean;
}

/** A delta of the newest checkpoint. Its bytes are kept: joined with others, they are written again as they are. */
interface StoredDelta {
  /** How many keys it has; one that is in several of the deltas joined in it counts for each. */
  readonly keys: number;
  /** Its sections, each as it was written first. */
  readonly pieces: readonly Uint8Array[];
}

/** One slot. */
export class StateSlot {
  readonly #slot: number;
  readonly #settings: StateSettings;
  readonly #codec: TextCodec;
  /** Undefined until the slot is touched for the first time. */
  #entries: SlotEntries | undefined;
  #payloads: readonly Uint8Array[] = [];
  #ref: SlotRef | undefined;
  #deltas: readonly StoredDelta[] = [];
  #changes = new EntryChanges();
  #pending: PendingWrite | undefined;
  /** Whether all of it must be written afresh. */
  #isConverted = false;
  /** Whether the blobs of `ref` are not in the checkpoint store. */
  #isElsewhere = false;

  constructor(slot: number, settings: StateSettings, stored?: StoredSlot) {
    this.#slot = slot;
    this.#settings = settings;
    [this.#codec] = settings.codecs;
    if (stored === undefined) {
      this.#entries = new SlotEntries();
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
  get entries(): StateEntries {
    return this.#held();
  }

  /**
   * Makes the changes of a completed batch. Where keys stand in the order of their last touch, one that is set moves behind all others.
   */
  merge(changes: SlotChanges): void {
    const entries = this.#held();
    const pending = this.#pending;
    // A checkpoint under way that writes all of it writes what was there when it began.
    if (pending !== undefined && pending.keepDeltas === undefined && !pending.isWritten) pending.captured ??= entries.frozen();
    const { isOrdered } = this.#settings;
    for (const [found, entry] of changes) {
      const text = compactText(found);
      if (entry === undefined) {
        if (entries.delete(text)) this.#changes.remove(text);
      } else if (isOrdered) {
        entries.append(text, entry);
        this.#changes.insert(text, entry);
      } else if (entries.set(text, entry)) this.#changes.set(text, entry);
      else this.#changes.insert(text, entry);
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
          deltas: this.#deltas.map((delta) => delta.keys),
          changed: this.#changes.size,
        });
    const keepDeltas = choice.kind === 'delta' ? choice.keepDeltas : undefined;
    const pending: PendingWrite = { keepDeltas, changes: this.#changes, captured: undefined, delta: undefined, isWritten: false };
    const blobs = this.#isElsewhere ? [] : (this.#ref?.blobs ?? []);
    const kept = keepDeltas === undefined ? 0 : 1 + keepDeltas;
    this.#pending = pending;
    this.#changes = new EntryChanges();
    this.#isConverted = false;
    return {
      slot: this.#slot,
      entries: this.size,
      kind: choice.kind,
      keeps: blobs.slice(0, kept),
      replaces: blobs.slice(kept),
      write: (writer) => this.#write(writer, pending),
      written: (payload) => this.#written(payload, pending),
    };
  }

  /** Notes that the checkpoint is durable, and what it holds of the slot: undefined where it holds nothing. */
  saved(ref: SlotRef | undefined): void {
    this.#ref = ref;
    this.#isElsewhere = false;
    const pending = this.#pending;
    if (pending === undefined) return;
    const { keepDeltas, delta } = pending;
    this.#deltas = delta === undefined ? [] : [...this.#deltas.slice(0, keepDeltas), delta];
    this.#pending = undefined;
  }

  #write(writer: ByteWriter, pending: PendingWrite): void {
    if (pending.keepDeltas === undefined) return writeBase(writer, pending.captured ?? this.#held(), this.#codec);
    for (const { pieces } of this.#deltas.slice(pending.keepDeltas)) for (const piece of pieces) writer.raw(piece);
    writeDelta(writer, pending.changes, this.#codec);
  }

  /** Keeps what was written, in the place of the decoded entries. */
  #written(payload: Uint8Array, pending: PendingWrite): void {
    pending.captured = undefined;
    pending.isWritten = true;
    if (pending.keepDeltas === undefined) this.#keepBase(payload);
    else pending.delta = this.#keepDelta(payload, this.#deltas.slice(pending.keepDeltas), pending.changes);
  }

  #keepDelta(payload: Uint8Array, joined: readonly StoredDelta[], changes: EntryChanges): StoredDelta {
    const before = joined.flatMap(({ pieces }) => pieces);
    const length = before.reduce((sum, piece) => sum + piece.length, 0);
    // What was joined is kept already: it must not be held a second time by the piece behind it.
    const own = length === 0 ? payload : Buffer.from(payload.subarray(length));
    if (changes.size >= SECTION_MIN) this.#held().written(changes, new SlotSection(new ByteReader(own), this.#codec));
    return { keys: joined.reduce((sum, { keys }) => sum + keys, changes.size), pieces: [...before, own] };
  }

  /** What changed meanwhile is put upon the base. */
  #keepBase(payload: Uint8Array): void {
    const [section] = readSections(payload, this.#codec);
    if (section === undefined || this.#settings.isScanned) return;
    const packed = new SlotEntries(this.#pack(section));
    this.#changes.visit((text, change, entry) => packed.apply(text, change, entry));
    this.#entries = packed;
  }

  #pack(section: SlotSection): PackedEntries {
    return new PackedEntries(section, new EntryDecoder(this.#codec, (why) => this.#corrupt(why)));
  }

  #held(): SlotEntries {
    return this.#entries ?? this.#decode();
  }

  #decode(): SlotEntries {
    const [base, ...deltas] = this.#payloads;
    const stored: StoredDelta[] = [];
    let entries = new SlotEntries();
    try {
      if (base !== undefined) entries = this.#decodeBase(base);
      for (const bytes of deltas) stored.push({ keys: this.#applyTo(entries, bytes), pieces: [bytes] });
    } catch (thrown) {
      throw this.#corrupt(thrown);
    }
    if (entries.size !== this.#ref?.entries)
      throw this.#corrupt(new RangeError(`it has ${entries.size} entries, the checkpoint says ${String(this.#ref?.entries)}`));
    this.#entries = entries;
    this.#deltas = stored;
    this.#payloads = [];
    return entries;
  }

  #decodeBase(bytes: Uint8Array): SlotEntries {
    const codec = this.#codecOf(bytes);
    const sections = readSections(bytes, codec);
    const [section] = sections;
    if (section === undefined || sections.length > 1) throw new RangeError(`a base must have one section: found ${sections.length}`);
    if (codec === this.#codec && !this.#settings.isScanned) return new SlotEntries(this.#pack(section));
    const entries = new SlotEntries();
    this.#applyTo(entries, bytes);
    return entries;
  }

  /** Does what a blob says; returns how many keys it has. */
  #applyTo(entries: SlotEntries, bytes: Uint8Array): number {
    const codec = this.#codecOf(bytes);
    let keys = 0;
    for (const section of readSections(bytes, codec)) {
      keys += section.count;
      if (codec === this.#codec && entries.applySection(section)) continue;
      visitSection(section, codec, (text, change, entry) =>
        entries.apply(text, change, entry === undefined || codec === this.#codec ? entry : this.#convert(text, entry, codec)),
      );
    }
    return keys;
  }

  #codecOf(payload: Uint8Array): TextCodec {
    const name = codecOfSlot(payload);
    const codec = this.#settings.codecs.find((each) => each.name === name);
    if (codec !== undefined) return codec;
    throw new UsageError(
      'STREAM_CODEC',
      `Cannot read the state of "${this.#ref?.uid ?? ''}" as its codec must be one of ${this.#settings.codecs.map((each) => `"${each.name}"`).join(', ')}: it was written by "${name}". Give that one in readCodecs`,
    );
  }

  #convert(text: string, entry: StateEntry, from: TextCodec): StateEntry {
    return keepFor(text, showValue(entry, from), { codec: this.#codec, at: entry.at });
  }

  #corrupt(thrown: unknown): Error {
    const error = toError(thrown);
    if (error instanceof CorruptionError || error instanceof UsageError) return error;
    const what = `slot ${this.#slot} of "${this.#ref?.uid ?? ''}"`;
    return new CorruptionError('STREAM_CHECKPOINT_CORRUPT', `Cannot read ${what} as a checkpoint holds it as it must be a slot: ${error.message}`, {
      cause: error,
    });
  }
}
