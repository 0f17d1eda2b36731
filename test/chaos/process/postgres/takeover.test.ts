// Goal: a driver whose sink belongs to somebody else, or is not what it was, changes nothing in it and ends with an exit code that says whether to start it again. Method: drivers in processes of their own, stopped by
// SIGSTOP, with copied and restored directories and databases; psql is the checker.
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { checkTables, createTables, eventCount } from '../../../support/postgres-checker.ts';
import { hasPostgres, Postgres } from '../../../support/postgres.ts';
import { until, Workplace, type Running } from '../../../support/processes.ts';

const COMMAND = [process.execPath, join(import.meta.dirname, '../../../support/postgres-program.mjs')];

describe.skipIf(!hasPostgres())('a driver whose sink in Postgres is not its own', () => {
  let server: Postgres;
  let place: Workplace;
  const drive = async (env: Readonly<Record<string, string>> = {}): Promise<Running> => {
    const driver = place.start({ ...server.environment, ...env }, COMMAND);
    await driver.logged('committed totals');
    return driver;
  };
  const end = async (driver: Running, code: number): Promise<string> => {
    const found = await driver.ended;
    expect(found).toMatchObject({ code });
    return found.log;
  };
  const backup = (): string => server.run('pg_dump', ['--clean', '-t', 'events', '-t', 'totals', '-t', 'millrace.*', 'postgres']);
  const restore = (text: string): void => {
    server.run('psql', ['-X', '-q', '-v', 'ON_ERROR_STOP=1'], text);
  };
  const disconnect = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'millrace %'";

  beforeAll(async () => {
    server = await Postgres.start();
  });
  afterAll(() => server.close());
  beforeEach(() => {
    place = new Workplace();
    createTables(server);
  });
  afterEach(() => place.close());

  it('is fenced when another one took over while it stood still, wherever it stood', async () => {
    for (let round = 0; round < 4; round++) {
      await place.close();
      place = new Workplace();
      createTables(server);
      const first = await drive({ IDLE_MS: '500' });
      await sleep(round * 37);
      first.process.kill('SIGSTOP');
      // The copy has all that the first one has made durable.
      const copy = join(place.root, `copy-${round}`);
      cpSync(place.store, copy, { recursive: true, filter: (path) => !path.endsWith('LOCK') });
      const second = await drive({ DIRECTORY: copy, IDLE_MS: '500' });
      first.process.kill('SIGCONT');
      expect(await end(first, 73)).toContain('STREAM_FENCED');
      const before = eventCount(server);
      await until(() => eventCount(server) > before, 'records of the second driver');
      second.process.kill('SIGTERM');
      await end(second, 0);
      checkTables(server);
    }
  });

  it('is refused with another store under the same name, and the owner is not disturbed', async () => {
    const owner = await drive();
    const other = place.start({ ...server.environment, DIRECTORY: join(place.root, 'other') }, COMMAND);
    expect(await end(other, 78)).toContain('STREAM_SINK_CONFLICT');
    const before = eventCount(server);
    await until(() => eventCount(server) > before, 'records of the owner');
    owner.process.kill('SIGTERM');
    await end(owner, 0);
    checkTables(server);
  });

  it('is refused when the database was restored from a backup, at its start', async () => {
    const driver = await drive();
    const old = backup();
    const before = eventCount(server);
    await until(() => eventCount(server) > before + 50, 'records behind the backup');
    driver.process.kill('SIGKILL');
    await driver.ended;
    restore(old);
    const restored = eventCount(server);
    const next = place.start(server.environment, COMMAND);
    expect(await end(next, 78)).toContain('the sink lost commits');
    expect(eventCount(server)).toBe(restored);
  });

  it('ends when the database is restored from a backup while it runs', async () => {
    const driver = await drive();
    const old = backup();
    const before = eventCount(server);
    await until(() => eventCount(server) > before + 50, 'records behind the backup');
    // One transaction: nobody sees it half restored.
    server.run('psql', ['-X', '-q', '-1', '-v', 'ON_ERROR_STOP=1'], `${disconnect};\n${old}`);
    expect(await end(driver, 78)).toContain('STREAM_SINK_CONFLICT');
    // What was restored is a whole prefix.
    const ids = server.sql('SELECT id FROM events ORDER BY id').map(Number);
    expect(ids).toEqual(ids.map((_id, index) => index));
  });

  it('ends when a table is dropped under it, and does not start without it', async () => {
    const driver = await drive();
    server.sql('DROP TABLE totals');
    // The attempt behind the failed one looks at the table over a new connection.
    expect(await end(driver, 64)).toContain('it must be there and be visible to this role');
    const next = place.start(server.environment, COMMAND);
    expect(await end(next, 64)).toContain('it must be there and be visible to this role');
  });
});
