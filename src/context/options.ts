// The options of a context, checked once.
import { KEY_SLOTS } from '../core/key-slot.ts';
import { flagOption, optionError, refuseUnknownOptions, textOption, wholeOption } from '../core/options.ts';
import { milliseconds, type Duration, type MissedBatches } from '../core/time.ts';
import { RddContext } from '../rdd/rdd-context.ts';
import type { PidGains } from '../sources/pid-rate-estimator.ts';

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
   * Bytes of blocks that are kept in memory until their batch is completed; others are read back from the log.
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
  /**
   * Bytes that the log may take on the disk; over it receivers wait in `ready()` until a checkpoint lets it be cut. At least four segments, since only whole segments are removed.
   *
   * @defaultValue No limit.
   */
  readonly logBytesMax?: number;
  /**
   * Bytes of the file `ballast`, which is given up when the disk is full: with them what was received is still processed and checkpointed, and the log is cut. 0 for none.
   *
   * @defaultValue 16 MiB
   */
  readonly ballastBytes?: number;
  /**
   * Whether the records of receivers and queues are logged before their source is told. Without it only the fact that they came is logged: a crash loses the records that were in no
   * batch, and state what came since the last checkpoint; `explain()` says so. A receiver may have another setting.
   *
   * @defaultValue true
   */
  readonly writeAheadLog?: boolean;
  /**
   * How many partitions an operator that shuffles makes where no count is given, from 1 to 1,024.
   *
   * @defaultValue That of `rddContext` if one is given, else 1.
   */
  readonly defaultParallelism?: number;
  /**
   * A context for datasets that is there already. Several streaming contexts may use it, one after another.
   *
   * @defaultValue One of its own.
   */
  readonly rddContext?: RddContext;
  /**
   * How many records per second each receiver may take, on average. A receiver waits in `ready()`; a second's worth may come at once.
   *
   * @defaultValue No limit.
   */
  readonly receiverRateMax?: number;
  /**
   * How many records of blocks a batch takes. One block is taken in any case; what is over waits for the next batch.
   *
   * @defaultValue No limit.
   */
  readonly batchRecordsMax?: number;
  /**
   * How many bytes of blocks and files a batch takes, as they stand in log and directory. One block, and one file of each stream, is taken in any case.
   *
   * @defaultValue 256 MiB
   */
  readonly batchBytesMax?: number;
  /**
   * Bytes of blocks that may wait for a batch; over it receivers wait in `ready()` until a batch takes some.
   *
   * @defaultValue 1 GiB
   */
  readonly backlogBytesMax?: number;
  /**
   * Whether the rate of each receiver follows what the batches can do: a PID estimator with Spark's formula, fed after each batch. `true` means its defaults.
   *
   * @defaultValue false
   */
  readonly backpressure?: boolean | BackpressureOptions;
  /**
   * What becomes of the intervals that passed while no driver ran. `'skip'`: no batch is made for them. `'run'`: a batch is made for each, one after another, so that functions of
   * `updateStateByKey` are called for each; what waits joins the first of them, and sources that are asked at each batch are asked again once they are through.
   *
   * @defaultValue `'skip'`
   */
  readonly missedBatches?: MissedBatches;
}

/** How the rate of receivers follows the batches. The formula is that of Spark's `PIDRateEstimator`. */
export interface BackpressureOptions {
  /**
   * The rate of each receiver before the first batch with records is done, in records per second.
   *
   * @defaultValue No limit but `receiverRateMax`.
   */
  readonly initialRate?: number;
  /**
   * The rate never falls below this, in records per second.
   *
   * @defaultValue 100
   */
  readonly rateMin?: number;
  /**
   * The weight of the difference between the rate and what the last batch did.
   *
   * @defaultValue 1
   */
  readonly proportional?: number;
  /**
   * The weight of what waits.
   *
   * @defaultValue 0.2
   */
  readonly integral?: number;
  /**
   * The weight of the change of the difference.
   *
   * @defaultValue 0
   */
  readonly derivative?: number;
}

/** The options with their defaults. */
export interface ResolvedContextOptions extends Required<Omit<StreamingContextOptions, 'rddContext' | 'backpressure'>> {
  readonly rddContext: RddContext | undefined;
  readonly backpressure: ResolvedBackpressure | undefined;
}

