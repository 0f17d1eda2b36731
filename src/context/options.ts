// The options of a context, checked once.
import { optionError, refuseUnknownOptions, textOption, wholeOption } from '../core/options.ts';
import { milliseconds, type Duration } from '../core/time.ts';

/** Options of a {@link StreamingContext}. */
export interface StreamingContextOptions {
  /** The name of the application, for people. */
  readonly appName: string;
  /** The interval of the batches. */
  readonly batchInterval: Duration;
  /**
   * The name under which stores and sinks know the application; must stay the same from release to release.
   *
   * @defaultValue `appName`
   */
  readonly applicationId?: string;
  /**
   * The version of the program. Batches that must run again after a crash run only under the version that planned them: give every release that changes results another.
   *
   * @defaultValue `'0'`
   */
  readonly version?: string;
  /**
   * How often a checkpoint is written: a multiple of the batch interval.
   *
   * @defaultValue The smallest multiple of the batch interval of at least 10 s.
   */
  readonly checkpointInterval?: Duration;
  /**
   * A block of a receiver is sealed and logged this long after its first record.
   *
   * @defaultValue 200 ms
   */
  readonly blockInterval?: Duration;
  /**
   * A block is sealed when it holds this many bytes.
   *
   * @defaultValue 1 MiB
   */
  readonly blockBytesMax?: number;
  /**
   * A block is sealed when it holds this many records.
   *
   * @defaultValue 65,536
   */
  readonly blockRecordsMax?: number;
  /**
   * Bytes that one receiver may hold that are not durable yet; `store` refuses more.
   *
   * @defaultValue 16 MiB
   */
  readonly receiverBufferBytesMax?: number;
  /**
   * The pause before a receiver that ended or failed is started again.
   *
   * @defaultValue 2 s
   */
  readonly receiverRestartDelay?: Duration;
  /**
   * How often a task is tried before the batch fails and the context stops.
   *
   * @defaultValue 4
   */
  readonly taskAttemptsMax?: number;
  /**
   * Bytes of blocks that are kept in memory until their batch is checkpointed; others are read back from the log.
   *
   * @defaultValue 64 MiB
   */
  readonly blockCacheBytesMax?: number;
  /**
   * A segment of the log is closed when it would grow over this many bytes.
   *
   * @defaultValue 64 MiB
   */
  readonly segmentBytesMax?: number;
}

/** The options with their defaults. */
export type ResolvedContextOptions = Required<StreamingContextOptions>;

const CHECKPOINT_MS_MIN = 10_000;
const MIB = 1024 * 1024;

/** The largest record the log takes. */
export const RECORD_BYTES_MAX: number = 16 * MIB;

const OWNER = 'StreamingContext';
const KNOWN = [
  'appName',
  'batchInterval',
  'applicationId',
  'version',
  'checkpointInterval',
  'blockInterval',
  'blockBytesMax',
  'blockRecordsMax',
  'receiverBufferBytesMax',
  'receiverRestartDelay',
  'taskAttemptsMax',
  'blockCacheBytesMax',
  'segmentBytesMax',
];

function duration(name: string, value: Duration | undefined, fallback: Duration): Duration {
  if (value === undefined) return fallback;
  if (!Number.isSafeInteger(value) || value < 1)
    throw optionError(OWNER, name, { expected: 'a duration made by milliseconds, seconds or minutes', found: value });
  return value;
}

/** Checks the options of a context; throws {@link UsageError} naming the first that is wrong. */
export function resolveContextOptions(options: StreamingContextOptions): ResolvedContextOptions {
  refuseUnknownOptions(OWNER, options, KNOWN);
  const appName = textOption(OWNER, 'appName', options.appName);
  const given: Duration | undefined = options.batchInterval;
  if (given === undefined) throw optionError(OWNER, 'batchInterval', { expected: 'a duration made by milliseconds, seconds or minutes', found: given });
  const batchInterval = duration('batchInterval', given, given);
  const checkpointInterval = duration(
    'checkpointInterval',
    options.checkpointInterval,
    milliseconds(Math.ceil(CHECKPOINT_MS_MIN / batchInterval) * batchInterval),
  );
  if (checkpointInterval % batchInterval !== 0) {
    throw optionError(OWNER, 'checkpointInterval', { expected: `a multiple of the batch interval of ${batchInterval} ms`, found: checkpointInterval });
  }
  const whole = (name: string, value: number | undefined, fallback: number): number => wholeOption(OWNER, name, { value, fallback, min: 1 });
  return {
    appName,
    batchInterval,
    applicationId: textOption(OWNER, 'applicationId', options.applicationId ?? appName),
    version: textOption(OWNER, 'version', options.version ?? '0'),
    checkpointInterval,
    blockInterval: duration('blockInterval', options.blockInterval, milliseconds(200)),
    blockBytesMax: wholeOption(OWNER, 'blockBytesMax', { value: options.blockBytesMax, fallback: MIB, min: 1, max: RECORD_BYTES_MAX / 2 }),
    blockRecordsMax: whole('blockRecordsMax', options.blockRecordsMax, 65_536),
    receiverBufferBytesMax: whole('receiverBufferBytesMax', options.receiverBufferBytesMax, 16 * MIB),
    receiverRestartDelay: duration('receiverRestartDelay', options.receiverRestartDelay, milliseconds(2000)),
    taskAttemptsMax: whole('taskAttemptsMax', options.taskAttemptsMax, 4),
    blockCacheBytesMax: whole('blockCacheBytesMax', options.blockCacheBytesMax, 64 * MIB),
    segmentBytesMax: wholeOption(OWNER, 'segmentBytesMax', { value: options.segmentBytesMax, fallback: 64 * MIB, min: 8192 }),
  };
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
}

/** Checks the options of `socketTextStream`. */
export function resolveSocketOptions(
  host: string,
  port: number,
  options: SocketStreamOptions,
): { readonly host: string; readonly port: number; readonly isAcknowledged: boolean; readonly lineBytesMax: number } {
  const owner = 'socketTextStream';
  refuseUnknownOptions(owner, options, ['uid', 'acknowledged', 'lineBytesMax']);
  const acknowledged: unknown = options.acknowledged ?? false;
  if (typeof acknowledged !== 'boolean') throw optionError(owner, 'acknowledged', { expected: 'true or false', found: acknowledged });
  return {
    host: textOption(owner, 'host', host),
    port: wholeOption(owner, 'port', { value: port, fallback: port, min: 1, max: 65_535 }),
    isAcknowledged: acknowledged,
    lineBytesMax: wholeOption(owner, 'lineBytesMax', { value: options.lineBytesMax, fallback: MIB, min: 1, max: RECORD_BYTES_MAX / 2 }),
  };
}
