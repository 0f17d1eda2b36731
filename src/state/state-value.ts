// How a state value is kept between batches: primitives as they are, everything else as its encoding. So a user function that changes an object it was handed changes a copy.
import { compactText, flatText } from '../core/compact-text.ts';
import { UsageError } from '../core/errors.ts';
import { keyOfText } from '../core/key-slot.ts';
import { encodeValue } from '../core/value-codec.ts';
import { JSON_CODEC, type TextCodec } from './state-codec.ts';

/** A value that no user function can change, and when it was last touched. */
export class StateEntry {
  /** The value itself, or the text of its encoding. */
  readonly kept: string | number | boolean | null;
  readonly isEncoded: boolean;
  /** The batch time of the last touch where a timeout needs it; 0 elsewhere. */
  readonly at: number;

  constructor(kept: string | number | boolean | null, isEncoded: boolean, at: number) {
    this.kept = kept;
    this.isEncoded = isEncoded;
    this.at = at;
  }
}

/** Keeps a value; throws with the path of what the codec cannot take. */
export function keepValue(value: unknown, codec: TextCodec = JSON_CODEC, at = 0): StateEntry {
  if (typeof value === 'string') return new StateEntry(compactText(value), false, at);
  if (typeof value === 'boolean' || value === null) return new StateEntry(value, false, at);
  if (typeof value === 'number' && Number.isFinite(value)) return new StateEntry(value, false, at);
  return new StateEntry(flatText(codec.encode(value)), true, at);
}

/** As {@link keepValue}, for the key of a text: an error names it. */
export function keepFor(text: string, value: unknown, { codec, at = 0 }: { readonly codec: TextCodec; readonly at?: number }): StateEntry {
  try {
    return keepValue(value, codec, at);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new UsageError('STREAM_CODEC', `Cannot keep the state of key ${encodeValue(keyOfText(text))}: ${error.message}`, { cause: error });
  }
}

/** The value as the user sees it: a copy where it could be changed. */
export function showValue({ kept, isEncoded }: StateEntry, codec: TextCodec = JSON_CODEC): unknown {
  return isEncoded ? codec.decode(kept as string) : kept;
}

/** The text by which a kept value is written and compared. */
export function valueText({ kept, isEncoded }: StateEntry, codec: TextCodec = JSON_CODEC): string {
  return isEncoded ? (kept as string) : codec.encode(kept);
}

/** Whether two kept values have the same encoding. */
export function isSameValue(left: StateEntry, right: StateEntry, codec: TextCodec = JSON_CODEC): boolean {
  if (left.isEncoded === right.isEncoded) return Object.is(left.kept, right.kept);
  return valueText(left, codec) === valueText(right, codec);
}

/** Keeps a value again, given its text. */
export function keepText(text: string, codec: TextCodec, at = 0): StateEntry {
  if (codec !== JSON_CODEC) return new StateEntry(text, true, at);
  const first = text.charCodeAt(0);
  // An object or an array: everything that JSON lacks is an object too.
  if (first === 0x7b || first === 0x5b) return new StateEntry(text, true, at);
  return new StateEntry(JSON.parse(text) as string | number | boolean | null, false, at);
}
