// Pure: mapWithState on one slot. The function is called for each record, so only keys with data are touched, and once for each key that has been idle for longer than the timeout.
import { keyOfText } from '../core/key-slot.ts';
import { UsageError } from '../core/errors.ts';
import type { BatchTime } from '../core/time.ts';
import type { TextCodec } from './state-codec.ts';
import type { StateEntries } from './slot-entries.ts';
import type { SlotChanges } from './state-slot.ts';
import { keepFor, showValue, StateEntry } from './state-value.ts';

/**
 * The state of one key, in a call of the function of `mapWithState`. Only what is handed to `update` counts: what `get` returns is a copy.
 *
 * @typeParam S - The state.
 */
export interface State<S> {
  /** The batch, in milliseconds since the Unix epoch. */
  readonly time: BatchTime;
  /** Whether the key has a state. */
  exists(): boolean;
  /**
   * The state.
   *
   * @throws {UsageError} If the key has none.
   */
  get(): S;
  /** The state; undefined where the key has none. */
  getOption(): S | undefined;
  /**
   * Sets the state.
   *
   * @throws {UsageError} If the state was removed in this call, or the key is timing out.
   */
  update(state: S): void;
  /**
   * Removes the key.
   *
   * @throws {UsageError} If the key has no state, it was removed in this call, or the key is timing out.
   */
  remove(): void;
  /** Whether this call is the last one of a key that was idle for longer than the timeout; there is no value then, and the key goes behind the call. */
  isTimingOut(): boolean;
}

/** The user's function, without its types. */
export type MapFunction = (key: unknown, value: unknown, state: State<unknown>) => unknown;

/** What `mapSlot` works with. */
export interface MapSettings {
  readonly map: MapFunction;
  readonly codec: TextCodec;
  readonly batchTime: BatchTime;
  /** Idle keys go after this many milliseconds; undefined where they stay. */
  readonly timeoutMs: number | undefined;
}

/** What a batch gives in one slot. */
export interface SlotMapping {
  /** What the function returned, call by call; undefined is left out. */
  readonly rows: readonly unknown[];
  readonly changes: SlotChanges;
}

function illegal(text: string, why: string): UsageError {
  return new UsageError('STREAM_ILLEGAL_STATE', `Cannot use the state of key ${JSON.stringify(keyOfText(text))} so: ${why}`);
}

/** The state of one key during the calls of one batch. */
class KeyState implements State<unknown> {
  readonly #text: string;
  readonly #settings: MapSettings;
  readonly #isTimingOut: boolean;
  /** What is kept now; undefined where there is nothing. */
  entry: StateEntry | undefined;
  isRemoved = false;

  constructor(text: string, entry: StateEntry | undefined, given: { readonly settings: MapSettings; readonly isTimingOut: boolean }) {
    this.#text = text;
    this.#settings = given.settings;
    this.#isTimingOut = given.isTimingOut;
    this.entry = entry;
  }

  exists(): boolean {
    return this.entry !== undefined;
  }

  get time(): BatchTime {
    return this.#settings.batchTime;
  }

  get(): unknown {
    if (this.entry === undefined) throw illegal(this.#text, 'get() needs a state, and the key has none. Ask exists() first, or use getOption()');
    return showValue(this.entry, this.#settings.codec);
  }

  getOption(): unknown {
    return this.entry === undefined ? undefined : this.get();
  }

  update(state: unknown): void {
    if (this.isRemoved) throw illegal(this.#text, 'update() must not follow remove() in one call');
    if (this.#isTimingOut) throw illegal(this.#text, 'update() must not be called while the key is timing out');
    if (state === undefined) throw illegal(this.#text, 'update() must be given a state: undefined is none. Use remove()');
    const { codec, timeoutMs, batchTime } = this.#settings;
    this.entry = keepFor(this.#text, state, { codec, at: timeoutMs === undefined ? 0 : batchTime });
  }

  remove(): void {
    if (this.#isTimingOut) throw illegal(this.#text, 'remove() must not be called while the key is timing out: it goes by itself');
    if (this.isRemoved) throw illegal(this.#text, 'remove() must be called once in one call');
    if (this.entry === undefined) throw illegal(this.#text, 'remove() needs a state, and the key has none');
    this.entry = undefined;
    this.isRemoved = true;
  }

  isTimingOut(): boolean {
    return this.#isTimingOut;
  }
}

/** What is left behind the calls for a key: itself where nothing came of them. */
function outcome(held: StateEntry | undefined, state: KeyState, { timeoutMs, batchTime }: MapSettings): StateEntry | undefined {
  const { entry } = state;
  // Data refreshes a key that has a timeout.
  if (entry !== undefined && entry === held && timeoutMs !== undefined) return new StateEntry(entry.kept, entry.isEncoded, batchTime);
  return entry;
}

/**
 * Calls the function for each value of each key of `incoming`, in their order, then for each key of `entries` without data that was touched before `batchTime - timeoutMs`.
 * Changes nothing it is given. Where there is a timeout, `entries` stand in the order in which they were touched last.
 */
export function mapSlot(entries: StateEntries, incoming: ReadonlyMap<string, { readonly value: readonly unknown[] }>, settings: MapSettings): SlotMapping {
  const { map, batchTime, timeoutMs } = settings;
  const rows: unknown[] = [];
  const changes = new Map<string, StateEntry | undefined>();
  const call = (text: string, value: unknown, state: KeyState): void => {
    const result = map(keyOfText(text), value, state);
    if (result !== undefined) rows.push(result);
  };
  for (const [text, { value: values }] of incoming) {
    const held = entries.get(text);
    const state = new KeyState(text, held, { settings, isTimingOut: false });
    for (const value of values) {
      state.isRemoved = false;
      call(text, value, state);
    }
    const left = outcome(held, state, settings);
    if (left !== held) changes.set(text, left);
  }
  if (timeoutMs === undefined) return { rows, changes };
  for (const [text, held] of entries) {
    if (held.at !== 0 && held.at >= batchTime - timeoutMs) break;
    if (incoming.has(text)) continue;
    if (held.at === 0) {
      // It was there before there was a timeout: its time begins now.
      changes.set(text, new StateEntry(held.kept, held.isEncoded, batchTime));
      continue;
    }
    call(text, undefined, new KeyState(text, held, { settings, isTimingOut: true }));
    changes.set(text, undefined);
  }
  return { rows, changes };
}

/** All entries of a slot as the changes leave it, in the order that they have then. */
export function* withChanges(entries: StateEntries, changes: SlotChanges, isOrdered: boolean): Generator<readonly [string, StateEntry], void, undefined> {
  for (const [text, held] of entries) {
    if (!changes.has(text)) yield [text, held];
    else if (!isOrdered) {
      const changed = changes.get(text);
      if (changed !== undefined) yield [text, changed];
    }
  }
  for (const [text, entry] of changes) if (entry !== undefined && (isOrdered || !entries.has(text))) yield [text, entry];
}
