// Goal: what the Postgres sink writes, and what it refuses. Method: the sink in this process, a real server, psql as the reader.
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { milliseconds } from '../../../../src/core/time.ts';
import { postgresMigration, postgresSink, type PostgresTls } from '../../../../src/sinks/postgres-sink.ts';
import { hasPostgres, Postgres } from '../../../support/postgres.ts';
import { commitAll, connectionOf, key, ledger, record, session } from './sink-calls.ts';

const identity = (sink: string) => ({ app: 'app', sink, storeId: 's' });
const atOnce = { reconnectTimeout: milliseconds(1) };

describe.skipIf(!hasPostgres())('postgresSink()', () => {
  let server: Postgres;
  beforeAll(async () => {
    server = await Postgres.start();
  });
  afterAll(() => server.close());

  it('looks at a server that it never wrote to, and changes nothing', async () => {
    server.sql('CREATE TABLE looked (id int)');
    await using sink = postgresSink({ connection: connectionOf(server), table: 'looked', row: (id: number) => ({ id }) });
    expect(await sink.look(identity('looks'))).toEqual({ rows: new Map() });
    expect(server.sql("SELECT to_regclass('millrace.sink_fence')")).toEqual([]);
  });

  it('appends by COPY, whatever the values hold', async () => {
    server.sql('CREATE TABLE appended (id int, word text, at timestamptz, bytes bytea, tags text[], doc jsonb, big numeric)');
    const values = {
      word: 'a\tb\\c\n\r"\'é',
      at: new Date(0),
      bytes: Uint8Array.of(0, 255),
      tags: ['x"y', null, '\\', 'NULL', ''],
      doc: { a: [1, null] },
      big: 12345678901234567890n,
    };
    const none = { word: null, at: undefined, bytes: null, tags: null, doc: null, big: null };
    await using sink = postgresSink({ connection: connectionOf(server), table: 'appended', row: (id: number) => ({ id, ...(id === 2 ? none : values) }) });
    await sink.open(session(1, 'appends'));
    expect(await commitAll(sink, 'appends', [[1, 2]])).toEqual(['committed']);
    const checked = String.raw`word = E'a\tb\\c\n\r"''é' AND at = 'epoch' AND bytes = '\x00ff' AND tags = ARRAY['x"y', NULL, '\', 'NULL', ''] AND doc = '{"a": [1, null]}' AND big = 12345678901234567890`;
    expect(server.sql(`SELECT id, ${checked}, num_nulls(word, at, bytes, tags, doc, big) FROM appended ORDER BY id`)).toEqual(['1|t|0', '2||6']);
  });

  it('upserts by key; of several rows with one key the last counts; columns that are not named stay', async () => {
    server.sql(
      "CREATE TABLE \"Up.Sert\" (\"Word\" varchar(5) UNIQUE, n int, tags text[], fixed char(3), mood text DEFAULT 'calm'); INSERT INTO \"Up.Sert\" VALUES ('old', 1, NULL, 'a', 'glad')",
    );
    server.sql('ALTER TABLE "Up.Sert" RENAME TO "UpSert"');
    await using sink = postgresSink({
      connection: connectionOf(server),
      table: 'public.UpSert',
      key: ['Word'],
      row: ([word, n]: [string, number]) => ({ Word: word, n, tags: ['t,"', String(n)], fixed: 'abc' }),
      ...atOnce,
    });
    await sink.open(session(1, 'upserts'));
    const batches: [string, number][][] = [
      [
        ['new', 1],
        ['old', 2],
        ['new', 3],
      ],
      [['new', 4]],
    ];
    expect(await commitAll(sink, 'upserts', batches)).toEqual(['committed', 'committed']);
    expect(server.sql('SELECT * FROM "UpSert" ORDER BY n')).toEqual(['old|2|{"t,\\"",2}|abc|glad', 'new|4|{"t,\\"",4}|abc|calm']);
    // What is too long is refused, as everywhere in Postgres, and not cut.
    const long = sink.prepare([['longer', 1]]);
    await expect(sink.commit(key('upserts', 300), long, record(long, 200))).rejects.toMatchObject({
      code: 'STREAM_SINK',
      message: expect.stringContaining('value too long') as string,
    });
  });

  it.each([
    ['char(5)', 'a', 'a '],
    ['int', '1', '01'],
  ])('says why it refuses keys that a column of the type %s takes for equal', async (type, one, other) => {
    server.sql(`DROP TABLE IF EXISTS alike; CREATE TABLE alike (k ${type} PRIMARY KEY, n int)`);
    await using sink = postgresSink({ connection: connectionOf(server), table: 'alike', key: ['k'], row: (k: string) => ({ k, n: 1 }) });
    await sink.open(session(1, `alike-${type}`));
    const rows = sink.prepare([one, other]);
    await expect(sink.commit(key(`alike-${type}`, 100), rows, record(rows))).rejects.toMatchObject({
      code: 'STREAM_SINK',
      message: expect.stringMatching(
        /cannot affect row a second time; two rows of the partition have keys \(k\) .* make the keys that "row" gives canonical$/,
      ) as string,
    });
    expect(await commitAll(sink, `alike-${type}`, [[one], [other]])).toEqual(['committed', 'committed']);
    expect(server.sql('SELECT count(*) FROM alike')).toEqual(['1']);
  });

  it('takes rows that are nothing but a key', async () => {
    server.sql('CREATE TABLE seen (a int, b text, PRIMARY KEY (b, a))');
    await using sink = postgresSink({ connection: connectionOf(server), table: 'seen', key: ['a', 'b'], row: (a: number) => ({ a, b: 'x' }) });
    await sink.open(session(1, 'seen'));
    expect(await commitAll(sink, 'seen', [[1, 2], [2]])).toEqual(['committed', 'committed']);
    expect(server.sql('SELECT * FROM seen')).toEqual(['1|x', '2|x']);
  });

  it('runs a statement of the user, once per commit', async () => {
    server.sql('CREATE TABLE summed (word text PRIMARY KEY, n int)');
    const sql = 'INSERT INTO summed AS s SELECT * FROM unnest($1::text[], $2::int[]) ON CONFLICT (word) DO UPDATE SET n = s.n + EXCLUDED.n';
    await using sink = postgresSink({ connection: connectionOf(server), sql, columns: ['word', 'n'], row: (n: number) => ({ n, word: 'a' }) });
    await sink.open(session(1, 'sums'));
    await commitAll(sink, 'sums', [[1], [10]]);
    const again = sink.prepare([10]);
    expect(await sink.commit(key('sums', 200), again, record(again, 100, 'plan-200'))).toBe('duplicate');
    expect(server.sql('SELECT * FROM summed')).toEqual(['a|11']);
  });

  it('refuses tables that cannot be right, before it claims anything', async () => {
    server.sql('CREATE UNLOGGED TABLE loose (id int); CREATE VIEW seen_through AS SELECT 1 AS id; CREATE TABLE keyless (id int); CREATE INDEX ON keyless (id)');
    server.sql('CREATE TABLE later (id int UNIQUE DEFERRABLE)');
    const look = async (table: string, keyed = {}) => {
      await using sink = postgresSink({ connection: connectionOf(server), table, row: (id: number) => ({ id }), ...keyed });
      return await sink.look(identity('refused'));
    };
    await expect(look('nowhere')).rejects.toThrow('Cannot use the table "nowhere" of postgresSink as it must be there and be visible to this role: it is not');
    await expect(look('loose')).rejects.toThrow('as it must outlive a crash of the server: it is unlogged or temporary');
    await expect(look('seen_through')).rejects.toThrow('as it must be a table: it is of the kind "v" of pg_class');
    for (const table of ['keyless', 'later'])
      await expect(look(table, { key: ['id'] })).rejects.toThrow('a unique index over exactly the columns of the key, id');
  });

  it('refuses a partitioned table of which a partition would be emptied by a crash of the server, or is elsewhere', async () => {
    server.sql('CREATE TABLE parted (id int) PARTITION BY RANGE (id); CREATE TABLE parted_low PARTITION OF parted FOR VALUES FROM (0) TO (100)');
    server.sql('CREATE TABLE parted_high PARTITION OF parted FOR VALUES FROM (100) TO (300) PARTITION BY RANGE (id)');
    await using sink = postgresSink({ connection: connectionOf(server), table: 'parted', row: (id: number) => ({ id }) });
    await sink.open(session(1, 'parted'));
    // A partition that comes later is not seen before the next connection.
    server.sql('CREATE UNLOGGED TABLE parted_loose PARTITION OF parted_high FOR VALUES FROM (100) TO (200)');
    expect(await commitAll(sink, 'parted', [[1, 100]])).toEqual(['committed']);
    await sink.close();
    const refused = 'Cannot use the table "parted" of postgresSink as each of its partitions must be a table that outlives a crash of the server';
    await expect(sink.open(session(2, 'parted'))).rejects.toMatchObject({
      code: 'STREAM_OPTION',
      message: `${refused}: public.parted_loose is unlogged or temporary`,
    });
    server.sql('ALTER TABLE parted_loose SET LOGGED; CREATE FOREIGN DATA WRAPPER nothing; CREATE SERVER away FOREIGN DATA WRAPPER nothing');
    server.sql('CREATE FOREIGN TABLE parted_away PARTITION OF parted_high FOR VALUES FROM (200) TO (300) SERVER away');
    await expect(sink.open(session(2, 'parted'))).rejects.toThrow(`${refused}: public.parted_away is of the kind "f" of pg_class`);
    server.sql('DROP FOREIGN TABLE parted_away');
    await sink.open(session(2, 'parted'));
    expect(await commitAll(sink, 'parted', [[2, 101]], 2)).toEqual(['committed']);
  });

  it('makes its ledger once, also when two begin at one moment, and prints how when it may not', async () => {
    server.sql('CREATE TABLE made (id int)');
    const sinks = [1, 2, 3].map(() => postgresSink({ connection: connectionOf(server), ledgerSchema: 'Own', table: 'made', row: (id: number) => ({ id }) }));
    await Promise.all(sinks.map((sink, index) => sink.open(session(1, `made-${index}`))));
    for (const sink of sinks) await sink.close();
    expect(server.sql('SELECT count(*) FROM "Own".sink_fence')).toEqual(['3']);
    server.sql(postgresMigration('Own'));
    server.sql("CREATE ROLE humble LOGIN PASSWORD 'secret'; GRANT ALL ON made TO humble");
    const connection = { ...connectionOf(server), user: 'humble' };
    await using humble = postgresSink({ connection, ledgerSchema: 'other', table: 'made', row: (id: number) => ({ id }) });
    await expect(humble.open(session(1, 'humble'))).rejects.toMatchObject({
      code: 'STREAM_OPTION',
      message: expect.stringContaining(postgresMigration('other')) as string,
    });
    // What the message says is enough.
    server.sql(`${postgresMigration('other')}; GRANT USAGE ON SCHEMA other TO humble; GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA other TO humble`);
    await humble.open(session(1, 'humble'));
    expect(await commitAll(humble, 'humble', [[1], [2]])).toEqual(['committed', 'committed']);
  });

  it('asks a function for the password at each connection', async () => {
    server.sql('CREATE TABLE asked (id int)');
    let asked = 0;
    const password = () => {
      asked += 1;
      return Promise.resolve(asked === 3 ? 'stale' : 'secret');
    };
    const connection = { ...connectionOf(server), password };
    await using sink = postgresSink({ connection, table: 'asked', row: (id: number) => ({ id }), ...atOnce });
    await sink.open(session(1, 'asked'));
    await sink.close();
    await sink.open(session(2, 'asked'));
    await sink.close();
    await expect(sink.open(session(3, 'asked'))).rejects.toThrow('password authentication failed');
    expect(asked).toBe(3);
  });

  it('stores synchronously, whatever the role does', async () => {
    server.sql("CREATE TABLE synced (id int, how text DEFAULT current_setting('synchronous_commit')); ALTER ROLE postgres SET synchronous_commit = off");
    await using sink = postgresSink({ connection: connectionOf(server), table: 'synced', row: (id: number) => ({ id }) });
    await sink.open(session(1, 'synced'));
    await commitAll(sink, 'synced', [[1]]);
    await sink.close();
    server.sql('ALTER ROLE postgres SET synchronous_commit = remote_apply');
    await sink.open(session(2, 'synced'));
    await commitAll(sink, 'synced', [[2]], 2);
    server.sql('ALTER ROLE postgres RESET synchronous_commit');
    expect(server.sql('SELECT * FROM synced')).toEqual(['1|on', '2|remote_apply']);
  });

  it.skipIf(spawnSync('openssl', ['version']).status !== 0)('verifies the certificate and the name of the server', async () => {
    const certificate = join(server.root, 'data/server.crt');
    const key = join(server.root, 'data/server.key');
    const made = spawnSync('openssl', [
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-days',
      '2',
      '-subj',
      '/CN=db.example',
      '-addext',
      'subjectAltName=DNS:db.example',
      '-keyout',
      key,
      '-out',
      certificate,
    ]);
    expect(made.status).toBe(0);
    const { uid, gid } = statSync(join(server.root, 'data'));
    for (const file of [key, certificate]) chownSync(file, uid, gid);
    chmodSync(key, 0o600);
    server.sql('ALTER SYSTEM SET ssl = on');
    server.sql('SELECT pg_reload_conf(); CREATE TABLE sealed (id int)');
    const ca = readFileSync(certificate, 'utf8');
    const look = async (tls: PostgresTls) => {
      await using sink = postgresSink({ connection: { ...connectionOf(server), tls }, table: 'sealed', row: (id: number) => ({ id }) });
      return await sink.look(identity('sealed'));
    };
    expect(await look({ ca, servername: 'db.example' })).toMatchObject({ rows: new Map() });
    await expect(look({ ca, servername: 'other.example' })).rejects.toThrow('does not match certificate');
    await expect(look({ servername: 'db.example' })).rejects.toThrow('self-signed certificate');
  });

  it('gives up a server that says nothing', async () => {
    const silent = createServer(() => undefined).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const address = silent.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    await using sink = postgresSink({
      connection: { ...connectionOf(server), port },
      table: 'silent',
      row: (id: number) => ({ id }),
      connectTimeout: milliseconds(100),
    });
    await expect(sink.look(identity('silent'))).rejects.toThrow(
      'Cannot look at "silent" in Postgres as the server must be reached and must answer: timeout expired',
    );
    silent.close();
  });

  it('ends a statement that takes too long', async () => {
    await using sink = postgresSink({
      connection: connectionOf(server),
      sql: 'SELECT pg_sleep(30) FROM unnest($1::text[])',
      columns: ['id'],
      row: (id: number) => ({ id }),
      statementTimeout: milliseconds(150),
      ...atOnce,
    });
    await sink.open(session(1, 'slow'));
    await expect(commitAll(sink, 'slow', [[1]])).rejects.toThrow('canceling statement due to statement timeout');
    expect(ledger(server, 'slow')).toEqual([]);
  });

  it('refuses a large append at its first row and can go on', async () => {
    server.sql('CREATE TABLE large (id int, text text)');
    const text = 'x'.repeat(1000);
    await using sink = postgresSink({ connection: connectionOf(server), table: 'large', row: (id: number | string) => ({ id, text }), ...atOnce });
    await sink.open(session(1, 'large'));
    const wrong = sink.prepare(['no number', ...Array.from({ length: 30_000 }, (_unused, index) => index)]);
    await expect(sink.commit(key('large', 100), wrong, record(wrong))).rejects.toThrow('invalid input syntax for type integer: "no number"');
    expect(await commitAll(sink, 'large', [Array.from({ length: 3000 }, (_unused, index) => index)])).toEqual(['committed']);
    expect(server.sql('SELECT count(*) FROM large')).toEqual(['3000']);
  });

  it('refuses a table that takes fewer rows than it is given', async () => {
    server.sql(
      'CREATE TABLE picky (id int PRIMARY KEY, n int); CREATE FUNCTION pick() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.id = 2 THEN RETURN NULL; END IF; RETURN NEW; END $$; CREATE TRIGGER pick BEFORE INSERT ON picky FOR EACH ROW EXECUTE FUNCTION pick()',
    );
    for (const keyed of [{}, { key: ['id'] }]) {
      await using sink = postgresSink({ connection: connectionOf(server), table: 'picky', row: (id: number) => ({ id, n: 1 }), ...keyed });
      await sink.open(session('key' in keyed ? 2 : 1, 'picky'));
      await expect(commitAll(sink, 'picky', [[1, 2, 3]])).rejects.toThrow('must take all 3 rows: it took 2. Does a trigger take rows aside?');
    }
    expect(server.sql('SELECT count(*) FROM picky')).toEqual(['0']);
  });
});
