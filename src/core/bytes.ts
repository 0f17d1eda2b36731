// Little-endian numbers and length-prefixed bytes, for the few binary formats here.

/** Builds a sequence of bytes. */
export class ByteWriter {
  #bytes: Buffer;
  #length = 0;

  constructor(capacity = 256) {
    this.#bytes = Buffer.allocUnsafe(capacity);
  }

  #reserve(count: number): number {
    const offset = this.#length;
    this.#length += count;
    if (this.#length > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#length, this.#bytes.length * 2));
      this.#bytes.copy(larger, 0, 0, offset);
      this.#bytes = larger;
    }
    return offset;
  }

  /** Writes an unsigned 32-bit number. */
  u32(value: number): this {
    const offset = this.#reserve(4);
    this.#bytes.writeUInt32LE(value, offset);
    return this;
  }

  /** Writes unsigned 32-bit numbers. */
  u32s(values: readonly number[]): this {
    let offset = this.#reserve(4 * values.length);
    for (const value of values) offset = this.#bytes.writeUInt32LE(value, offset);
    return this;
  }

  /** Writes a whole number from 0 to 2^53 - 1 as 64 bits. */
  u64(value: number): this {
    const offset = this.#reserve(8);
    this.#bytes.writeUInt32LE(value % 0x1_0000_0000, offset);
    this.#bytes.writeUInt32LE(Math.floor(value / 0x1_0000_0000), offset + 4);
    return this;
  }

  /** Writes bytes as they are. */
  raw(bytes: Uint8Array): this {
    // Making room may move the bytes: first the place, then where it is.
    const offset = this.#reserve(bytes.length);
    this.#bytes.set(bytes, offset);
    return this;
  }

  /** Writes a 32-bit length and the bytes of a text; `length` is how many it has in this encoding. */
  encoded(text: string, encoding: 'latin1' | 'utf8' | 'utf16le', length: number): this {
    this.u32(length);
    const offset = this.#reserve(length);
    this.#bytes.write(text, offset, length, encoding);
    return this;
  }

  /** Writes a 32-bit length and the UTF-8 bytes of a text. */
  text(text: string): this {
    const length = Buffer.byteLength(text);
    this.u32(length);
    const offset = this.#reserve(length);
    this.#bytes.write(text, offset);
    return this;
  }

  /** What was written. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Begins anew in the same memory: what {@link finish} returned is written over. */
  restart(): this {
    this.#length = 0;
    return this;
  }
}

const SCRATCH_BYTES = 256 * 1024;
/** One that has grown further is given up: a very large piece must not take its memory for ever. */
const SCRATCH_BYTES_MAX = 8 * 1024 * 1024;
let scratch = new ByteWriter(SCRATCH_BYTES);

/**
 * What `write` writes, in memory of its own size. The writer is the same each time: making one of a guessed size for each of thousands of small blobs would take longer than to fill them.
 *
 * @param write - Must not call this function.
 */
export function written(write: (writer: ByteWriter) => void): Buffer {
  write(scratch.restart());
  const bytes = Buffer.from(scratch.finish());
  if (bytes.length > SCRATCH_BYTES_MAX) scratch = new ByteWriter(SCRATCH_BYTES);
  return bytes;
}

/** The 64-bit number at an offset, which must be below 2^53; RangeError if it is not. */
export function readU64(bytes: Buffer, offset: number): number {
  const value = bytes.readUInt32LE(offset) + bytes.readUInt32LE(offset + 4) * 0x1_0000_0000;
  if (!Number.isSafeInteger(value)) throw new RangeError(`Cannot read a number as it must be below 2^53: found a larger one at offset ${offset}`);
  return value;
}

/** Reads a sequence of bytes; reading past the end throws RangeError. */
export class ByteReader {
  /** All bytes, what was read as well. */
  readonly bytes: Buffer;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** How many bytes are left. */
  get left(): number {
    return this.bytes.length - this.#offset;
  }

  #take(count: number): number {
    if (count > this.left) throw new RangeError(`Cannot read ${count} bytes as only ${this.left} are left at offset ${this.#offset}`);
    const offset = this.#offset;
    this.#offset += count;
    return offset;
  }

  /** Reads an unsigned 32-bit number. */
  u32(): number {
    return this.bytes.readUInt32LE(this.#take(4));
  }

  /** Reads a 64-bit number, which must be below 2^53. */
  u64(): number {
    return readU64(this.bytes, this.#take(8));
  }

  /** Passes over `count` bytes; returns where they begin in {@link bytes}. */
  skip(count: number): number {
    return this.#take(count);
  }

  /** Reads `count` bytes, without a copy. */
  raw(count: number): Uint8Array {
    const offset = this.#take(count);
    return this.bytes.subarray(offset, offset + count);
  }

  /** Reads a 32-bit length and as many bytes of UTF-8. */
  text(): string {
    const length = this.u32();
    const offset = this.#take(length);
    return this.bytes.toString('utf8', offset, offset + length);
  }
}
