// Pure: the options of kafkaSink, checked and with their defaults.
import { optionError, refuseUnknownOptions, wholeOption } from '../../core/options.ts';
import type { Duration } from '../../core/time.ts';
import { resolveConnection, type KafkaConnection, type KafkaSasl, type KafkaTls } from './connection.ts';
import type { KafkaBytes, RowEncoder } from './encode-rows.ts';

/** Options of {@link kafkaSink}. */
export interface KafkaSinkOptions<in T> {
  /** The topic, which must be there. */
  readonly topic: string;
  /** Brokers to ask for the cluster, as `host:port`. */
  readonly brokers: readonly string[];
  /**
   * Gives the key of a record. Without a key, records go to the partition of the topic that has the number of their partition in the batch, modulo the number of partitions.
   *
   * @defaultValue no key
   */
  readonly key?: (record: T) => KafkaBytes | null;
  /**
   * Gives the value of a record; null is a tombstone for compaction.
   *
   * @defaultValue the record as JSON, fields in alphabetical order
   */
  readonly value?: (record: T) => KafkaBytes | null;
  /**
   * Gives the headers of a record.
   *
   * @defaultValue none
   */
  readonly headers?: (record: T) => Readonly<Record<string, KafkaBytes>>;
  /**
   * Gives the partition of the topic.
   *
   * @defaultValue the hash of the key, as Kafka's own producers compute it
   */
  readonly partition?: (record: T) => number;
  /**
   * Certificates; or `'off'` for plain connections to other machines. To this machine connections are plain unless certificates are given.
   *
   * @defaultValue certificate and name of the brokers are verified against the authorities that Node trusts
   */
  readonly tls?: KafkaTls | 'off';
  /**
   * User and password. The mechanism `plain` needs TLS, except to this machine.
   *
   * @defaultValue none
   */
  readonly sasl?: KafkaSasl;
  /**
   * The topic of the markers, made if it is missing. Outputs and programs may share it; it has one partition and the cleanup policy `compact`.
   *
   * @defaultValue `'millrace-markers'`
   */
  readonly markerTopic?: string;
  /**
   * After how long the cluster aborts a transaction that is not ended; longer than the write of one partition of a batch takes. Until then a transaction of a driver that died holds back readers of committed records,
   * unless the next driver starts before. At most the broker's `transaction.max.timeout.ms`.
   *
   * @defaultValue 60 s
   */
  readonly transactionTimeout?: Duration;
  /**
   * How long a claim or a commit is repeated, with pauses that grow, while the cluster cannot be reached or fails for a reason that passes. Afterwards it fails, and the attempts of the task begin.
   *
   * @defaultValue 60 s
   */
  readonly reconnectTimeout?: Duration;
}

/** The options, resolved. */
export interface ResolvedKafka<T> {
  readonly connection: KafkaConnection;
  readonly topic: string;
  readonly markerTopic: string;
  readonly encoder: RowEncoder<T>;
  readonly transactionTimeoutMs: number;
  readonly reconnectTimeoutMs: number;
}

const OWNER = 'kafkaSink';
const FUNCTIONS = ['key', 'value', 'headers', 'partition'] as const;
const KNOWN = ['topic', 'brokers', ...FUNCTIONS, 'tls', 'sasl', 'markerTopic', 'transactionTimeout', 'reconnectTimeout'];
const TIMEOUT_MS_MAX = 2 ** 31 - 1;
const TOPIC = /^[A-Za-z0-9._-]{1,249}$/;

function checkTopic(name: string, found: unknown): string {
  if (typeof found !== 'string' || !TOPIC.test(found) || found === '.' || found === '..')
    throw optionError(OWNER, name, { expected: 'a name of at most 249 letters, digits, dots, underscores and hyphens', found });
  return found;
}

/**
 * Checks the options.
 *
 * @throws {UsageError} If one is missing, unknown or of the wrong kind.
 */
export function resolveKafkaOptions<T>(options: KafkaSinkOptions<T>): ResolvedKafka<T> {
  refuseUnknownOptions(OWNER, options, KNOWN);
  for (const name of FUNCTIONS) {
    const found: unknown = options[name];
    if (found !== undefined && typeof found !== 'function') throw optionError(OWNER, name, { expected: 'a function of a record', found });
  }
  const timeout = (name: string, value: number | undefined): number => wholeOption(OWNER, name, { value, fallback: 60_000, min: 1, max: TIMEOUT_MS_MAX });
  const topic = checkTopic('topic', options.topic);
  const markerTopic = checkTopic('markerTopic', options.markerTopic ?? 'millrace-markers');
  if (markerTopic === topic) throw optionError(OWNER, 'markerTopic', { expected: 'another topic than that of the records', found: markerTopic });
  const { brokers, tls, sasl, key, value, headers, partition } = options;
  return {
    connection: resolveConnection({ brokers, tls, sasl }),
    topic,
    markerTopic,
    encoder: { key, value, headers, partition },
    transactionTimeoutMs: timeout('transactionTimeout', options.transactionTimeout),
    reconnectTimeoutMs: timeout('reconnectTimeout', options.reconnectTimeout),
  };
}
