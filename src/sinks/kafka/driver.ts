// The one file that knows the package kafkajs. Its clients are thrown away after any error: one whose commit or abort failed never works again.
import { optionalPackage } from '../../env/optional-package.ts';
import type { Cluster, LogPiece, LogReader, LogRecord, Owner, SendAnswer, Transaction } from './client.ts';
import { tlsOf, type KafkaConnection } from './connection.ts';
import { brokerCode } from './judge-trouble.ts';

/** How a cluster is reached. */
export interface ClusterOptions {
  readonly connection: KafkaConnection;
  readonly transactionTimeoutMs: number;
}

/** Makes clients of a cluster; connects nothing yet. */
export type Connect = (options: ClusterOptions) => Cluster;

interface RawTransaction {
  send(record: object): Promise<readonly SendAnswer[]>;
  commit(): Promise<void>;
  abort(): Promise<void>;
}

interface RawProducer {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  transaction(): Promise<RawTransaction>;
}

interface RawRecord {
  readonly offset: string;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly isControlRecord: boolean;
  readonly batchContext: { readonly producerId: string; readonly inTransaction: boolean; readonly firstOffset: string; readonly lastOffsetDelta: number };
}

interface RawFetch {
  readonly responses: readonly { readonly partitions: readonly { readonly highWatermark: string; readonly messages: readonly RawRecord[] }[] }[];
}

interface RawCluster {
  addTargetTopic(topic: string): Promise<void>;
  findLeaderForPartitions(topic: string, partitions: readonly number[]): Readonly<Record<string, readonly number[]>>;
  findBroker(node: { readonly nodeId: string }): Promise<{ fetch(request: object): Promise<RawFetch> }>;
  fetchTopicsOffset(topics: readonly object[]): Promise<readonly { readonly partitions: readonly { readonly offset: string }[] }[]>;
}

interface RawConsumer {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
}

interface RawAdmin {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  createTopics(request: object): Promise<boolean>;
  fetchTopicMetadata(request: { readonly topics: readonly string[] }): Promise<{ readonly topics: readonly { readonly partitions: readonly unknown[] }[] }>;
  describeConfigs(request: object): Promise<{
    readonly resources: readonly { readonly configEntries: readonly { readonly configName: string; readonly configValue: string }[] }[];
  }>;
}

interface RawClient {
  producer(config: object): RawProducer;
  consumer(config: object): RawConsumer;
  admin(): RawAdmin;
}

interface KafkaJs {
  readonly Kafka: new (config: object) => RawClient;
}

const CONNECT_MS_MAX = 10_000;
/** Well below the broker's own patience, so that a broker that stands still is given up in time. */
const REQUEST_MS_MAX = 10_000;
/** The pauses decide the speed: right after a commit a broker answers CONCURRENT_TRANSACTIONS for some milliseconds. */
const RETRY = { initialRetryTime: 30, maxRetryTime: 1000, retries: 8 };
const UNKNOWN_TOPIC = 3;
const TOPIC_RESOURCE = 2;
const READ_UNCOMMITTED = 0;
const SEGMENT_BYTES = 8 << 20;

/** What kafkajs is told; it logs nothing, since each error reaches the caller. */
export function clientConfig(connection: KafkaConnection): object {
  const { brokers, sasl } = connection;
  const ssl = tlsOf(connection);
  return {
    clientId: 'millrace',
    brokers: [...brokers],
    connectionTimeout: CONNECT_MS_MAX,
    requestTimeout: REQUEST_MS_MAX,
    logLevel: 0,
    retry: RETRY,
    ...(ssl === undefined ? {} : { ssl }),
    ...(sasl === undefined ? {} : { sasl: { ...sasl } }),
  };
}

/**
 * Loads the package.
 *
 * @throws {UsageError} If it is not installed.
 */
export function requireKafkaJs(): KafkaJs {
  return optionalPackage<KafkaJs>('kafkajs', 'kafkaSink');
}

async function disconnect(client: { disconnect(): Promise<void> }): Promise<void> {
  try {
    await client.disconnect();
  } catch {
    // It was given up because it is broken.
    return;
  }
}

function toTransaction(transaction: RawTransaction): Transaction {
  return {
    send: ({ topic, partition }, messages) => {
      const raw = messages.map(({ key, value, headers }) => (headers === undefined ? { key, value, partition } : { key, value, headers, partition }));
      return transaction.send({ topic, timeout: REQUEST_MS_MAX, messages: raw });
    },
    commit: () => transaction.commit(),
  };
}

async function ownBy(producer: RawProducer): Promise<Owner> {
  try {
    await producer.connect();
    // The producer id is taken at the first transaction. One in which nothing was sent ends in this process.
    await (await producer.transaction()).abort();
  } catch (error) {
    void disconnect(producer);
    throw error;
  }
  return { begin: async () => toTransaction(await producer.transaction()), close: () => disconnect(producer) };
}

function toRecord({ offset, key, value, isControlRecord, batchContext }: RawRecord): LogRecord {
  const { producerId, inTransaction } = batchContext;
  return { offset: Number(offset), key, value, producerId, isControl: isControlRecord, isTransactional: inTransaction };
}

