// Goal: the Kafka sink keeps the rules of every sink, through a death and a failure at each request. Method: the conformance suite against a real broker; each call of a client that changes something, and each answer, is a step of a process that
// can be ended there, whose connections then break. Kafka's own client reads the topic.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createNodeEnv } from '../../../../src/env/node-env.ts';
import type { Cluster, Owner } from '../../../../src/sinks/kafka/client.ts';
import { connectByKafkaJs, type Connect } from '../../../../src/sinks/kafka/driver.ts';
import { resolveKafkaOptions } from '../../../../src/sinks/kafka/options.ts';
import { OpenableKafkaSink } from '../../../../src/sinks/kafka/sink.ts';
import { checkSinkConformance, type SimProcess } from '../../../../src/testing/index.ts';
import type { CommittedReader } from '../../../support/kafka-broker.mjs';
import { hasKafka, KafkaBroker, Topics } from '../../../support/kafka.ts';

/** Clients whose calls are steps of the process. */
function connectFrom(process: SimProcess): Connect {
  const step = async <R>(name: string, work: () => Promise<R>): Promise<R> => {
    const answer = await (await process.run(name, () => ({ answer: work() }))).answer;
    return process.run(`${name} answered`, () => answer);
  };
  const owned = (owner: Owner): Owner => {
    process.onDeath(() => void owner.close());
    return {
      async begin() {
        const transaction = await owner.begin();
        return {
          send: (target, messages) => step('send', () => transaction.send(target, messages)),
          commit: () => step('commit', () => transaction.commit()),
        };
      },
      close: () => owner.close(),
    };
  };
  return (options): Cluster => {
    const cluster = connectByKafkaJs(options);
    process.onDeath(() => void cluster.close());
    return {
      partitionCount: (topic) => cluster.partitionCount(topic),
      createCompacted: (topic) => cluster.createCompacted(topic),
      cleanupPolicy: (topic) => cluster.cleanupPolicy(topic),
      own: async (transactionalId) => owned(await step('init', () => cluster.own(transactionalId))),
      async read(topic) {
        const reader = await cluster.read(topic);
        process.onDeath(() => void reader.close());
        return { begin: () => reader.begin(), fetch: (from, bytesMax) => reader.fetch(from, bytesMax), close: () => reader.close() };
      },
      close: () => cluster.close(),
    };
  };
}

describe.skipIf(!hasKafka())('the Kafka sink', () => {
  let broker: KafkaBroker;
  let topics: Topics;
  let reader: CommittedReader;
  let places = 0;
  beforeAll(async () => {
    broker = await KafkaBroker.start();
    topics = new Topics(broker);
    reader = broker.openReader();
  });
  afterAll(async () => {
    await topics.close();
    await reader.close();
    await broker.close();
  });

  it('keeps the rules', async () => {
    const rules = await checkSinkConformance<number>({
      async createPlace() {
        const topic = `place-${++places}`;
        await topics.create(topic);
        const resolved = resolveKafkaOptions<number>({ topic, markerTopic: `${topic}-markers`, brokers: [broker.address] });
        return {
          createSink: (process) => new OpenableKafkaSink(resolved, { env: createNodeEnv(), connect: connectFrom(process) }),
          read: async () => (await reader.read(topic)).map(({ value }) => Number(value)),
          bury: (sink) => Promise.race([sink.close(), new Promise<void>((resolve) => setTimeout(resolve, 50))]),
        };
      },
      row: (number) => number,
      isShared: true,
    });
    expect(rules.length).toBeGreaterThan(14);
  });
});
