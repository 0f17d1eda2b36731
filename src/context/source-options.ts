// The options of the built-in sources, checked once.
import { resolve } from 'node:path';
import { flagOption, optionError, refuseUnknownOptions, textOption, wholeOption } from '../core/options.ts';
import { milliseconds, type Duration } from '../core/time.ts';
import { RECORD_BYTES_MAX } from './options.ts';
import type { FileCodec } from '../rdd/text-file.ts';
import type { DirectorySettings } from '../sources/directory-source.ts';
import type { PositionOf } from '../sources/iterable-receiver.ts';
import { filePattern, splitGlob } from '../sources/file-pattern.ts';
import type { QueueItem, QueueSettings } from '../sources/queue-source.ts';

const MIB = 1024 * 1024;

function logOption(owner: string, value: unknown): boolean | undefined {
  return value === undefined ? undefined : flagOption(owner, 'writeAheadLog', { value, fallback: true });
}

/** Options of `receiverStream`. */
export interface ReceiverStreamOptions {
  /**
   * The stable name of the stream.
   *
   * @defaultValue The kind and the position in the program, such as `receiverStream-0`.
   */
  readonly uid?: string;
  /**
   * Whether the records of this stream are logged before their source is told (see `writeAheadLog` of the context).
   *
   * @defaultValue That of the context.
   */
  readonly writeAheadLog?: boolean;
}

/** Checks the options of `receiverStream`. */
export function resolveReceiverOptions(options: ReceiverStreamOptions): { readonly uid: string | undefined; readonly isLogged: boolean | undefined } {
  const owner = 'receiverStream';
  refuseUnknownOptions(owner, options, ['uid', 'writeAheadLog']);
  return { uid: options.uid, isLogged: logOption(owner, options.writeAheadLog) };
}

/** Options of `socketTextStream`. */
export interface SocketStreamOptions {
  /**
   * The stable name of the stream.
   *
   * @defaultValue The kind and the position in the program, such as `socketTextStream-0`.
   */
  readonly uid?: string;
  /**
   * Whether the server speaks the protocol of acknowledged lines (docs/acknowledged-lines.md). Without it, a crash loses the lines that were received and not yet durable.
   *
   * @defaultValue false
   */
  readonly acknowledged?: boolean;
  /**
   * The longest line in bytes, without its line feed; a longer one stops the context.
   *
   * @defaultValue 1 MiB
   */
  readonly lineBytesMax?: number;
  /**
   * Whether the records of this stream are logged before their source is told (see `writeAheadLog` of the context).
   *
   * @defaultValue That of the context.
   */
  readonly writeAheadLog?: boolean;
}

/** Checks the options of `socketTextStream`. */
export function resolveSocketOptions(
  host: string,
  port: number,
  options: SocketStreamOptions,
): { readonly host: string; readonly port: number; readonly isAcknowledged: boolean; readonly lineBytesMax: number; readonly isLogged: boolean | undefined } {
  const owner = 'socketTextStream';
  refuseUnknownOptions(owner, options, ['uid', 'acknowledged', 'lineBytesMax', 'writeAheadLog']);
  return {
    host: textOption(owner, 'host', host),
    port: wholeOption(owner, 'port', { value: port, fallback: port, min: 1, max: 65_535 }),
    isAcknowledged: flagOption(owner, 'acknowledged', { value: options.acknowledged, fallback: false }),
    lineBytesMax: wholeOption(owner, 'lineBytesMax', { value: options.lineBytesMax, fallback: MIB, min: 1, max: RECORD_BYTES_MAX / 2 }),
    isLogged: logOption(owner, options.writeAheadLog),
  };
}

/** Options of `queueStream`. */
export interface QueueStreamOptions<T> {
  /**
   * The stable name of the stream.
   *
   * @defaultValue The kind and the position in the program, such as `queueStream-0`.
   */
  readonly uid?: string;
  /**
   * Whether a batch takes one item of the queue, or all that stand in it.
   *
   * @defaultValue true
   */
  readonly oneAtATime?: boolean;
  /**
   * What a batch gets when the queue is empty.
   *
   * @defaultValue Nothing.
   */
  readonly default?: QueueItem<T>;
}

/** Checks the options of `queueStream`. */
export function resolveQueueOptions<T>(
  queue: unknown,
  options: QueueStreamOptions<T>,
): { readonly uid: string | undefined; readonly settings: QueueSettings<T> } {
  const owner = 'queueStream';
  refuseUnknownOptions(owner, options, ['uid', 'oneAtATime', 'default']);
  if (!Array.isArray(queue)) throw optionError(owner, 'queue', { expected: 'an array, to which items are pushed', found: queue });
  return {
    uid: options.uid,
    settings: { oneAtATime: flagOption(owner, 'oneAtATime', { value: options.oneAtATime, fallback: true }), fallback: options.default },
  };
}

