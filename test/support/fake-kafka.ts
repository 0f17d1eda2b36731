// A cluster of Kafka in memory, with what the sink rests on: transactional ids whose takeover fences and aborts, transactions over several partitions, control records, commits that are decided before they are in the log,
// sends that resolve and write nothing. Each call is a step of a simulated process, and so is each answer.
import type { Cluster, LogRecord, Message, Owner, SendAnswer, Transaction } from '../../src/sinks/kafka/client.ts';
import { SimProcess } from '../../src/testing/index.ts';

const COMMIT = Buffer.from([0, 0, 0, 1]);
const ABORT = Buffer.from([0, 0, 0, 0]);

interface Open {
  readonly touched: Set<FakeLog>;
  /** Whether it is decided: then the next takeover finishes it. */
  decided?: 'commit';
}

interface Id {
  readonly producerId: string;
  epoch: number;
  open: Open | undefined;
}

/** The log of a partition. */
export class FakeLog {
  readonly records: LogRecord[] = [];

  append(record: Omit<LogRecord, 'offset'>): void {
    this.records.push({ ...record, offset: this.records.length });
  }

  /** The values of the committed records, as a reader with isolation.level=read_committed gets them. */
  committed(): readonly string[] {
    return this.records.flatMap(({ isControl, offset, producerId, value }) => {
      const end = this.records.find((later) => later.isControl && later.offset > offset && later.producerId === producerId);
      return !isControl && end?.key?.at(-1) === 1 ? [String(value)] : [];
    });
  }
}

function protocolError(code: number, type: string): Error {
  return Object.assign(new Error(type), { code, type });
}

/** What outlives the drivers. */
export class FakeKafka {
  readonly topics = new Map<string, { readonly logs: readonly FakeLog[]; readonly policy: string }>();
  readonly ids = new Map<string, Id>();
  /** Every takeover, in order. */
  readonly takeovers: string[] = [];
  /** Every record batch that was written: target and number of records. */
  readonly sends: { readonly topic: string; readonly partition: number; readonly count: number }[] = [];
  /** How many readers and owners are connected. */
  connected = 0;
  /** Whether a commit reaches the log only when its id is taken over or used again. */
  isLazy = false;
  /** Where a topic seems to end until something is written to it: a broker that has just become its leader. */
  readonly seeming: Map<string, number> = new Map();
  /** Changes the answer to a send. */
  answer: (answer: SendAnswer) => readonly SendAnswer[] = (answer) => [answer];
  /** Called before a call of a driver happens; may throw. */
  before: (name: string) => void = () => undefined;
  /** Called when a call has happened; may throw: then the answer is lost. */
  after: (name: string) => void = () => undefined;

  createTopic(name: string, partitions = 1, policy = 'delete'): void {
    this.topics.set(name, { logs: Array.from({ length: partitions }, () => new FakeLog()), policy });
  }

  log(topic: string, partition = 0): FakeLog {
    const log = this.topics.get(topic)?.logs[partition];
    if (log === undefined) throw protocolError(3, 'UNKNOWN_TOPIC_OR_PARTITION');
    return log;
  }

  /** The committed values of all partitions of a topic. */
  committed(topic: string): readonly string[] {
    return (this.topics.get(topic)?.logs ?? []).flatMap((log) => log.committed());
  }

  /** Ends what an id has open, as its takeover does. */
  finish(id: Id): void {
    const { open, producerId } = id;
    const key = open?.decided === 'commit' ? COMMIT : ABORT;
    for (const log of open?.touched ?? []) log.append({ producerId, isControl: true, isTransactional: true, key, value: null });
    id.open = undefined;
  }

  /** The cluster as a driver sees it. */
  connect(process: SimProcess = new SimProcess()): Cluster {
    const step = async <R>(name: string, work: () => R): Promise<R> => {
      const result = await process.run(name, () => {
        this.before(name);
        return work();
      });
      return process.run(`${name} answered`, () => {
        this.after(name);
        return result;
      });
    };
    return {
      partitionCount: (topic) => step('metadata', () => this.topics.get(topic)?.logs.length),
      createCompacted: (topic) =>
        step('create', () => {
          if (!this.topics.has(topic)) this.createTopic(topic, 1, 'compact');
        }),
      cleanupPolicy: (topic) => step('config', () => this.topics.get(topic)?.policy),
      own: (transactionalId) => step('init', () => this.#own(transactionalId, step)),
      read: (topic) => {
        this.connected += 1;
        return Promise.resolve({
          begin: () => Promise.resolve(0),
          fetch: (from) =>
            step('fetch', () => {
              const records = this.log(topic).records.slice(0, this.seeming.get(topic));
              // Two at a time, so that there is more than one piece.
              const found = records.slice(from, from + 2);
              return { records: found, next: from + found.length, end: records.length };
            }),
          close: () => this.#disconnect(),
        });
      },
      close: () => Promise.resolve(),
    };
  }

  #disconnect(): Promise<void> {
    this.connected -= 1;
    return Promise.resolve();
  }

  #own(transactionalId: string, step: <R>(name: string, work: () => R) => Promise<R>): Owner {
    const id = this.ids.get(transactionalId) ?? { producerId: String(1000 + this.ids.size), epoch: 0, open: undefined };
    this.ids.set(transactionalId, id);
    this.takeovers.push(transactionalId);
    this.finish(id);
    id.epoch += 1;
    const { epoch } = id;
    const requireEpoch = (): void => {
      if (id.epoch !== epoch) throw protocolError(47, 'INVALID_PRODUCER_EPOCH');
    };
    const begin = (): Transaction => {
      // A lazy commit reaches the log at the latest now.
      if (id.epoch === epoch) this.finish(id);
      const open: Open = { touched: new Set() };
      return {
        send: ({ topic, partition }, messages) =>
          step(`send ${topic}`, () => {
            requireEpoch();
            id.open = open;
            return this.#write({ topic, partition }, messages, { open, producerId: id.producerId });
          }),
        commit: () =>
          step('commit', () => {
            // Nothing was sent: it ends in the client.
            if (open.touched.size === 0) return;
            requireEpoch();
            open.decided = 'commit';
            if (!this.isLazy) this.finish(id);
          }),
      };
    };
    this.connected += 1;
    return { begin: () => Promise.resolve(begin()), close: () => this.#disconnect() };
  }

  #write(
    { topic, partition }: { readonly topic: string; readonly partition: number },
    messages: readonly Message[],
    { open, producerId }: { readonly open: Open; readonly producerId: string },
  ): readonly SendAnswer[] {
    const log = this.topics.get(topic)?.logs[partition];
    // As kafkajs does: the records are gone, and it resolves.
    if (log === undefined) return [];
    open.touched.add(log);
    this.seeming.delete(topic);
    const baseOffset = String(log.records.length);
    for (const { key, value } of messages) {
      log.append({ producerId, isControl: false, isTransactional: true, key, value: value === null ? null : Buffer.from(value as string) });
    }
    this.sends.push({ topic, partition, count: messages.length });
    return this.answer({ topicName: topic, partition, errorCode: 0, baseOffset });
  }
}
