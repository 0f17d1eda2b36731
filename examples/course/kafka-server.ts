// A Kafka broker of its own for a program of the course: from the jars of Maven Central, on loopback, gone with the command.
import { Kafka, logLevel } from 'kafkajs';

/** A broker that runs. */
export interface KafkaServer {
  /** What programs need to reach it. */
  readonly environment: Readonly<Record<string, string>>;
  /** The committed records of a topic, read by Kafka's own client. */
  read(topic: string): readonly { readonly key: string; readonly value: string }[];
  close(): Promise<void>;
}

interface Broker {
  readonly address: string;
  read: KafkaServer['read'];
  close(): Promise<void>;
}

/** Starts it, with the topic; or says why it cannot. */
export async function startKafka(): Promise<KafkaServer | { readonly missing: string }> {
  const support = '../../../test/support';
  const { findKafka } = (await import(`${support}/kafka-jars.mjs`)) as { readonly findKafka: () => { readonly missing: string } | { readonly jars: string } };
  const found = findKafka();
  if ('missing' in found) return found;
  const { KafkaBroker } = (await import(`${support}/kafka-broker.mjs`)) as { KafkaBroker: { start(): Promise<Broker> } };
  const broker = await KafkaBroker.start();
  const admin = new Kafka({ brokers: [broker.address], logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic: 'wordcount', numPartitions: 3 }], waitForLeaders: true });
  await admin.disconnect();
  return { environment: { BROKER: broker.address }, read: (topic) => broker.read(topic), close: () => broker.close() };
}
