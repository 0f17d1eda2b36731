// Records into Kafka, exactly once; imported as millrace/kafka. What it consists of is in kafka/.
import { createNodeEnv } from '../env/node-env.ts';
import { connectByKafkaJs, requireKafkaJs } from './kafka/driver.ts';
import { resolveKafkaOptions, type KafkaSinkOptions } from './kafka/options.ts';
import { OpenableKafkaSink, type KafkaSink } from './kafka/sink.ts';

export type { KafkaSasl, KafkaTls } from './kafka/connection.ts';
export type { KafkaBytes } from './kafka/encode-rows.ts';
export type { KafkaSinkOptions } from './kafka/options.ts';
export type { KafkaSink } from './kafka/sink.ts';

/**
 * Makes a sink that writes into a topic of Kafka, exactly once for readers of committed records: the records of a partition and a marker of the commit are one transaction. Needs the package kafkajs:
 * `npm install kafkajs`. docs/kafka-sink.md says what readers see and when, and what they must set.
 *
 * @throws {UsageError} If an option is missing, unknown or of the wrong kind, or the package is not installed.
 * @example
 * ```ts
 * import { seconds, StreamingContext } from 'millrace';
 * import { kafkaSink } from 'millrace/kafka';
 *
 * const context = new StreamingContext({ appName: 'word-count', batchInterval: seconds(1) });
 * context
 *   .socketTextStream('localhost', 9999)
 *   .map((word) => [word, 1])
 *   .updateStateByKey<number>((values, sum = 0) => sum + values.length, { uid: 'counts' })
 *   .saveTo(kafkaSink({ topic: 'wordcount', brokers: ['localhost:9092'], key: ([word]) => word, value: ([, count]) => String(count) }), { uid: 'totals' });
 * ```
 */
export function kafkaSink<T>(options: KafkaSinkOptions<T>): KafkaSink<T> {
  const resolved = resolveKafkaOptions(options);
  requireKafkaJs();
  return new OpenableKafkaSink(resolved, { env: createNodeEnv(), connect: connectByKafkaJs });
}