function toPiece(fetched: RawFetch, from: number): LogPiece {
  const partition = fetched.responses[0]?.partitions[0];
  const messages = partition?.messages ?? [];
  const last = messages.at(-1)?.batchContext;
  return {
    records: messages.map(toRecord),
    // A batch may end with offsets that compaction has emptied.
    next: last === undefined ? from : Number(last.firstOffset) + last.lastOffsetDelta + 1,
    end: Number(partition?.highWatermark ?? from),
  };
}

async function readBy(client: RawClient, topic: string): Promise<LogReader> {
  const captured: { cluster?: RawCluster } = {};
  // An assigner is handed the cluster that the consumer works with; nothing joins a group before run() is called.
  const assigner = ({ cluster }: { readonly cluster: RawCluster }): object => {
    captured.cluster = cluster;
    return { name: 'none', version: 0, protocol: () => ({ name: 'none', metadata: Buffer.alloc(0) }), assign: () => Promise.resolve([]) };
  };
  const consumer = client.consumer({ groupId: 'millrace-markers', partitionAssigners: [assigner], allowAutoTopicCreation: false });
  const { cluster } = captured;
  if (cluster === undefined) throw new Error('kafkajs must hand its cluster to an assigner: it did not. Is it a version other than 2.2?');
  try {
    await consumer.connect();
    await cluster.addTargetTopic(topic);
  } catch (error) {
    void disconnect(consumer);
    throw error;
  }
  return {
    async begin() {
      const [found] = await cluster.fetchTopicsOffset([{ topic, partitions: [{ partition: 0 }], fromBeginning: true }]);
      return Number(found?.partitions[0]?.offset);
    },
    async fetch(from, bytesMax) {
      const [nodeId = ''] = Object.keys(cluster.findLeaderForPartitions(topic, [0]));
      const broker = await cluster.findBroker({ nodeId });
      const partitions = [{ partition: 0, fetchOffset: String(from), maxBytes: bytesMax }];
      const request = { replicaId: -1, isolationLevel: READ_UNCOMMITTED, maxWaitTime: 1, minBytes: 1, maxBytes: bytesMax, topics: [{ topic, partitions }] };
      return toPiece(await broker.fetch(request), from);
    },
    close: () => disconnect(consumer),
  };
}

class KafkaJsCluster implements Cluster {
  readonly #client: RawClient;
  readonly #transactionTimeoutMs: number;
  #admin: Promise<RawAdmin> | undefined;

  constructor(client: RawClient, transactionTimeoutMs: number) {
    this.#client = client;
    this.#transactionTimeoutMs = transactionTimeoutMs;
  }

  async partitionCount(topic: string): Promise<number | undefined> {
    const admin = await this.#administer();
    try {
      const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
      return topics[0]?.partitions.length;
    } catch (error) {
      if (brokerCode(error) === UNKNOWN_TOPIC) return undefined;
      throw error;
    }
  }

  async createCompacted(topic: string): Promise<void> {
    const admin = await this.#administer();
    const configEntries = [
      { name: 'cleanup.policy', value: 'compact' },
      // What is behind the last full segment is never compacted, and read at each start.
      { name: 'segment.bytes', value: String(SEGMENT_BYTES) },
    ];
    // -1: as many replicas as the cluster gives a topic.
    await admin.createTopics({ waitForLeaders: true, topics: [{ topic, numPartitions: 1, replicationFactor: -1, configEntries }] });
  }

  async cleanupPolicy(topic: string): Promise<string | undefined> {
    const admin = await this.#administer();
    const configNames = ['cleanup.policy'];
    const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: [{ type: TOPIC_RESOURCE, name: topic, configNames }] });
    return resources[0]?.configEntries.find(({ configName }) => configName === 'cleanup.policy')?.configValue;
  }

  own(transactionalId: string): Promise<Owner> {
    const producer = this.#client.producer({
      transactionalId,
      transactionTimeout: this.#transactionTimeoutMs,
      maxInFlightRequests: 1,
      allowAutoTopicCreation: false,
      idempotent: false,
      retry: RETRY,
      // Every message names its partition.
      createPartitioner:
        () =>
        ({ message }: { readonly message: { readonly partition: number } }) =>
          message.partition,
    });
    return ownBy(producer);
  }

  read(topic: string): Promise<LogReader> {
    return readBy(this.#client, topic);
  }

  async close(): Promise<void> {
    const admin = await this.#admin?.catch(() => undefined);
    this.#admin = undefined;
    if (admin !== undefined) await disconnect(admin);
  }

  #administer(): Promise<RawAdmin> {
    const connecting = this.#admin ?? this.#connect();
    this.#admin = connecting;
    return connecting;
  }

  async #connect(): Promise<RawAdmin> {
    const admin = this.#client.admin();
    try {
      await admin.connect();
    } catch (error) {
      void disconnect(admin);
      throw error;
    }
    return admin;
  }
}

/** Connects by the package kafkajs. */
export const connectByKafkaJs: Connect = ({ connection, transactionTimeoutMs }) => {
  const { Kafka } = requireKafkaJs();
  return new KafkaJsCluster(new Kafka(clientConfig(connection)), transactionTimeoutMs);
};
