// How the records of a block stand in its bytes. Both codecs end each record with a line feed, so a block is built by putting bytes one after another.
import { CorruptionError, UsageError } from '../core/errors.ts';
import { pushLines } from '../core/lines.ts';
import { decodeValue, encodeValue } from '../core/value-codec.ts';

/** The names of the record codecs; part of the format. */
export type RecordCodecName = 'lines' | 'json-lines';

/** Turns records into lines and a block into records. */
export interface RecordCodec {
  /** The line of a record, without its line feed. */
  encode(record: unknown): string;
  /** Pushes each record of a block. */
  decode(bytes: Uint8Array, push: (record: unknown) => void): void;
}

const LONE_SURROGATE = /\p{Surrogate}/u;

const lines: RecordCodec = {
  encode(record) {
    if (typeof record !== 'string' || record.includes('\n') || LONE_SURROGATE.test(record)) {
      throw new UsageError(
        'STREAM_CODEC',
        `Cannot store a record with the codec lines as it must be a well-formed string without line feeds: found ${typeof record}`,
      );
    }
    return record;
  },
  decode: pushLines,
};

const jsonLines: RecordCodec = {
  encode: encodeValue,
  decode(bytes, push) {
    pushLines(bytes, (line) => push(decodeValue(line)));
  },
};

/** The codec of a name that was read from the log. */
export function recordCodec(name: string): RecordCodec {
  if (name === 'lines') return lines;
  if (name === 'json-lines') return jsonLines;
  throw new CorruptionError('STREAM_CODEC', `Cannot read a block as its codec must be lines or json-lines: found "${name}"`);
}
