// How the values of a state become bytes: a codec has a name, which stands in every blob. The built-in one is the default codec of records; others come as objects.
import { optionError } from '../core/options.ts';
import { decodeValue, encodeValue, VALUE_CODEC_NAME } from '../core/value-codec.ts';

/**
 * Turns the values of a state into bytes and back. Its name stands beside what it wrote, so a later version of the program may change to another one.
 *
 * @typeParam S - The values.
 * @example
 * ```ts
 * import type { StateCodec } from 'millrace';
 *
 * const counts: StateCodec<number> = {
 *   name: 'count-1',
 *   encode: (value) => Buffer.from(String(value)),
 *   decode: (bytes) => Number(Buffer.from(bytes).toString()),
 * };
 * console.log(counts.decode(counts.encode(7)));
 * ```
 */
export interface StateCodec<S = unknown> {
  /** Names the format: another format needs another name. */
  readonly name: string;
  /** The bytes of a value: the same for the same value, since a rerun after a crash is compared by them. Throws for what it cannot carry. */
  encode(value: S): Uint8Array;
  /** The value of bytes that `encode` made. Called each time that a user function is handed the value: what it returns may be changed. */
  decode(bytes: Uint8Array): S;
}

/** A codec as the state uses it: values as texts, those of a binary codec with one character for each byte. */
export interface TextCodec {
  readonly name: string;
  /** Whether every character stands for a byte. */
  readonly isBinary: boolean;
  /** Throws with the path of what it cannot take. */
  encode(value: unknown): string;
  decode(text: string): unknown;
}

/** The default. */
export const JSON_CODEC: TextCodec = { name: VALUE_CODEC_NAME, isBinary: false, encode: encodeValue, decode: decodeValue };

/** A user's codec as the state uses it. */
export function textCodec(codec: StateCodec): TextCodec {
  return {
    name: codec.name,
    isBinary: true,
    encode(value) {
      const bytes = codec.encode(value);
      return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
    },
    decode: (text) => codec.decode(Buffer.from(text, 'latin1')),
  };
}

function isCodec(value: unknown): value is StateCodec {
  const { name, encode, decode } = (typeof value === 'object' && value !== null ? value : {}) as Partial<Record<keyof StateCodec, unknown>>;
  return typeof name === 'string' && name !== '' && typeof encode === 'function' && typeof decode === 'function';
}

/** Checks a codec that was given as an option; the default where none is. */
export function codecOption(owner: string, name: string, value: unknown): TextCodec {
  if (value === undefined) return JSON_CODEC;
  if (!isCodec(value)) throw optionError(owner, name, { expected: 'a codec with name, encode and decode', found: value });
  if (value.name === VALUE_CODEC_NAME)
    throw optionError(owner, name, { expected: `a codec of another name than the built-in "${VALUE_CODEC_NAME}"`, found: value.name });
  return textCodec(value);
}
