// Goal: the Kafka sink as a whole keeps the rules of every sink, and those that Kafka adds. Method: the conformance suite over a cluster in memory (test/support/fake-kafka.ts), whose calls and answers are steps; then one
// test for each rule. The clock moves by itself. The same suite runs on a real broker in test/chaos/process/kafka.
import { describe, expect, it } from 'vitest';
import type { Clock } from '../../../src/env/env.ts';
import { toBatchTime } from '../../../src/core/time.ts';
import type { CommitKey, CommitRecord, LedgerRow, PreparedRows, SinkSession } from '../../../src/index.ts';
import type { SendAnswer } from '../../../src/sinks/kafka/client.ts';
import { resolveKafkaOptions, type KafkaSinkOptions } from '../../../src/sinks/kafka/options.ts';
import { OpenableKafkaSink } from '../../../src/sinks/kafka/sink.ts';
import { checkSinkConformance, SimProcess } from '../../../src/testing/index.ts';
import { FakeKafka } from '../../support/fake-kafka.ts';

/** Waits take no time and count. */
function instantClock(): Clock {
  let now = 0;
  return {
    now: () => now,
    monotonic: () => now,
    setTimer(delayMs, task) {
      let isSet = true;
      queueMicrotask(() => {
        now += isSet ? delayMs : 0;
        if (isSet) task();
      });
      return { cancel: () => void (isSet = false) };
    },
  };
}

type Options = Partial<KafkaSinkOptions<number>>;

function sinkOn(kafka: FakeKafka, process = new SimProcess(), options: Options = {}): OpenableKafkaSink<number> {
  const resolved = resolveKafkaOptions<number>({ topic: 'rows', brokers: ['127.0.0.1:9092'], ...options });
  return new OpenableKafkaSink(resolved, { env: { clock: instantClock(), random: { bytes: () => Uint8Array.of(0) } }, connect: () => kafka.connect(process) });
}

const session = (epoch: number, parts: Partial<SinkSession> = {}): SinkSession => ({
  app: 'app',
  sink: 'out',
  storeId: 's',
  epoch,
  incarnation: `i${epoch}`,
  partitions: [0, 1],
  ...parts,
});
const key = (time: number, partitionId = 0): CommitKey => ({ app: 'app', sink: 'out', batchTime: toBatchTime(time), partitionId });
const record = ({ fingerprint }: PreparedRows, previous?: number): CommitRecord => ({
  planId: 'plan',
  fingerprint,
  ...(previous === undefined ? {} : { previous: toBatchTime(previous) }),
});
const commit = (
  sink: OpenableKafkaSink<number>,
  time: number,
  { rows = [time], previous, partition = 0 }: { rows?: readonly number[]; previous?: number; partition?: number } = {},
) => {
  const prepared = sink.prepare(rows);
  return sink.commit(key(time, partition), prepared, record(prepared, previous));
};

function cluster(partitions = 1): FakeKafka {
  const kafka = new FakeKafka();
  kafka.createTopic('rows', partitions);
  return kafka;
}

async function opened(kafka: FakeKafka, epoch = 1, options: Options = {}): Promise<OpenableKafkaSink<number>> {
  const sink = sinkOn(kafka, new SimProcess(), options);
  await sink.open(session(epoch));
  return sink;
}

/** The n-th call of a name fails from now on, before it happens or behind its effect. */
function failAt(
  kafka: FakeKafka,
  when: 'before' | 'after',
  name: string,
  { nth = 1, error = new Error('of the network') }: { nth?: number; error?: Error } = {},
): void {
  let left = nth;
  kafka[when] = (called) => {
    if (called === name && --left === 0) throw error;
  };
}

describe('the Kafka sink on a cluster in memory', () => {
  it.each([
    ['at once', false],
    ['when the id is used again', true],
  ])('keeps the rules of every sink, commits in the log %s', async (_when, isLazy) => {
    const rules = await checkSinkConformance<number>({
      createPlace() {
        const kafka = cluster(2);
        kafka.isLazy = isLazy;
        return {
          createSink: (process) => sinkOn(kafka, process),
          read: () => {
            for (const id of kafka.ids.values()) kafka.finish(id);
            return kafka.committed('rows').map(Number);
          },
        };
      },
      row: (number) => number,
      isShared: true,
    });
    expect(rules.length).toBeGreaterThan(14);
  });
});

