/** A record as Kafka's own client gives it; a missing key is the text "null". */
export interface ReadRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly key: string;
  readonly value: string;
}

/** A client that stays connected. Readings must not overlap. */
export interface CommittedReader {
  read(...topics: readonly string[]): Promise<readonly ReadRecord[]>;
  close(): Promise<void>;
}

/** One temporary Kafka broker on loopback, that ends with the process that started it. */
export class KafkaBroker {
  private constructor();
  readonly root: string;
  readonly port: number;
  /** A second listener, whose clients are told to go to `proxyPort`. */
  readonly behindProxyPort: number;
  readonly proxyPort: number;
  /** The broker's process. */
  readonly pid: number;
  readonly guardianPid: number;
  readonly address: string;
  static start(): Promise<KafkaBroker>;
  restart(): Promise<void>;
  kill(): Promise<void>;
  /** The committed records of topics, read by Kafka's own client. */
  read(...topics: readonly string[]): readonly ReadRecord[];
  /** Kafka's own client, for many readings one after another. */
  openReader(): CommittedReader;
  close(): Promise<void>;
}
