// Goal: a driver that is killed at any moment, and at every step of a commit, leaves each record in Postgres exactly once; so does one whose server is killed. Method: a real server, drivers in processes of
// their own, SIGKILL after random times and by a proxy at each message of a commit; psql is the checker. CHAOS_LONG=1 kills more often; SEED repeats the times.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SeededRandom } from '../../../../src/testing/index.ts';
import { checkTables, createTables, eventCount } from '../../../support/postgres-checker.ts';
import { PostgresProxy, type Fate } from '../../../support/postgres-proxy.ts';
import { hasPostgres, Postgres } from '../../../support/postgres.ts';
import { until, Workplace, type Running } from '../../../support/processes.ts';

const KILLS = process.env['CHAOS_LONG'] === '1' ? 200 : 15;
const SEED = Number(process.env['SEED'] ?? Math.floor(performance.timeOrigin));
const COMMAND = [process.execPath, join(import.meta.dirname, '../../../support/postgres-program.mjs')];

describe.skipIf(!hasPostgres())('a program into Postgres', () => {
  let server: Postgres;
  let place: Workplace;
  const logs: string[] = [];
  const start = (env: Readonly<Record<string, string>> = {}): Running => place.start({ ...server.environment, ...env }, COMMAND);
  const die = async (driver: Running): Promise<void> => {
    driver.process.kill('SIGKILL');
    const { code, log } = await driver.ended;
    expect({ code, log }).toMatchObject({ code: 'SIGKILL' });
    logs.push(log);
  };
  const stop = async (driver: Running): Promise<void> => {
    driver.process.kill('SIGTERM');
    const { code, log } = await driver.ended;
    expect({ code, log }).toMatchObject({ code: 0 });
    logs.push(log);
  };

  beforeAll(async () => {
    server = await Postgres.start();
  });
  afterAll(() => server.close());
  beforeEach(() => {
    place = new Workplace();
    logs.length = 0;
    createTables(server);
  });
  afterEach(() => place.close());

  it(`has each record once through ${KILLS} kills, seed ${SEED}`, async () => {
    const random = new SeededRandom(SEED);
    let driver = start();
    for (let kill = 0; kill < KILLS; kill++) {
      await sleep(250 + random.next() ** 2 * 900);
      await die(driver);
      driver = start();
    }
    await driver.logged('committed totals');
    await stop(driver);
    expect(checkTables(server, logs)).toBeGreaterThan(KILLS);
  });

  // A commit is five messages of an append (begin with fence and row, COPY, data, its end, COMMIT) and six of an upsert (begin, then parse, bind, describe, execute, sync, then COMMIT).
  const fates: readonly Fate[] = ['cut', 'cut-sent', 'cut-answered'];
  const steps = ['begin', 'COPY', 'copy data', 'copy done', 'upsert', 'COMMIT'];
  it.each(steps.flatMap((step) => fates.map((fate) => [step, fate] as const)))('has each record once when it dies at the step "%s", %s', async (step, fate) => {
    const proxy = await PostgresProxy.start(server.port);
    let seen = 0;
    // The third commit of its kind: rows, fence and ledger are there.
    const third = (isStep: boolean): Fate => (isStep && ++seen === 3 ? fate : 'pass');
    const isStep: Readonly<Record<string, (kind: string, text: string) => boolean>> = {
      begin: (_kind, text) => text.includes('FOR SHARE'),
      COPY: (_kind, text) => text.startsWith('COPY'),
      'copy data': (kind) => kind === 'd',
      'copy done': (kind) => kind === 'c',
      upsert: (kind) => kind === 'S',
      COMMIT: (_kind, text) => text === 'COMMIT',
    };
    // The claims of the two sinks end with COMMIT as well.
    if (step === 'COMMIT') seen = -2;
    try {
      const driver = start({ PGPORT: String(proxy.port) });
      proxy.judge = ({ kind, text }) => third(isStep[step]?.(kind, text) === true);
      proxy.onCut = () => driver.process.kill('SIGKILL');
      const { code, log } = await driver.ended;
      expect({ code, log }).toMatchObject({ code: 'SIGKILL' });
      logs.push(log);
    } finally {
      await proxy.close();
    }
    const next = start();
    await next.logged('committed totals');
    await stop(next);
    checkTables(server, logs);
  });

  it('goes on by itself when all processes of the server are killed, and was down for a while', async () => {
    const driver = start();
    await driver.logged('committed totals');
    for (let round = 0; round < 3; round++) {
      await server.kill();
      await sleep(round * 700);
      await server.restart();
      const before = eventCount(server);
      await until(() => eventCount(server) > before + 50, 'records after the server came back');
    }
    await stop(driver);
    expect(checkTables(server, logs)).toBeGreaterThan(100);
  });

  it('goes on by itself when single processes of the server are ended or killed', async () => {
    const driver = start();
    await driver.logged('committed totals');
    const pids = (): readonly number[] => server.sql("SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'millrace %'").map(Number);
    for (let round = 0; round < 12; round++) {
      await sleep(40 + round * 17);
      server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'millrace %'");
    }
    await until(() => pids().length > 0, 'a new connection');
    // One process that dies takes all others of the server with it.
    process.kill(pids()[0] ?? 0, 'SIGKILL');
    await sleep(1000);
    const before = eventCount(server);
    await until(() => eventCount(server) > before + 50, 'records after the crash');
    await stop(driver);
    expect(checkTables(server, logs)).toBeGreaterThan(100);
  });
});