describe('open()', () => {
  it('makes the marker topic compacted, and takes over every partition that any plan or marker names', async () => {
    const kafka = cluster();
    await commit(await opened(kafka), 100, { partition: 1 });
    expect(kafka.topics.get('millrace-markers')?.policy).toBe('compact');
    kafka.takeovers.length = 0;
    await sinkOn(kafka).open(session(2, { partitions: [5] }));
    // The fence twice: to write it, and to be sure that it is in the log before any partition is taken.
    expect(kafka.takeovers.slice(0, 2)).toEqual(['millrace/app/out/fence', 'millrace/app/out/fence']);
    expect(kafka.takeovers.slice(2).toSorted()).toEqual(['millrace/app/out/1', 'millrace/app/out/5']);
  });
  it('takes the marker topic that the options name', async () => {
    const kafka = cluster();
    await commit(await opened(kafka, 1, { markerTopic: 'mine' }), 100);
    expect([...kafka.topics.keys()]).toEqual(['rows', 'mine']);
  });
  it('refuses a marker topic from which markers expire', async () => {
    const kafka = cluster();
    kafka.createTopic('millrace-markers', 1, 'compact,delete');
    await expect(opened(kafka)).rejects.toMatchObject({
      code: 'STREAM_OPTION',
      message: expect.stringContaining('its cleanup.policy must be compact, so that no marker expires: it is compact,delete') as string,
    });
  });
  it('says who must make the marker topic when it may not', async () => {
    const kafka = cluster();
    failAt(kafka, 'before', 'create', { error: Object.assign(new Error('denied'), { code: 31 }) });
    await expect(opened(kafka)).rejects.toMatchObject({
      code: 'STREAM_OPTION',
      message: expect.stringContaining('Make it with one partition and cleanup.policy=compact') as string,
    });
  });
  it('refuses a topic that is not there', async () => {
    await expect(opened(new FakeKafka())).rejects.toMatchObject({
      code: 'STREAM_SINK',
      message: expect.stringContaining('Cannot write into the topic "rows" as it must be there') as string,
    });
  });
  it('that is refused takes nothing over', async () => {
    const kafka = cluster();
    await opened(kafka, 5);
    kafka.takeovers.length = 0;
    await expect(opened(kafka, 4)).rejects.toMatchObject({ code: 'STREAM_FENCED' });
    await expect(sinkOn(kafka).open(session(6, { storeId: 'other' }))).rejects.toMatchObject({ code: 'STREAM_FENCED' });
    expect(kafka.takeovers).toEqual([]);
  });
  it('closes what it took over when one takeover fails, and tries again', async () => {
    const kafka = cluster();
    failAt(kafka, 'before', 'init', { nth: 4 });
    expect((await sinkOn(kafka).open(session(1))).fence?.epoch).toBe(1);
    expect(kafka.takeovers.length).toBeGreaterThan(4);
    expect(kafka.connected).toBe(3);
  });
});

describe('look()', () => {
  it('takes nothing over and makes nothing', async () => {
    const kafka = cluster();
    expect((await sinkOn(kafka).look(session(1))).rows.size).toBe(0);
    await commit(await opened(kafka), 100);
    kafka.takeovers.length = 0;
    await sinkOn(kafka).look(session(2));
    expect([kafka.takeovers, [...kafka.topics.keys()]]).toEqual([[], ['rows', 'millrace-markers']]);
  });
  it('sees a commit that is decided and not yet in the log', async () => {
    const kafka = cluster();
    const sink = await opened(kafka);
    kafka.isLazy = true;
    await commit(sink, 100);
    expect((await sinkOn(kafka).look(session(2))).rows.get(0)?.batchTime).toBe(100);
  });
  it('leaves no trace of the outputs beside it', async () => {
    const kafka = cluster();
    await commit(await opened(kafka), 100);
    const sink = sinkOn(kafka);
    expect([(await sink.look(session(2))).rows.size, (await sink.look(session(2, { sink: 'other' }))).rows.size]).toEqual([1, 0]);
  });
});

