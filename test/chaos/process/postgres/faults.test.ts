// Goal: whatever the network, the server or another client does to a commit, its rows are there once, or not at all with an error that says why. Method: the sink in this process against a real server, a proxy
// that breaks connections, psql and its like as the other clients.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { milliseconds } from '../../../../src/core/time.ts';
import { postgresSink, type PostgresSink } from '../../../../src/sinks/postgres-sink.ts';
import { PostgresProxy, type Fate } from '../../../support/postgres-proxy.ts';
import { findPostgres, hasPostgres, Postgres } from '../../../support/postgres.ts';
import { until } from '../../../support/processes.ts';
import { commitAll, connectionOf, key, ledger, record, session } from './sink-calls.ts';

describe.skipIf(!hasPostgres())('a commit into Postgres', () => {
  let server: Postgres;
  let proxy: PostgresProxy;
  let sinks: PostgresSink<number>[];
  /** A sink into the table, over the proxy. */
  const open = async (epoch: number, options = {}): Promise<PostgresSink<number>> => {
    const sink = postgresSink({ connection: connectionOf(proxy), table: 'rows', row: (id: number) => ({ id }), ...options });
    sinks.push(sink);
    await sink.open(session(epoch, 'rows'));
    return sink;
  };
  const rows = (): readonly string[] => server.sql('SELECT id FROM rows ORDER BY 1');
  /** Lets the n-th message that is so meet its fate. */
  const at = (n: number, isIt: (kind: string, text: string) => boolean, fate: Fate): void => {
    let seen = 0;
    proxy.judge = ({ kind, text }) => (isIt(kind, text) && ++seen === n ? fate : 'pass');
  };
  const isCommit = (_kind: string, text: string): boolean => text === 'COMMIT';

  beforeAll(async () => {
    server = await Postgres.start();
  });
  afterAll(() => server.close());
  beforeEach(async () => {
    server.sql('DROP TABLE IF EXISTS rows CASCADE; DROP SCHEMA IF EXISTS millrace CASCADE; CREATE TABLE rows (id int)');
    proxy = await PostgresProxy.start(server.port);
    sinks = [];
  });
  afterEach(async () => {
    server.endClients();
    for (const sink of sinks) await sink.close();
    await proxy.close();
  });

  describe.each([
    ['append', {}],
    ['upsert', { key: ['id'] }],
  ])('%s', (_mode, options) => {
    const isStep: Readonly<Record<string, (kind: string, text: string) => boolean>> = {
      begin: (_kind, text) => text.includes('FOR SHARE'),
      rows: (kind, text) => kind === 'P' || text.startsWith('COPY'),
      COMMIT: isCommit,
    };
    const fates: readonly Fate[] = ['cut', 'cut-sent', 'cut-answered'];
    it.each(Object.keys(isStep).flatMap((step) => fates.map((fate) => [step, fate] as const)))(
      'is there once when the connection breaks at "%s", %s',
      async (step, fate) => {
        if ('key' in options) server.sql('CREATE UNIQUE INDEX ON rows (id)');
        const sink = await open(1, options);
        await commitAll(sink, 'rows', [[1, 2]]);
        at(1, isStep[step] ?? isCommit, fate);
        const answers = await commitAll(sink, 'rows', [[3, 4], [5]], 2);
        // Only an answer that was lost behind the COMMIT leaves a commit that stands; sent and not answered may be either.
        if (step !== 'COMMIT' || fate === 'cut') expect(answers).toEqual(['committed', 'committed']);
        if (step === 'COMMIT' && fate === 'cut-answered') expect(answers).toEqual(['duplicate', 'committed']);
        expect(rows()).toEqual(['1', '2', '3', '4', '5']);
        expect(ledger(server, 'rows')).toEqual(['0|300|plan-300']);
      },
    );
  });

  it('waits for the transaction of a connection that is lost to this side only, and finds its row', async () => {
    const sink = await open(1, { statementTimeout: milliseconds(300) });
    await commitAll(sink, 'rows', [[1]]);
    // COMMIT stays on the wire; the driver gives the connection up (5.3 s) and repeats; then the old COMMIT arrives.
    at(1, isCommit, 'hold');
    const held = proxy.held();
    const committing = commitAll(sink, 'rows', [[2]], 2);
    await held;
    await sleep(5400);
    proxy.release();
    expect((await committing).join()).toMatch(/^(committed|duplicate)$/);
    expect(rows()).toEqual(['1', '2']);
  });

  it('gives up a COPY that has no answer', async () => {
    const sink = await open(1, { statementTimeout: milliseconds(200), reconnectTimeout: milliseconds(30_000) });
    at(1, (kind) => kind === 'c', 'hold');
    expect(await commitAll(sink, 'rows', [[1]])).toEqual(['committed']);
    proxy.release();
    expect(rows()).toEqual(['1']);
  });

  it('is an error when COMMIT is answered by ROLLBACK', async () => {
    const sink = await open(1);
    at(1, isCommit, { replace: 'ROLLBACK' });
    await expect(commitAll(sink, 'rows', [[1]])).rejects.toThrow('as Postgres must answer COMMIT to COMMIT: it answered ROLLBACK, so nothing was committed');
    expect([rows(), ledger(server, 'rows')]).toEqual([[], []]);
    expect(await commitAll(sink, 'rows', [[1]])).toEqual(['committed']);
  });

  it('is an error when a constraint fails at COMMIT', async () => {
    server.sql(
      'CREATE TABLE parents (id int PRIMARY KEY); INSERT INTO parents VALUES (1); ALTER TABLE rows ADD FOREIGN KEY (id) REFERENCES parents DEFERRABLE INITIALLY DEFERRED',
    );
    const sink = await open(1);
    await expect(commitAll(sink, 'rows', [[1, 2]])).rejects.toMatchObject({
      code: 'STREAM_SINK',
      exitCode: 1,
      message: expect.stringContaining('violates foreign key constraint') as string,
    });
    expect([rows(), ledger(server, 'rows')]).toEqual([[], []]);
    server.sql('INSERT INTO parents VALUES (2)');
    expect(await commitAll(sink, 'rows', [[1, 2]])).toEqual(['committed']);
    expect(rows()).toEqual(['1', '2']);
  });

  it('goes on after serialization failures', async () => {
    server.sql(`CREATE SEQUENCE tries; CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF nextval('tries') < 4 THEN RAISE SQLSTATE '40001' USING MESSAGE = 'could not serialize'; END IF; RETURN NEW; END $$;
      CREATE TRIGGER fail BEFORE INSERT ON rows FOR EACH STATEMENT EXECUTE FUNCTION fail()`);
    const sink = await open(1);
    expect(await commitAll(sink, 'rows', [[1]])).toEqual(['committed']);
    server.sql('DROP SEQUENCE tries CASCADE; DROP FUNCTION fail CASCADE');
    expect(rows()).toEqual(['1']);
  });

  it('goes on after a deadlock', async () => {
    server.sql(`CREATE UNIQUE INDEX ON rows (id); ALTER TABLE rows ADD n int; CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      PERFORM pg_sleep(0.5); RETURN NEW; END $$; CREATE TRIGGER dawdle BEFORE UPDATE ON rows FOR EACH ROW WHEN (OLD.id = 2 AND NEW.n = 2) EXECUTE FUNCTION dawdle()`);
    const sink = await open(1, { key: ['id'], row: (id: number) => ({ id, n: id }) });
    await commitAll(sink, 'rows', [[1, 2]]);
    const before = Number(server.sql('SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()')[0]);
    const client = server.client();
    await client.run('BEGIN; UPDATE rows SET n = 0 WHERE id = 3');
    server.sql('INSERT INTO rows VALUES (3, 3)');
    // The sink has row 1 and dawdles at row 2; the other one has row 3 and waits for row 1; the sink, last, wants row 3, and the server ends it.
    await client.run('UPDATE rows SET n = 0 WHERE id = 3');
    const committing = commitAll(sink, 'rows', [[1, 2, 3]], 2);
    await sleep(200);
    const other = client.run('UPDATE rows SET n = 0 WHERE id = 1; COMMIT');
    expect(await committing).toEqual(['committed']);
    await other;
    await until(
      () => Number(server.sql('SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()')[0]) > before,
      'a deadlock that was counted',
    );
    expect(server.sql('SELECT id, n FROM rows ORDER BY 1')).toEqual(['1|1', '2|2', '3|3']);
    server.sql('DROP FUNCTION dawdle CASCADE');
  });

  it('goes on when the server was down, and names what is wrong when it stays so', async () => {
    const sink = await open(1);
    await commitAll(sink, 'rows', [[1]]);
    await server.kill();
    const committing = commitAll(sink, 'rows', [[2]], 2);
    await sleep(1500);
    await server.restart();
    expect(await committing).toEqual(['committed']);
    await sink.close();
    const closed = await open(2);
    await server.kill();
    const given = commitAll(closed, 'rows', [[3]], 3).catch((error: unknown) => error);
    await sleep(1200);
    const startedMs = performance.now();
    await closed.close();
    expect(await given).toMatchObject({ code: 'STREAM_SINK' });
    expect(performance.now() - startedMs).toBeLessThan(500);
    await server.restart();
    const hasty = await open(3, { reconnectTimeout: milliseconds(200) });
    await server.kill();
    await expect(commitAll(hasty, 'rows', [[3]], 3)).rejects.toMatchObject({
      code: 'STREAM_SINK',
      message: expect.stringMatching(/times within 200 ms\): /) as string,
    });
    await server.restart();
    expect(rows()).toEqual(['1', '2']);
  });

  it('goes on when a server that was read-only, or had no connection left, takes rows again', async () => {
    server.sql("DROP ROLE IF EXISTS guest; CREATE ROLE guest LOGIN PASSWORD 'secret'; GRANT CREATE ON DATABASE postgres TO guest; GRANT ALL ON rows TO guest");
    const sink = await open(1, { connection: { ...connectionOf(proxy), user: 'guest' } });
    for (const [batch, refuse, allow] of [
      [1, 'ALTER ROLE guest SET default_transaction_read_only = on', 'ALTER ROLE guest RESET default_transaction_read_only'],
      [2, 'ALTER ROLE guest CONNECTION LIMIT 0', 'ALTER ROLE guest CONNECTION LIMIT -1'],
    ] as const) {
      server.sql(`${refuse}; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'guest'`);
      const committing = commitAll(sink, 'rows', [[batch]], batch);
      await sleep(400);
      expect(rows()).toHaveLength(batch - 1);
      server.sql(allow);
      expect(await committing).toEqual(['committed']);
    }
    expect(rows()).toEqual(['1', '2']);
    server.sql('DROP SCHEMA millrace CASCADE; DROP OWNED BY guest; DROP ROLE guest');
  });

  it.skipIf(process.getuid?.() !== 0)('goes on when the disk of the server has room again', async () => {
    const small = join(server.root, 'small');
    mkdirSync(small);
    expect(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=3m,mode=777', 'tmpfs', small]).status).toBe(0);
    try {
      const { uid, gid } = statSync(join(server.root, 'data'));
      chownSync(small, uid, gid);
      server.sql(`CREATE TABLESPACE small LOCATION '${small}'`);
      server.sql('DROP TABLE rows; CREATE TABLE rows (id int) TABLESPACE small');
      writeFileSync(join(small, 'filler'), Buffer.alloc(2_500_000));
      const sink = await open(1);
      const many = Array.from({ length: 50_000 }, (_unused, index) => index);
      const committing = commitAll(sink, 'rows', [many]);
      await sleep(700);
      expect(ledger(server, 'rows')).toEqual([]);
      expect(readFileSync(join(server.root, 'server.log'), 'utf8')).toContain('Check free disk space');
      rmSync(join(small, 'filler'));
      expect(await committing).toEqual(['committed']);
      expect(server.sql('SELECT count(*), count(DISTINCT id) FROM rows')).toEqual(['50000|50000']);
      server.sql('DROP TABLE rows');
      server.sql('DROP TABLESPACE small');
    } finally {
      spawnSync('umount', ['-l', small]);
    }
  });

  it('refuses a standby', async () => {
    await open(1).then((sink) => sink.close());
    await server.kill();
    const signal = join(server.root, 'data/standby.signal');
    writeFileSync(signal, '');
    await server.restart();
    await expect(open(2)).rejects.toThrow('the server must be a primary: it is a standby, pg_is_in_recovery() is true');
    await server.kill();
    rmSync(signal);
    await server.restart();
  });

  it.each(['COPY', 'COMMIT'])('outlasts the transaction of a driver that stands still at "%s", which then finds itself fenced', async (step) => {
    const old = await open(1, { idleTransactionTimeout: milliseconds(400) });
    await commitAll(old, 'rows', [[1]]);
    at(1, (_kind, text) => text.startsWith(step), 'hold');
    const held = proxy.held();
    const committing = commitAll(old, 'rows', [[2]], 2).catch((error: unknown) => error);
    await held;
    const waits = { lockTimeout: milliseconds(3000), idleTransactionTimeout: milliseconds(2000) };
    const next = postgresSink({ connection: connectionOf(server), table: 'rows', row: (id: number) => ({ id }), ...waits });
    sinks.push(next);
    const view = await next.open(session(2, 'rows'));
    proxy.release();
    expect(await committing).toMatchObject({ code: 'STREAM_FENCED', exitCode: 73 });
    expect(view.rows.get(0)?.batchTime).toBe(100);
    expect(await commitAll(next, 'rows', [[20]], 2)).toEqual(['committed']);
    expect(rows()).toEqual(['1', '20']);
  });

  it('names those who block a claim, and those who block a commit', async () => {
    const sink = await open(1, { lockTimeout: milliseconds(700), idleTransactionTimeout: milliseconds(600), reconnectTimeout: milliseconds(1) });
    await commitAll(sink, 'rows', [[1]]);
    const client = server.client('blocker');
    await client.run('BEGIN; SELECT 1 FROM millrace.sink_fence FOR SHARE; LOCK TABLE rows IN SHARE MODE');
    const named =
      /canceling statement due to lock timeout; it waited for process \d+ \(role postgres, application "blocker", from 127\.0\.0\.1, idle in transaction, its transaction is \d+ s old\)/;
    await expect(open(2, { lockTimeout: milliseconds(700), idleTransactionTimeout: milliseconds(600) })).rejects.toThrow(named);
    await expect(commitAll(sink, 'rows', [[2]], 2)).rejects.toThrow(named);
    await client.end();
    expect(await commitAll(sink, 'rows', [[2]], 2)).toEqual(['committed']);
  });

  it('notices behind a new connection that the database is an older one', async () => {
    const sink = await open(1);
    await commitAll(sink, 'rows', [[1]]);
    const backup = server.run('pg_dump', ['--clean', '-t', 'rows', '-t', 'millrace.*', 'postgres']);
    await commitAll(sink, 'rows', [[2]], 2);
    server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'millrace %'");
    server.run('psql', ['-X', '-q', '-v', 'ON_ERROR_STOP=1'], backup);
    const prepared = sink.prepare([3]);
    await expect(sink.commit(key('rows', 300, 1), prepared, record(prepared))).rejects.toMatchObject({
      code: 'STREAM_SINK_CONFLICT',
      exitCode: 78,
      message: expect.stringMatching(
        /must hold what this driver committed, batch 200, .*: it holds batch 100, .*Was the database restored from a backup/,
      ) as string,
    });
    expect(rows()).toEqual(['1']);
  });

  it('notices in the transaction itself that the row is not the one before', async () => {
    const sink = await open(1);
    await commitAll(sink, 'rows', [[1], [2]]);
    server.sql('UPDATE millrace.sink_ledger SET batch_time = 100');
    await expect(commitAll(sink, 'rows', [[3]], 3)).rejects.toMatchObject({ code: 'STREAM_SINK_CONFLICT' });
    server.sql('DELETE FROM millrace.sink_ledger');
    await expect(commitAll(await open(2), 'rows', [[3]], 3)).rejects.toMatchObject({ code: 'STREAM_SINK_CONFLICT' });
    expect(rows()).toEqual(['1', '2']);
  });

  it('fails when its table is dropped, and keeps its ledger', async () => {
    const sink = await open(1);
    await commitAll(sink, 'rows', [[1]]);
    server.sql('DROP TABLE rows');
    await expect(commitAll(sink, 'rows', [[2]], 2)).rejects.toMatchObject({
      code: 'STREAM_SINK',
      message: expect.stringContaining('relation "public.rows" does not exist') as string,
    });
    expect(ledger(server, 'rows')).toEqual(['0|100|plan-100']);
  });

  it('gives up a server that never answers a COPY, and the process goes on', () => {
    const { stdout, status } = spawnSync(process.execPath, [join(import.meta.dirname, '../../../support/silent-copy.mjs')], { encoding: 'utf8' });
    expect([status, stdout]).toEqual([0, 'Query read timeout\ngoes on\n']);
  });

  it('leaves no server behind when its test is killed', async () => {
    const found = findPostgres();
    const helper = JSON.stringify(join(import.meta.dirname, '../../../support/postgres-guardian.mjs'));
    const bin = 'bin' in found ? found.bin : '';
    const root = join(server.root, 'inner');
    const port = await proxyPort();
    const script = `import { spawn, spawnSync } from 'node:child_process'; const g = spawn(process.execPath, [${helper}, ${JSON.stringify(bin)}, ${JSON.stringify(root)}, '${port}'], { stdio: ['pipe', 'pipe', 'inherit'], detached: true }); g.stdin.write('start\\n'); g.stdout.pipe(process.stdout);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    const pid = Number(/^ready (\d+)/.exec(line.toString())?.[1]);
    const isThere = (): boolean => {
      try {
        return process.kill(pid, 0);
      } catch {
        return false;
      }
    };
    expect(isThere()).toBe(true);
    child.kill('SIGKILL');
    await until(() => !isThere(), 'the end of the server');
  });
});

async function proxyPort(): Promise<number> {
  const proxy = await PostgresProxy.start(1);
  const { port } = proxy;
  await proxy.close();
  return port;
}
