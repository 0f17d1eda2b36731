// How a state value is kept between batches: primitives as they are, everything else as its encoding. So a user function that changes an object it was handed changes a copy.
import { decodeValue, encodeValue } from '../core/value-codec.ts';

/** A value that no user function can change. */
export type StateValue = string | number | boolean | null | EncodedValue;

/** What is no string, finite number, boolean or null, kept as the text of the default codec. */
export class EncodedValue {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** Keeps a value; throws with the path of what the codec cannot take. */
export function keepValue(value: unknown): StateValue {
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return value;
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  return new EncodedValue(encodeValue(value));
}

/** The value as the user sees it: a copy where it could be changed. */
export function showValue(kept: StateValue): unknown {
  return kept instanceof EncodedValue ? decodeValue(kept.text) : kept;
}

/** The text by which a kept value is written and compared. */
export function valueText(kept: StateValue): string {
  return kept instanceof EncodedValue ? kept.text : encodeValue(kept);
}

/** Whether two kept values have the same encoding. */
export function isSameValue(left: StateValue, right: StateValue): boolean {
  if (left instanceof EncodedValue) return right instanceof EncodedValue && left.text === right.text;
  return Object.is(left, right);
}
