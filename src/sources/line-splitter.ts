// Cuts the bytes of a socket into whole lines. Pure: bytes in, lines out; what is not a whole line yet is held back, up to the limit of a line.
import { isUtf8 } from 'node:buffer';
import { SourceError } from '../core/errors.ts';

const LINE_FEED = 10;
const CARRIAGE_RETURN = 13;

/** Whole lines, each followed by a line feed. */
export interface LineRun {
  readonly bytes: Buffer;
  readonly count: number;
}

/** Gathers bytes and gives them back as whole lines. */
export class LineSplitter {
  readonly #lineBytesMax: number;
  readonly #source: string;
  #partial: Buffer[] = [];
  #partialBytes = 0;
  #line = 0;

  /**
   * @param lineBytesMax - The longest line, without its line feed.
   * @param source - Names the source in errors.
   */
  constructor(lineBytesMax: number, source: string) {
    this.#lineBytesMax = lineBytesMax;
    this.#source = source;
  }

  /**
   * Takes bytes and returns the lines that are whole now; undefined if there is none.
   *
   * @throws {SourceError} If a line is longer than the limit or is not valid UTF-8.
   */
  push(chunk: Buffer): LineRun | undefined {
    const last = chunk.lastIndexOf(LINE_FEED);
    if (last < 0) {
      this.#hold(chunk);
      return undefined;
    }
    const head = chunk.subarray(0, last + 1);
    const bytes = this.#partial.length === 0 ? head : Buffer.concat([...this.#partial, head]);
    this.#partial = [];
    this.#partialBytes = 0;
    const run = this.#check(bytes);
    if (last + 1 < chunk.length) this.#hold(chunk.subarray(last + 1));
    return run;
  }

  #hold(bytes: Buffer): void {
    this.#partialBytes += bytes.length;
    // One byte more than the limit may be a carriage return that goes.
    if (this.#partialBytes > this.#lineBytesMax + 1) throw this.#tooLong(this.#line + 1, this.#partialBytes);
    this.#partial.push(bytes);
  }

  #check(bytes: Buffer): LineRun {
    let count = 0;
    for (let start = 0; start < bytes.length; count++) {
      const end = bytes.indexOf(LINE_FEED, start);
      const length = end - start - (bytes[end - 1] === CARRIAGE_RETURN && end > start ? 1 : 0);
      if (length > this.#lineBytesMax) throw this.#tooLong(this.#line + count + 1, length);
      start = end + 1;
    }
    if (!isUtf8(bytes)) throw this.#notUtf8(bytes);
    this.#line += count;
    return { bytes: bytes.includes(CARRIAGE_RETURN) ? Buffer.from(bytes.toString('utf8').replaceAll('\r\n', '\n')) : bytes, count };
  }

  #tooLong(line: number, length: number): SourceError {
    return new SourceError(
      'STREAM_SOURCE_LINE_TOO_LONG',
      `Cannot take line ${line} of this connection to ${this.#source} as it must have at most ${this.#lineBytesMax} bytes: it has ${length} or more`,
    );
  }

  #notUtf8(bytes: Buffer): SourceError {
    let line = this.#line + 1;
    for (let start = 0; start < bytes.length; line++) {
      const end = bytes.indexOf(LINE_FEED, start);
      if (!isUtf8(bytes.subarray(start, end))) break;
      start = end + 1;
    }
    return new SourceError('STREAM_SOURCE_NOT_UTF8', `Cannot take line ${line} of this connection to ${this.#source} as it must be valid UTF-8: it is not`);
  }
}
