// What the sink needs of Kafka, as narrow as it can be: kafkajs stands behind it in driver.ts, and a simulated cluster in the tests.

/** A record to write. Bytes are Buffers: kafkajs takes other arrays for text. */
export interface Message {
  readonly key: Buffer | null;
  readonly value: string | Buffer | null;
  readonly headers?: Readonly<Record<string, string | Buffer>>;
}

/** A partition of a topic. */
export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

/** What a broker said about one partition of a send. */
export interface SendAnswer {
  readonly topicName: string;
  readonly partition: number;
  readonly errorCode: number;
  /** The offset of the first record. */
  readonly baseOffset: string;
}

/** A transaction that is open. */
export interface Transaction {
  /** Writes to one partition, and gives what the cluster answered, unchecked. */
  send(target: TopicPartition, messages: readonly Message[]): Promise<readonly SendAnswer[]>;
  /** Asks to commit. That it resolves proves nothing unless every send was checked; that it rejects proves nothing at all. */
  commit(): Promise<void>;
}

/** One incarnation of a transactional id. Making it has fenced the one before, aborted what that had open and waited for what it had decided. */
export interface Owner {
  begin(): Promise<Transaction>;
  /** Ends the connections. Never rejects; a transaction that is open stays so until it is aborted by the next owner or the timeout. */
  close(): Promise<void>;
}

/** A record of a partition's log as it stands, committed or not. */
export interface LogRecord {
  readonly offset: number;
  readonly producerId: string;
  /** Whether the cluster wrote it to end a transaction. */
  readonly isControl: boolean;
  /** Whether it belongs to a transaction. */
  readonly isTransactional: boolean;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
}

/** What one fetch brought. */
export interface LogPiece {
  readonly records: readonly LogRecord[];
  /** Where the next fetch begins; the same as before if nothing was brought. */
  readonly next: number;
  /** Behind the last record that the cluster will not lose. */
  readonly end: number;
}

/** Reads the log of partition 0 of a topic, without a consumer group and with what is not committed. */
export interface LogReader {
  /** The first offset that is left. */
  begin(): Promise<number>;
  fetch(from: number, bytesMax: number): Promise<LogPiece>;
  /** Never rejects. */
  close(): Promise<void>;
}

/** A cluster, as one driver sees it. */
export interface Cluster {
  /** How many partitions a topic has; undefined if there is no such topic. */
  partitionCount(topic: string): Promise<number | undefined>;
  /** Makes a topic with one partition; resolves also if it is there. */
  createCompacted(topic: string): Promise<void>;
  /** The value of `cleanup.policy` of a topic. */
  cleanupPolicy(topic: string): Promise<string | undefined>;
  /** Takes a transactional id over. */
  own(transactionalId: string): Promise<Owner>;
  read(topic: string): Promise<LogReader>;
  /** Never rejects. */
  close(): Promise<void>;
}