/** How many segments a limited log holds at least: one that is written, one that is prepared, and two that wait to be cut. */
const SEGMENTS_MIN = 4;

const CHECKPOINT_MS_MIN = 10_000;
const MIB = 1024 * 1024;

/** Stands for no limit: more than anything counted here comes to. */
const NO_LIMIT = Number.MAX_SAFE_INTEGER;

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
  'logBytesMax',
  'ballastBytes',
  'writeAheadLog',
  'defaultParallelism',
  'rddContext',
  'receiverRateMax',
  'batchRecordsMax',
  'batchBytesMax',
  'backlogBytesMax',
  'backpressure',
  'missedBatches',
];

/** Backpressure with its defaults. */
export type ResolvedBackpressure = PidGains & { readonly initialRate: number };

function weight(name: string, value: number | undefined, fallback: number): number {
  if (value === undefined) return fallback;
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0)
    throw optionError('backpressure', name, { expected: 'a number of 0 or more', found: value });
  return value;
}

function resolveBackpressure(value: boolean | BackpressureOptions | undefined): ResolvedBackpressure | undefined {
  if (value === undefined || value === false) return undefined;
  if (value !== true && (typeof value !== 'object' || value === null))
    throw optionError(OWNER, 'backpressure', { expected: 'true, false or an object', found: value });
  const given = value === true ? {} : value;
  refuseUnknownOptions('backpressure', given, ['initialRate', 'rateMin', 'proportional', 'integral', 'derivative']);
  return {
    initialRate: wholeOption('backpressure', 'initialRate', { value: given.initialRate, fallback: NO_LIMIT, min: 1 }),
    rateMin: wholeOption('backpressure', 'rateMin', { value: given.rateMin, fallback: 100, min: 1 }),
    proportional: weight('proportional', given.proportional, 1),
    integral: weight('integral', given.integral, 0.2),
    derivative: weight('derivative', given.derivative, 0),
  };
}

function missedBatchesOption(value: unknown): MissedBatches {
  if (value === undefined || value === 'skip') return 'skip';
  if (value === 'run') return 'run';
  throw optionError(OWNER, 'missedBatches', { expected: "'skip' or 'run'", found: value });
}

function rddContextOption(value: unknown): RddContext | undefined {
  if (value === undefined) return undefined;
  if (!(value instanceof RddContext)) throw optionError(OWNER, 'rddContext', { expected: 'an RddContext', found: value });
  if (value.isStopped) throw optionError(OWNER, 'rddContext', { expected: 'an RddContext that was not stopped', found: 'a stopped one' });
  return value;
}

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
  const segmentBytesMax = wholeOption(OWNER, 'segmentBytesMax', { value: options.segmentBytesMax, fallback: 64 * MIB, min: 8192 });
  const rddContext = rddContextOption(options.rddContext);
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
    segmentBytesMax,
    logBytesMax: wholeOption(OWNER, 'logBytesMax', { value: options.logBytesMax, fallback: NO_LIMIT, min: SEGMENTS_MIN * segmentBytesMax }),
    ballastBytes: wholeOption(OWNER, 'ballastBytes', { value: options.ballastBytes, fallback: 16 * MIB, min: 0 }),
    writeAheadLog: flagOption(OWNER, 'writeAheadLog', { value: options.writeAheadLog, fallback: true }),
    rddContext,
    defaultParallelism: wholeOption(OWNER, 'defaultParallelism', {
      value: options.defaultParallelism,
      fallback: rddContext?.defaultParallelism ?? 1,
      min: 1,
      max: KEY_SLOTS,
    }),
    receiverRateMax: whole('receiverRateMax', options.receiverRateMax, NO_LIMIT),
    batchRecordsMax: whole('batchRecordsMax', options.batchRecordsMax, NO_LIMIT),
    batchBytesMax: whole('batchBytesMax', options.batchBytesMax, 256 * MIB),
    backlogBytesMax: whole('backlogBytesMax', options.backlogBytesMax, 1024 * MIB),
    backpressure: resolveBackpressure(options.backpressure),
    missedBatches: missedBatchesOption(options.missedBatches),
  };
}
