// Goal: a driver whose sink belongs to somebody else, or is not what it was, changes nothing in it and ends with an exit code that says whether to start it again. Method: drivers in processes of their own, stopped by
// SIGSTOP, with copied directories; Kafka's own client is the checker.
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { checkTopics } from '../../../support/kafka-checker.ts';
import { KafkaProxy, REQUESTS } from '../../../support/kafka-proxy.ts';
import { hasKafka, KafkaBroker, Topics } from '../../../support/kafka.ts';
import { until, Workplace, type Running } from '../../../support/processes.ts';

const COMMAND = [process.execPath, join(import.meta.dirname, '../../../support/kafka-program.mjs')];

describe.skipIf(!hasKafka())('a driver whose sink in Kafka is not its own', () => {
  let broker: KafkaBroker;
  let topics: Topics;
  let place: Workplace;
  let names: { readonly events: string; readonly totals: string };
  let count = 0;
  const start = (env: Readonly<Record<string, string>> = {}): Running =>
    place.start({ BROKER: broker.address, EVENTS: names.events, TOTALS: names.totals, ...env }, COMMAND);
  const drive = async (env: Readonly<Record<string, string>> = {}): Promise<Running> => {
    const driver = start(env);
    await driver.logged('committed totals');
    return driver;
  };
  const end = async (driver: Running, code: number | NodeJS.Signals): Promise<string> => {
    const found = await driver.ended;
    expect(found).toMatchObject({ code });
    return found.log;
  };
  const finish = async (driver: Running): Promise<number> => {
    const before = driver.count('committed totals');
    await until(() => driver.count('committed totals') > before + 1, 'commits');
    driver.process.kill('SIGTERM');
    await end(driver, 0);
    return checkTopics(broker, names);
  };
  const renew = async (): Promise<void> => {
    place = new Workplace();
    names = { events: `events-${++count}`, totals: `totals-${count}` };
    await topics.create(names.events, { partitions: 3 });
    await topics.create(names.totals);
  };

  beforeAll(async () => {
    broker = await KafkaBroker.start();
    topics = new Topics(broker);
  });
  afterAll(async () => {
    await topics.close();
    await broker.close();
  });
  beforeEach(renew);
  afterEach(() => place.close());

  it('is fenced when another one took over while it stood still, wherever it stood', async () => {
    for (let round = 0; round < 4; round++) {
      await place.close();
      await renew();
      const first = await drive();
      await sleep(round * 37);
      first.process.kill('SIGSTOP');
      // The copy has all that the first one has made durable.
      const copy = join(place.root, `copy-${round}`);
      cpSync(place.store, copy, { recursive: true, filter: (path) => !path.endsWith('LOCK') });
      const second = await drive({ DIRECTORY: copy });
      first.process.kill('SIGCONT');
      expect(await end(first, 73)).toContain('STREAM_FENCED');
      await finish(second);
    }
  });

  it('is refused with another store under the same name, and the owner is not disturbed', async () => {
    const owner = await drive();
    const other = start({ DIRECTORY: join(place.root, 'other') });
    expect((await other.ended).log).toMatch(/STREAM_(SINK_CONFLICT|FENCED)/);
    expect([73, 78]).toContain((await other.ended).code);
    await finish(owner);
  });

  it('finishes a batch that is half committed with the partitions it was planned with', async () => {
    const proxy = await KafkaProxy.start(broker);
    try {
      const first = start({ BROKER: `127.0.0.1:${broker.proxyPort}`, PARTITIONS: '4' });
      await first.logged('committed totals');
      // Dies between the first and the last partition of the totals: the second EndTxn behind the first record of totals.
      proxy.onCut = () => first.process.kill('SIGKILL');
      let ends = 0;
      let isTotals = false;
      proxy.judge = ({ apiKey, bytes }) => {
        if (apiKey === REQUESTS.produce && bytes.includes(names.totals)) isTotals = true;
        return isTotals && apiKey === REQUESTS.endTxn && ++ends === 2 ? 'cut' : 'pass';
      };
      await end(first, 'SIGKILL');
    } finally {
      await proxy.close();
    }
    expect(await finish(start({ PARTITIONS: '1' }))).toBeGreaterThan(0);
  });

  it('is refused when its markers are gone', async () => {
    const driver = await drive();
    // Batches that are completed: only for those the directory knows that there were markers.
    await until(() => driver.count('committed totals') > 6, 'batches');
    driver.process.kill('SIGKILL');
    await driver.ended;
    await topics.remove(`${names.events}-markers`);
    expect(await end(start(), 78)).toContain('the sink lost commits');
  });

  it('ends when its markers go while it runs, as soon as it takes a partition over again', async () => {
    const proxy = await KafkaProxy.start(broker);
    try {
      const driver = await drive({ BROKER: `127.0.0.1:${broker.proxyPort}` });
      await topics.remove(`${names.events}-markers`);
      await topics.create(`${names.events}-markers`, { config: { 'cleanup.policy': 'compact' } });
      proxy.judge = ({ apiKey }) => (apiKey === REQUESTS.endTxn ? 'cut' : 'pass');
      await sleep(100);
      proxy.judge = () => 'pass';
      expect(await end(driver, 78)).toContain('STREAM_SINK_CONFLICT');
    } finally {
      await proxy.close();
    }
  });
});