/** Options of `textFileStream`. */
export interface TextFileStreamOptions {
  /**
   * The stable name of the stream.
   *
   * @defaultValue The kind and the position in the program, such as `textFileStream-0`.
   */
  readonly uid?: string;
  /**
   * Whether files that are there when the stream begins for the first time are left out.
   *
   * @defaultValue true
   */
  readonly newFilesOnly?: boolean;
  /**
   * A file is complete when it has not changed for so long. A file that is moved in is complete if it was written that long before.
   *
   * @defaultValue 1 s
   */
  readonly settleTime?: Duration;
  /**
   * How many files a batch takes.
   *
   * @defaultValue 1,000
   */
  readonly maxFilesPerBatch?: number;
  /**
   * A glob that the name of a file must match, or its path below the directory if the glob has a slash. Needs the package minimatch.
   *
   * @defaultValue Every file.
   */
  readonly match?: string;
  /**
   * Whether files in directories below are taken too.
   *
   * @defaultValue false
   */
  readonly nested?: boolean;
}

/** Options of `textFileStream` with a codec. */
export interface CodecFileStreamOptions<T> extends TextFileStreamOptions {
  /** Turns the bytes of each file into records. The file is one partition and stands in memory as a whole. */
  readonly codec: FileCodec<T>;
}

function codecOption<T>(owner: string, codec: FileCodec<T> | undefined): FileCodec<T> | undefined {
  const found: unknown = codec;
  if (found === undefined) return undefined;
  const isCodec =
    typeof found === 'object' && found !== null && typeof Reflect.get(found, 'decode') === 'function' && typeof Reflect.get(found, 'name') === 'string';
  if (!isCodec) throw optionError(owner, 'codec', { expected: 'an object with a name and a function decode', found });
  return codec;
}

/** Checks the options of `textFileStream`. */
export function resolveFileOptions<T>(
  directory: string,
  options: TextFileStreamOptions & Partial<CodecFileStreamOptions<T>>,
): { readonly settings: Omit<DirectorySettings, 'hasCodec'>; readonly uid: string | undefined; readonly codec: FileCodec<T> | undefined } {
  const owner = 'textFileStream';
  refuseUnknownOptions(owner, options, ['uid', 'newFilesOnly', 'settleTime', 'maxFilesPerBatch', 'match', 'nested', 'codec']);
  const { base, pattern } = splitGlob(textOption(owner, 'directory', directory));
  const nested = flagOption(owner, 'nested', { value: options.nested, fallback: false });
  const match = options.match === undefined ? undefined : textOption(owner, 'match', options.match);
  return {
    uid: options.uid,
    codec: codecOption(owner, options.codec),
    settings: {
      directory: resolve(base),
      newFilesOnly: flagOption(owner, 'newFilesOnly', { value: options.newFilesOnly, fallback: true }),
      settleMs: wholeOption(owner, 'settleTime', { value: options.settleTime, fallback: milliseconds(1000), min: 1 }),
      filesMax: wholeOption(owner, 'maxFilesPerBatch', { value: options.maxFilesPerBatch, fallback: 1000, min: 1 }),
      ...filePattern({ pattern, match, nested }),
    },
  };
}

/** Options of `fromAsyncIterable`. */
export interface IterableStreamOptions<T> {
  /**
   * The stable name of the stream.
   *
   * @defaultValue The kind and the position in the program, such as `fromAsyncIterable-0`.
   */
  readonly uid?: string;
  /**
   * The position of a record: whole numbers from 0 that grow from record to record.
   *
   * @defaultValue None: what is in flight at a crash is lost, and an iterable that begins again is taken again.
   */
  readonly position?: PositionOf<T>;
  /**
   * Whether the records of this stream are logged before their source is told (see `writeAheadLog` of the context).
   *
   * @defaultValue That of the context.
   */
  readonly writeAheadLog?: boolean;
}

/** Checks the options of `fromAsyncIterable`. */
export function resolveIterableOptions<T>(
  iterable: unknown,
  options: IterableStreamOptions<T>,
): { readonly uid: string | undefined; readonly position: PositionOf<T> | undefined; readonly isLogged: boolean | undefined } {
  const owner = 'fromAsyncIterable';
  refuseUnknownOptions(owner, options, ['uid', 'position', 'writeAheadLog']);
  const isIterable = typeof iterable === 'object' && iterable !== null && (Symbol.asyncIterator in iterable || Symbol.iterator in iterable);
  if (!isIterable && typeof iterable !== 'function')
    throw optionError(owner, 'iterable', { expected: 'an object that can be iterated, or a function that makes one', found: iterable });
  if (options.position !== undefined && typeof options.position !== 'function')
    throw optionError(owner, 'position', { expected: 'a function from a record to its position', found: options.position });
  return { uid: options.uid, position: options.position, isLogged: logOption(owner, options.writeAheadLog) };
}
