// Goal: whatever the network, the broker or another client does to a commit, its records are there once, or not at all with an error that says why. Method: the sink in this process against a real broker, a proxy that
// breaks connections, Kafka's own client as the reader.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { Kafka, logLevel } from 'kafkajs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { milliseconds, seconds } from '../../../../src/core/time.ts';
import { kafkaSink, type KafkaSink, type KafkaSinkOptions } from '../../../../src/sinks/kafka-sink.ts';
import { KafkaProxy, REQUESTS, type ClientRequest, type Fate } from '../../../support/kafka-proxy.ts';
import { hasKafka, KafkaBroker, Topics } from '../../../support/kafka.ts';
import { until } from '../../../support/processes.ts';
import { commitAll, session } from './sink-calls.ts';

describe.skipIf(!hasKafka())('a commit into Kafka', () => {
  let broker: KafkaBroker;
  let topics: Topics;
  let proxy: KafkaProxy;
  let sinks: KafkaSink<number>[];
  let topic = '';
  let count = 0;
  /** A sink into the topic, over the proxy. */
  const open = async (epoch: number, options: Partial<KafkaSinkOptions<number>> = {}): Promise<KafkaSink<number>> => {
    const sink = kafkaSink<number>({ brokers: [`127.0.0.1:${broker.proxyPort}`], topic, ...options });
    sinks.push(sink);
    await sink.open(session(epoch, topic));
    return sink;
  };
  const values = (): readonly number[] => broker.read(topic).map(({ value }) => Number(value));
  /** Lets the n-th request that is so meet its fate. */
  const at = (n: number, isIt: (request: ClientRequest) => boolean, fate: Fate): void => {
    let seen = 0;
    proxy.judge = (request) => (isIt(request) && ++seen === n ? fate : 'pass');
  };
  const isEndTxn = ({ apiKey }: ClientRequest): boolean => apiKey === REQUESTS.endTxn;

  beforeAll(async () => {
    broker = await KafkaBroker.start();
    topics = new Topics(broker);
  });
  afterAll(async () => {
    await topics.close();
    await broker.close();
  });
  beforeEach(async () => {
    topic = `rows-${++count}`;
    await topics.create(topic);
    proxy = await KafkaProxy.start(broker);
    sinks = [];
  });
  afterEach(async () => {
    for (const sink of sinks) await sink.close();
    await proxy.close();
  });

  it.each<[string, Fate, string]>([
    ['EndTxn is lost', 'cut', 'committed'],
    ['the answer to EndTxn is lost', 'cut-answered', 'duplicate'],
  ])('is there once when %s', async (_name, fate, answer) => {
    const sink = await open(1);
    await commitAll(sink, topic, [[1, 2]]);
    at(1, isEndTxn, fate);
    expect(await commitAll(sink, topic, [[3, 4], [5]], 2)).toEqual([answer, 'committed']);
    expect(values()).toEqual([1, 2, 3, 4, 5]);
  });

  it('is there once when the broker gets EndTxn long after it was given up', async () => {
    const sink = await open(1);
    await commitAll(sink, topic, [[1]]);
    at(1, isEndTxn, 'hold');
    const held = proxy.held();
    const committing = commitAll(sink, topic, [[2], [3]], 2);
    await held;
    // kafkajs gives the request up after 10 s; then the transaction is aborted, and done again.
    await sleep(10_500);
    proxy.release();
    expect(await committing).toEqual(['committed', 'committed']);
    expect(values()).toEqual([1, 2, 3]);
  });

  it('is repeated, and never committed, when a producer of the same id has taken over meanwhile', async () => {
    const sink = await open(1);
    await commitAll(sink, topic, [[1]]);
    const producer = new Kafka({ brokers: [broker.address], logLevel: logLevel.NOTHING }).producer({ transactionalId: `millrace/app/${topic}/0` });
    await producer.connect();
    await (await producer.transaction()).abort();
    expect(await commitAll(sink, topic, [[2]], 2)).toEqual(['committed']);
    await producer.disconnect();
    expect(values()).toEqual([1, 2]);
  });

  it('is done again when the cluster has aborted it, after the transaction timeout', async () => {
    const sink = await open(1, { transactionTimeout: seconds(1) });
    await commitAll(sink, topic, [[1]]);
    at(1, isEndTxn, 'hold');
    const held = proxy.held();
    const committing = commitAll(sink, topic, [[2]], 2);
    await held;
    // The cluster looks for such transactions twice a second; then it takes the request for one of an older producer.
    await sleep(2500);
    proxy.release();
    expect(await committing).toEqual(['committed']);
    expect(values()).toEqual([1, 2]);
  });

  it('is refused with what the broker says when a record is too large, and leaves nothing', async () => {
    const sink = await open(1, { value: (row) => 'x'.repeat(row) });
    await expect(commitAll(sink, topic, [[3, 2_000_000]])).rejects.toMatchObject({
      code: 'STREAM_SINK',
      exitCode: 1,
      message: expect.stringMatching(/^Cannot commit partition 0 of batch 100 to ".*", topic ".*", as Kafka must take it: .*larger than the max/) as string,
    });
    expect(await commitAll(sink, topic, [[3]])).toEqual(['committed']);
    expect(broker.read(topic).map(({ value }) => value)).toEqual(['xxx']);
  });

  it('is refused when the transaction timeout is above the cap of the broker', async () => {
    await expect(open(1, { transactionTimeout: seconds(3600) })).rejects.toMatchObject({
      code: 'STREAM_SINK',
      message: expect.stringContaining('transaction timeout is larger than the maximum value') as string,
    });
  });

  it('goes on with the partitions that a topic has got', async () => {
    const sink = await open(1, { key: (row) => String(row) });
    await commitAll(sink, topic, [[1, 2, 3]]);
    await topics.grow(topic, 4);
    await sink.close();
    const next = await open(2, { key: (row) => String(row) });
    await commitAll(next, topic, [Array.from({ length: 20 }, (_unused, index) => index)], 2);
    const read = broker.read(topic);
    expect(read.length).toBe(23);
    expect(new Set(read.map(({ partition }) => partition)).size).toBe(4);
  });

  it('gives up, with an error that names the topic, when the topic is deleted under it', async () => {
    const sink = await open(1, { reconnectTimeout: milliseconds(500) });
    await commitAll(sink, topic, [[1]]);
    await topics.remove(topic);
    // The broker answers before it has removed it: until then a commit is taken.
    await until(async () => !(await topics.list()).includes(topic), 'the end of the topic');
    await expect(commitAll(sink, topic, [[2]], 2)).rejects.toMatchObject({
      code: 'STREAM_SINK',
      exitCode: 1,
      message: expect.stringContaining(`topic "${topic}"`) as string,
    });
  });

  it('finds its markers behind compaction', async () => {
    const markerTopic = `${topic}-compacted`;
    const config = {
      'cleanup.policy': 'compact',
      'segment.ms': '100',
      'min.cleanable.dirty.ratio': '0.01',
      'max.compaction.lag.ms': '300',
      'delete.retention.ms': '100',
    };
    await topics.create(markerTopic, { config });
    const sink = await open(1, { markerTopic });
    for (let batch = 1; batch <= 20; batch++) {
      await commitAll(sink, topic, [[batch]], batch);
      await sleep(30);
    }
    const client = new Kafka({ brokers: [broker.address], logLevel: logLevel.NOTHING });
    // Most of the 40 records and as many control records are gone when the log has been compacted.
    await until(async () => (await countRaw(client, markerTopic)) < 30, 'compaction');
    await sink.close();
    const next = kafkaSink<number>({ brokers: [broker.address], topic, markerTopic });
    sinks.push(next);
    expect((await next.open(session(2, topic))).rows.get(0)).toMatchObject({ batchTime: 2000, planId: 'plan-2000' });
    expect(await commitAll(next, topic, [[20], [21]], 20)).toEqual(['duplicate', 'committed']);
    expect(values()).toEqual(Array.from({ length: 21 }, (_unused, index) => index + 1));
  });

  it('leaves no broker behind when its test is killed', async () => {
    const module = JSON.stringify(pathToFileURL(join(import.meta.dirname, '../../../support/kafka-broker.mjs')).href);
    const script = `const { KafkaBroker } = await import(${module}); const broker = await KafkaBroker.start(); console.log(broker.pid, broker.guardianPid);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    const pids = line.toString().trim().split(' ').map(Number);
    const isThere = (pid: number): boolean => {
      try {
        return process.kill(pid, 0);
      } catch {
        return false;
      }
    };
    expect(pids.map(isThere)).toEqual([true, true]);
    child.kill('SIGKILL');
    await until(() => !pids.some(isThere), 'the end of the broker');
  });
});

/** How many records, control records among them, a log holds. */
async function countRaw(client: Kafka, topic: string): Promise<number> {
  const captured: { cluster?: RawCluster } = {};
  const consumer = client.consumer({
    groupId: 'raw',
    partitionAssigners: [
      ({ cluster }) => {
        captured.cluster = cluster as unknown as RawCluster;
        return { name: 'none', version: 0, protocol: () => ({ name: 'none', metadata: Buffer.alloc(0) }), assign: () => Promise.resolve([]) };
      },
    ],
  });
  await consumer.connect();
  try {
    const { cluster } = captured;
    await cluster?.addTargetTopic(topic);
    const broker = await cluster?.findBroker({ nodeId: '1' });
    const fetched = await broker?.fetch({
      replicaId: -1,
      isolationLevel: 0,
      maxWaitTime: 1,
      topics: [{ topic, partitions: [{ partition: 0, fetchOffset: '0', maxBytes: 1 << 24 }] }],
    });
    return fetched?.responses[0]?.partitions[0]?.messages.length ?? 0;
  } finally {
    await consumer.disconnect();
  }
}

interface RawCluster {
  addTargetTopic(topic: string): Promise<void>;
  findBroker(node: { readonly nodeId: string }): Promise<{
    fetch(request: object): Promise<{ readonly responses: readonly { readonly partitions: readonly { readonly messages: readonly unknown[] }[] }[] }>;
  }>;
}
