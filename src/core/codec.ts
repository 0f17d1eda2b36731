// A codec turns values into text and back. Codecs have names, and the names are written next to the bytes, so that no later version guesses.

/** Turns values of one kind into text and back; `decode(encode(value))` gives an equal value, and equal values give equal text. */
export interface Codec<T> {
  /** The name under which it is written to disk, such as `json-1`. */
  readonly name: string;
  /** Encodes a value. Throws {@link CodecError} with the path of what it cannot take. */
  encode(value: T): string;
  /** Decodes what `encode` made. */
  decode(text: string): T;
}
