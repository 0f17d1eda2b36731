// A real Kafka broker for tests: made and fetched by kafka-broker.mjs. Topics are made and records are looked at by clients of the test.
import { Kafka, logLevel } from 'kafkajs';
import { findKafka } from './kafka-jars.mjs';
import type { KafkaBroker } from './kafka-broker.mjs';

export { KafkaBroker } from './kafka-broker.mjs';

/** Tells loudly, once per file, that tests are not run for want of a broker. */
export function hasKafka(): boolean {
  const found = findKafka();
  if ('missing' in found) console.warn(found.missing);
  return !('missing' in found);
}

/** Settings of a topic that is not made with the broker's. */
export interface TopicSettings {
  readonly partitions?: number;
  readonly config?: Readonly<Record<string, string>>;
}

/** Makes topics, takes them away, adds partitions. */
export class Topics {
  readonly #admin;

  constructor({ address }: Pick<KafkaBroker, 'address'>) {
    this.#admin = new Kafka({ brokers: [address], logLevel: logLevel.NOTHING, retry: { initialRetryTime: 50 } }).admin();
  }

  async create(topic: string, { partitions = 1, config = {} }: TopicSettings = {}): Promise<void> {
    const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }));
    await this.#admin.connect();
    await this.#admin.createTopics({ topics: [{ topic, numPartitions: partitions, configEntries }], waitForLeaders: true });
  }

  async remove(topic: string): Promise<void> {
    await this.#admin.connect();
    await this.#admin.deleteTopics({ topics: [topic] });
  }

  async grow(topic: string, count: number): Promise<void> {
    await this.#admin.connect();
    await this.#admin.createPartitions({ topicPartitions: [{ topic, count }] });
  }

  /** All topics. */
  async list(): Promise<readonly string[]> {
    await this.#admin.connect();
    return this.#admin.listTopics();
  }

  async close(): Promise<void> {
    await this.#admin.disconnect();
  }
}
