// Goal: a driver that is killed at any moment, and at every step of a commit, leaves each record in Kafka exactly once; so does one whose broker is killed. Method: a real broker, drivers in processes of their own, SIGKILL
// after random times and by a proxy at each request of a commit; Kafka's own client is the checker. CHAOS_LONG=1 kills more often; SEED repeats the times.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SeededRandom } from '../../../../src/testing/index.ts';
import { checkTopics } from '../../../support/kafka-checker.ts';
import { KafkaProxy, REQUESTS, type ClientRequest, type Fate } from '../../../support/kafka-proxy.ts';
import { hasKafka, KafkaBroker, Topics } from '../../../support/kafka.ts';
import { until, Workplace, type Running } from '../../../support/processes.ts';

const isLong = process.env['CHAOS_LONG'] === '1';
// The steps below are 15 kills more.
const KILLS = isLong ? 200 : 15;
const BROKER_KILLS = isLong ? 20 : 1;
const SEED = Number(process.env['SEED'] ?? Math.floor(performance.timeOrigin));
const COMMAND = [process.execPath, join(import.meta.dirname, '../../../support/kafka-program.mjs')];

describe.skipIf(!hasKafka())('a program into Kafka', () => {
  let broker: KafkaBroker;
  let topics: Topics;
  let place: Workplace;
  let names: { readonly events: string; readonly totals: string };
  let count = 0;
  const logs: string[] = [];
  const start = (address = broker.address): Running => place.start({ BROKER: address, EVENTS: names.events, TOTALS: names.totals }, COMMAND);
  const end = async (driver: Running, code: number | NodeJS.Signals): Promise<void> => {
    const found = await driver.ended;
    expect(found).toMatchObject({ code });
    logs.push(found.log);
  };
  const kill = async (driver: Running): Promise<void> => {
    driver.process.kill('SIGKILL');
    await end(driver, 'SIGKILL');
  };
  const finish = async (driver: Running): Promise<number> => {
    await driver.logged('committed totals');
    driver.process.kill('SIGTERM');
    await end(driver, 0);
    return checkTopics(broker, names, logs);
  };

  beforeAll(async () => {
    broker = await KafkaBroker.start();
    topics = new Topics(broker);
  });
  afterAll(async () => {
    await topics.close();
    await broker.close();
  });
  beforeEach(async () => {
    place = new Workplace();
    logs.length = 0;
    names = { events: `events-${++count}`, totals: `totals-${count}` };
    await topics.create(names.events, { partitions: 3 });
    await topics.create(names.totals, { partitions: 2 });
  });
  afterEach(() => place.close());

  it(`has each record once through ${KILLS} kills, seed ${SEED}`, async () => {
    const random = new SeededRandom(SEED);
    let driver = start();
    for (let kills = 0; kills < KILLS; kills++) {
      // Every third one dies while it starts and claims, the others while they commit.
      if (kills % 3 === 2) await sleep(random.next() * 1500);
      else await driver.logged('committed events');
      await sleep(random.next() * 300);
      await kill(driver);
      driver = start();
    }
    expect(await finish(driver)).toBeGreaterThan(KILLS);
    expect(logs.filter((log) => log.includes('committed events')).length).toBeGreaterThan(KILLS / 2);
  });

  // A commit adds a partition to its transaction and writes to it, for each partition of the topic and then for the markers, and ends with EndTxn. A start takes the ids over.
  const fates: readonly Fate[] = ['cut', 'cut-sent', 'cut-answered'];
  const isStep: Readonly<Record<string, (request: ClientRequest) => boolean>> = {
    InitProducerId: ({ apiKey }) => apiKey === REQUESTS.initProducerId,
    AddPartitionsToTxn: ({ apiKey }) => apiKey === REQUESTS.addPartitions,
    'Produce of records': ({ apiKey, bytes }) => apiKey === REQUESTS.produce && !bytes.includes('-markers'),
    'Produce of the marker': ({ apiKey, bytes }) => apiKey === REQUESTS.produce && bytes.includes('-markers'),
    EndTxn: ({ apiKey }) => apiKey === REQUESTS.endTxn,
  };
  it.each(Object.keys(isStep).flatMap((step) => fates.map((fate) => [step, fate] as const)))(
    'has each record once when it dies at "%s", %s',
    async (step, fate) => {
      const proxy = await KafkaProxy.start(broker);
      try {
        const driver = start(`127.0.0.1:${broker.proxyPort}`);
        proxy.onCut = () => driver.process.kill('SIGKILL');
        if (step !== 'InitProducerId') await driver.logged('committed totals');
        let seen = 0;
        proxy.judge = (request) => (isStep[step]?.(request) === true && ++seen === 3 ? fate : 'pass');
        await end(driver, 'SIGKILL');
      } finally {
        await proxy.close();
      }
      expect(await finish(start())).toBeGreaterThan(0);
    },
  );

  it(`goes on by itself when the broker is killed, ${BROKER_KILLS} times`, async () => {
    const driver = start();
    for (let round = 0; round < BROKER_KILLS; round++) {
      await driver.logged('committed totals');
      await sleep(200 + (round % 5) * 83);
      await broker.kill();
      await broker.restart();
      // Three commits of it mean that it went on, whatever was under way.
      const before = driver.count('committed totals');
      await until(() => driver.count('committed totals') > before + 3, 'commits after the broker came back', 90_000);
    }
    expect(await finish(driver)).toBeGreaterThan(100);
  });
});