describe('commit()', () => {
  const answers: readonly (readonly [string, () => readonly SendAnswer[]])[] = [
    ['nothing', () => []],
    ['an error code', () => [{ topicName: 'rows', partition: 0, errorCode: 7, baseOffset: '0' }]],
  ];
  it.each(answers)('never commits behind a send that was answered by %s, and does it all again', async (_name, answer) => {
    const kafka = cluster();
    const sink = await opened(kafka);
    let isFirst = true;
    kafka.answer = (good) => {
      if (good.topicName !== 'rows' || !isFirst) return [good];
      isFirst = false;
      return answer();
    };
    expect(await commit(sink, 100)).toBe('committed');
    expect(kafka.log('rows').records.map(({ isControl, value }) => (isControl ? 'end' : String(value)))).toEqual(['100', 'end', '100', 'end']);
    expect(kafka.committed('rows')).toEqual(['100']);
  });
  it.each([
    ['a send is refused', 'before', 'send rows'],
    ['the answer to a send is lost', 'after', 'send rows'],
    ['the marker is refused', 'before', 'send millrace-markers'],
    ['the answer to the marker is lost', 'after', 'send millrace-markers'],
    ['the commit does not arrive', 'before', 'commit'],
  ] as const)('is repeated with a new producer when %s', async (_name, when, name) => {
    const kafka = cluster();
    const sink = await opened(kafka);
    kafka.takeovers.length = 0;
    failAt(kafka, when, name);
    expect(await commit(sink, 100)).toBe('committed');
    expect(kafka.takeovers).toEqual(['millrace/app/out/0']);
    expect(kafka.committed('rows')).toEqual(['100']);
  });
  it('finds its marker when the answer to the commit is lost', async () => {
    const kafka = cluster();
    const sink = await opened(kafka);
    kafka.isLazy = true;
    failAt(kafka, 'after', 'commit');
    expect(await commit(sink, 100)).toBe('duplicate');
    expect(await commit(sink, 200, { previous: 100 })).toBe('committed');
    await sinkOn(kafka).open(session(2));
    expect(kafka.committed('rows')).toEqual(['100', '200']);
  });
  it('finds its marker also where a broker does not show it at first', async () => {
    const kafka = cluster();
    const sink = await opened(kafka);
    await commit(sink, 100);
    const { length } = kafka.log('millrace-markers').records;
    failAt(kafka, 'after', 'commit');
    let isNew = true;
    // Behind the failure the markers have a new leader, which does not know the end of the log yet.
    kafka.before = (name) => {
      if (name !== 'metadata' || !isNew) return;
      isNew = false;
      kafka.seeming.set('millrace-markers', length);
    };
    expect(await commit(sink, 200, { previous: 100 })).toBe('duplicate');
    expect(isNew).toBe(false);
    expect(kafka.committed('rows')).toEqual(['100', '200']);
    kafka.after = () => undefined;
    expect(await commit(sink, 300, { previous: 200 })).toBe('committed');
  });
  it('gives up, and says why, when a record is refused for good', async () => {
    const kafka = cluster();
    const sink = await opened(kafka);
    failAt(kafka, 'before', 'send rows', { error: Object.assign(new Error('too large'), { code: 10 }) });
    await expect(commit(sink, 100)).rejects.toMatchObject({
      code: 'STREAM_SINK',
      message: 'Cannot commit partition 0 of batch 100 to "out", topic "rows", as Kafka must take it: too large',
    });
    expect(kafka.committed('rows')).toEqual([]);
  });
  it('gives up when patience ends', async () => {
    const kafka = cluster();
    const sink = await opened(kafka, 1, { reconnectTimeout: 500 as never });
    kafka.before = (name) => {
      if (name !== 'fetch') throw new Error('out of reach');
    };
    await expect(commit(sink, 100)).rejects.toMatchObject({
      code: 'STREAM_SINK',
      message: expect.stringMatching(/\(\d times within 500 ms\): out of reach$/) as string,
    });
  });
  it('gives up at once when the sink is closed', async () => {
    const kafka = cluster();
    const sink = await opened(kafka);
    let failures = 0;
    kafka.before = () => {
      failures += 1;
      throw new Error('out of reach');
    };
    const committing = commit(sink, 100);
    const closing = sink.close();
    await expect(committing).rejects.toMatchObject({ code: 'STREAM_SINK' });
    await closing;
    expect(failures).toBe(1);
  });
  it('cuts rows into sends of one partition each', async () => {
    const kafka = cluster(2);
    const sink = await opened(kafka, 1, { partition: (row) => row % 2 });
    kafka.sends.length = 0;
    await commit(sink, 100, { rows: Array.from({ length: 4100 }, (_unused, index) => index) });
    expect(kafka.sends.map(({ topic, partition, count }) => `${topic}-${partition} ${count}`)).toEqual([
      'rows-0 2000',
      'rows-1 2000',
      'rows-0 50',
      'rows-1 50',
      'millrace-markers-0 1',
    ]);
  });
  it('refuses a partition that the topic does not have before anything is sent', async () => {
    const kafka = cluster(2);
    const sink = await opened(kafka, 1, { partition: () => 2 });
    kafka.sends.length = 0;
    await expect(commit(sink, 100)).rejects.toThrow('as it must give a partition of the topic "rows", from 0 to 1: it gave 2');
    expect(kafka.sends).toEqual([]);
  });
  it('of a driver that was overtaken takes nothing away from the one that has taken over', async () => {
    const kafka = cluster();
    const old = await opened(kafka, 1);
    await commit(old, 100);
    const next = await opened(kafka, 2);
    kafka.takeovers.length = 0;
    await expect(commit(old, 200, { previous: 100 })).rejects.toMatchObject({ code: 'STREAM_FENCED', exitCode: 73 });
    expect(kafka.takeovers).toEqual([]);
    expect(await commit(next, 200, { previous: 100 })).toBe('committed');
    expect(kafka.takeovers).toEqual([]);
  });
  it('of a driver that was overtaken between its look and its takeover does not go on', async () => {
    const kafka = cluster();
    const old = await opened(kafka, 1);
    await commit(old, 100);
    failAt(kafka, 'before', 'send rows');
    const { before } = kafka;
    let next: Promise<OpenableKafkaSink<number>> | undefined;
    let isWaiting = true;
    // As soon as the old driver is about to take the partition over again, another claims; the old one then reads a fence that is not its own.
    kafka.before = (name) => {
      before(name);
      if (name !== 'init' || !isWaiting) return;
      isWaiting = false;
      next = opened(kafka, 2);
    };
    await Promise.allSettled([commit(old, 200, { previous: 100 })]);
    const sink = await next;
    const found = await sinkOn(kafka).look(session(3));
    const isThere = found.rows.get(0)?.batchTime === 200;
    expect(await (sink === undefined ? Promise.reject(new Error('nobody claimed')) : commit(sink, 200, { previous: 100 }))).toBe(
      isThere ? 'duplicate' : 'committed',
    );
    expect(kafka.committed('rows')).toEqual(['100', '200']);
  });
  it('notices behind a new producer that the markers are not what it committed', async () => {
    const kafka = cluster();
    const sink = await opened(kafka);
    await commit(sink, 100);
    kafka.createTopic('millrace-markers', 1, 'compact');
    failAt(kafka, 'before', 'send rows');
    await expect(commit(sink, 200, { previous: 100 })).rejects.toMatchObject({ code: 'STREAM_SINK_CONFLICT', exitCode: 78 });
    expect(kafka.committed('rows')).toEqual(['100']);
  });
  it('of several partitions runs side by side, of one in turn', async () => {
    const kafka = cluster();
    const sink = await opened(kafka);
    const all = await Promise.all([commit(sink, 100), commit(sink, 200, { previous: 100 }), commit(sink, 100, { rows: [7], partition: 1 })]);
    expect(all).toEqual(['committed', 'committed', 'committed']);
    const { rows } = await sink.look(session(2));
    expect([...rows.values()].map(({ batchTime }: LedgerRow) => batchTime)).toEqual([200, 100]);
  });
  it('of several partitions that fail at once leaves no connection behind', async () => {
    const kafka = cluster();
    const sink = await opened(kafka);
    let failures = 0;
    kafka.before = (name) => {
      if (name === 'send rows' && ++failures <= 4) throw new Error('of the network');
    };
    await Promise.all([commit(sink, 100), commit(sink, 100, { rows: [7], partition: 1 })]);
    // One for each partition, and one that reads.
    expect([failures, kafka.connected]).toEqual([6, 3]);
    await sink.close();
    expect(kafka.connected).toBe(0);
  });
  it('is refused while the sink is closed', async () => {
    const kafka = cluster();
    const sink = await opened(kafka);
    await sink.close();
    await expect(commit(sink, 100)).rejects.toThrow('Cannot commit to "out" as the sink must be open: it is closed');
  });
});
