// Goal: what the Postgres sink decides and says, without a server. Method: tables over its pure functions; what needs a server is in test/chaos/process/postgres.
import { describe, expect, it } from 'vitest';
import { toBatchTime } from '../../../src/core/time.ts';
import type { LedgerRow, SinkFence } from '../../../src/index.ts';
import { postgresMigration, postgresSink, type PostgresSinkOptions } from '../../../src/sinks/postgres-sink.ts';
import { isLoopback } from '../../../src/sinks/is-loopback.ts';
import { resolveConnection, tlsOf } from '../../../src/sinks/postgres/connection.ts';
import { cellText, encodeArrays, encodeLines } from '../../../src/sinks/postgres/encode-rows.ts';
import { judgeReconnect } from '../../../src/sinks/judge-reconnect.ts';
import { judgeTrouble } from '../../../src/sinks/postgres/judge-trouble.ts';
import { quoteName, quoteTable, quoteText } from '../../../src/sinks/postgres/names.ts';
import { retryPauseMs } from '../../../src/sinks/retry-pause.ts';
import { upsertStatement } from '../../../src/sinks/postgres/statements.ts';

const server = (code: string): Error => Object.assign(new Error('of the server'), { code, severity: 'ERROR' });
const network = (code?: string): Error => Object.assign(new Error('of the network'), code === undefined ? {} : { code });

describe('judgeTrouble()', () => {
  it.each([
    ['a serialization failure', server('40001'), 'again'],
    ['a deadlock', server('40P01'), 'again'],
    ['a lock that was not available', server('55P03'), 'again'],
    ['a statement that took too long', server('57014'), 'again'],
    ['a shutdown', server('57P01'), 'again'],
    ['a crash', server('57P02'), 'again'],
    ['a start', server('57P03'), 'again'],
    ['a database that was dropped', server('57P04'), 'refused'],
    ['an idle transaction', server('25P03'), 'again'],
    ['a read-only server', server('25006'), 'again'],
    ['too many connections', server('53300'), 'again'],
    ['a full disk', server('53100'), 'again'],
    ['an input error of the server', server('58030'), 'again'],
    ['a lost connection', server('08006'), 'again'],
    ['a unique violation', server('23505'), 'refused'],
    ['a deferred constraint', server('23503'), 'refused'],
    ['a missing table', server('42P01'), 'refused'],
    ['a denied table', server('42501'), 'refused'],
    ['a wrong password', server('28P01'), 'refused'],
    ['a value that does not fit', server('22001'), 'refused'],
    ['a refused connection', network('ECONNREFUSED'), 'again'],
    ['a broken pipe, whose errno looks like a SQLSTATE', network('EPIPE'), 'again'],
    ['a connection that ended', network(), 'again'],
    ['a certificate of another name', network('ERR_TLS_CERT_ALTNAME_INVALID'), 'refused'],
    ['a certificate signed by itself', network('DEPTH_ZERO_SELF_SIGNED_CERT'), 'refused'],
    ['a certificate of nobody', network('UNABLE_TO_VERIFY_LEAF_SIGNATURE'), 'refused'],
  ] as const)('%s: %s', (_name, error, verdict) => expect(judgeTrouble(error)).toBe(verdict));
});

describe('judgeReconnect()', () => {
  const session = { app: 'a', sink: 's', storeId: 'st', epoch: 2, incarnation: 'i2', partitions: [] };
  const mine: SinkFence = { epoch: 2, incarnation: 'i2', storeId: 'st' };
  const row = (batchTime: number, planId = 'p'): LedgerRow => ({ batchTime: toBatchTime(batchTime), planId, epoch: 2, fingerprint: `f${batchTime}`, rows: 1 });
  const rows = (...times: readonly (number | LedgerRow)[]) => new Map(times.map((time, partition) => [partition, typeof time === 'number' ? row(time) : time]));
  const none = new Map<number, LedgerRow>();
  it.each([
    ['nothing was committed', mine, none, none, none, 'same'],
    ['all rows as they were', mine, rows(100, 200), none, rows(100, 200), 'same'],
    ['a doubtful commit that stands', mine, rows(100), rows(200), rows(200), 'same'],
    ['a doubtful commit that does not', mine, rows(100), rows(200), rows(100), 'same'],
    ['a doubtful first commit that stands', mine, none, rows(200), rows(200), 'same'],
    ['an older row', mine, rows(200), none, rows(100), 'conflict'],
    ['an older row under a doubtful commit', mine, rows(200), rows(300), rows(100), 'conflict'],
    ['no row', mine, rows(200), none, none, 'conflict'],
    ['a row of another plan', mine, rows(200), none, rows(row(200, 'other')), 'conflict'],
    ['a row of a partition that never committed', mine, none, none, rows(100), 'conflict'],
    ['no fence', undefined, none, none, none, 'conflict'],
    ['an older fence', { ...mine, epoch: 1 }, none, none, none, 'conflict'],
    ['a newer fence', { ...mine, epoch: 3 }, rows(100), none, rows(200), 'fenced'],
    ["a twin's fence", { ...mine, incarnation: 'x' }, none, none, none, 'fenced'],
    ["another store's fence", { ...mine, storeId: 'x', epoch: 1 }, none, none, none, 'fenced'],
  ] as const)('%s', (_name, fence, known, doubtful, found, verdict) =>
    expect(judgeReconnect({ session, known, doubtful, found: fence === undefined ? { rows: found } : { fence, rows: found } }).kind).toBe(verdict),
  );
});

describe('names and texts', () => {
  it.each([
    ['rows', '"rows"'],
    ['Own.My Rows', '"Own"."My Rows"'],
    ['a"; DROP TABLE b; --', '"a""; DROP TABLE b; --"'],
  ])('quoteTable(%j)', (name, quoted) => expect(quoteTable(name)).toBe(quoted));
  it.each(['', 'a.b.c', '.a', 'a.', 'a\nb', 'a\0', 'x'.repeat(64), 'é'.repeat(32), 7])('quoteTable(%j) is refused', (name) =>
    expect(() => quoteTable(name)).toThrow('of postgresSink as it must be'),
  );
  it.each([
    ["it's", "'it''s'"],
    [String.raw`a\' OR 1`, String.raw` E'a\\'' OR 1'`],
  ])('quoteText(%j)', (text, quoted) => expect(quoteText(text)).toBe(quoted));
  it.each(['"', 'a"b""', '""'])('quoteName(%j) leaves no quote open', (name) => expect(quoteName(name).slice(1, -1).replaceAll('""', '')).not.toContain('"'));
});

describe('cellText()', () => {
  it.each([
    ['a', 'a'],
    [1.5, '1.5'],
    [-0, '0'],
    [Number.NaN, 'NaN'],
    [2n ** 64n, '18446744073709551616'],
    [true, 'true'],
    [null, null],
    [undefined, null],
    [new Date(0), '1970-01-01T00:00:00.000Z'],
    [Uint8Array.of(0, 255), String.raw`\x00ff`],
    [{ a: [1] }, '{"a":[1]}'],
    [[1, 'x y', null, '', 'NULL', '12', '\\{"'], String.raw`{1,"x y",NULL,"","NULL","12","\\{\""}`],
    [[[1], ['a']], '{{1},{"a"}}'],
    [[{ a: '"' }], String.raw`{"{\"a\":\"\\\"\"}"}`],
  ])('case %#', (value, text) => expect(cellText(value)).toBe(text));
  it.each([
    [() => 1, 'a function has no text'],
    [Symbol('s'), 'a symbol has no text'],
    [new Map(), 'an instance of Map has no text'],
    [new Date(Number.NaN), 'Invalid time value'],
  ])('refuses case %#', (value, message) => expect(() => cellText(value)).toThrow(message));
});

describe('encodeLines()', () => {
  const text = (rows: readonly object[]): string => Buffer.from(encodeLines(rows as never).lines).toString();
  it('writes lines of COPY', () =>
    expect(
      text([
        { a: 'x\ty\n\\', b: null },
        { b: '\r', a: String.raw`\N` },
      ]),
    ).toBe('x\\ty\\n\\\\\t\\N\n\\\\N\t\\r\n'));
  it.each([
    ['other columns', [{ a: 1 }, { b: 1 }], 'row 1 of a partition for Postgres: it must have the columns a: it has b'],
    ['more columns', [{ a: 1 }, { a: 1, b: 1 }], 'row 1'],
    ['no columns', [{}], 'row 0 of a partition for Postgres: it must be an object with a field per column: it has none'],
    ['a value without a text', [{ a: 1 }, { a: new Map() }], 'row 1 of a partition for Postgres: column "a": an instance of Map has no text'],
    ['a zero character', [{ a: 1 }, { a: 'x\0' }], 'row 1'],
    ['half a character', [{ a: 'x' }, { a: 'y' }, { a: '\ud800' }], 'row 2'],
  ])('refuses %s', (_name, rows, message) => expect(() => text(rows)).toThrow(message));
  it('has a fingerprint of columns, rows and their order', () => {
    const of = (...rows: readonly object[]): string => encodeLines(rows as never).fingerprint;
    expect(of({ a: 1 })).toMatch(/^[0-9a-f]{32}$/);
    expect(of({ a: 1 })).toBe(of({ a: '1' }));
    expect(new Set([of({ a: 1 }), of({ b: 1 }), of({ a: null }), of({ a: '' }), of({ a: 1 }, { a: 2 }), of({ a: 2 }, { a: 1 })]).size).toBe(6);
  });
});

describe('encodeArrays()', () => {
  const rows = [
    { k: 'a', l: 1, v: 1 },
    { l: 1, v: 2, k: 'b' },
    { k: 'a', l: 1, v: 3 },
    { k: 'a', l: 2, v: 4 },
  ];
  it('keeps the columns and the order it is given', () =>
    expect(encodeArrays(rows, { columns: ['v', 'k', 'l'] }).values).toEqual(['{1,2,3,4}', '{"a","b","a","a"}', '{1,1,1,2}']));
  it('keeps the last row of each key', () => {
    expect(encodeArrays(rows, { key: ['l', 'k'] })).toMatchObject({ values: ['{"a","b","a"}', '{1,1,2}', '{3,2,4}'], count: 3 });
    expect(encodeArrays(rows, { key: ['k'] })).toMatchObject({ values: ['{"a","b"}', '{2,1}', '{4,2}'], count: 2 });
  });
  it('has a fingerprint of columns, rows and their order', () => {
    const of = (...given: readonly object[]): string => encodeArrays(given as never, {}).fingerprint;
    expect(of({ a: 1 })).toMatch(/^[0-9a-f]{32}$/);
    expect(new Set([of({ a: 1 }), of({ b: 1 }), of({ a: null }), of({ a: '' }), of({ a: 1 }, { a: 2 }), of({ a: 2 }, { a: 1 })]).size).toBe(6);
  });
  it.each([
    ['a row without the key', rows, { key: ['x'] }, 'row 0 of a partition for Postgres: it must have the columns of the key, x: it has k, l, v'],
    ['a key that is NULL', [{ k: 1 }, { k: null }], { key: ['k'] }, 'row 1 of a partition for Postgres: a column of the key, k, must have a value: it is NULL'],
    ['other columns', rows, { columns: ['k'] }, 'row 0 of a partition for Postgres: it must have the columns k: it has k, l, v'],
    ['a zero character', [{ k: 'a' }, { k: '\0' }], {}, 'row 1'],
    ['half a character', [{ k: '\udc00' }], {}, 'row 0'],
    ['a value without a text', [{ k: 1 }, { k: Symbol('s') }], {}, 'row 1 of a partition for Postgres: column "k": a symbol has no text'],
  ])('refuses %s', (_name, given, rule, message) => expect(() => encodeArrays(given, rule)).toThrow(message));
});

it('upsertStatement() casts arrays of arrays one by one and replaces all but the key', () => {
  const column = (name: string, type: string, isNested = false) => ({ name, type, isNested });
  const sql = upsertStatement('"t"', [column('k', 'text'), column('n"', 'integer'), column('tags', 'text[]', true)], ['k']);
  expect(sql).toBe(
    'INSERT INTO "t" ("k", "n""", "tags") SELECT r.c0, r.c1, r.c2::text[] FROM unnest($1::text[], $2::integer[], $3::text[]) AS r(c0, c1, c2) ' +
      'ON CONFLICT ("k") DO UPDATE SET "n""" = EXCLUDED."n""", "tags" = EXCLUDED."tags"',
  );
});

describe('the connection', () => {
  it.each(['localhost', '127.0.0.1', '127.3.2.1', '::1', '/var/run/postgresql'])('%s is this machine', (host) => expect(isLoopback(host)).toBe(true));
  it.each(['db', '10.0.0.1', 'localhost.example.org', '127.0.0.1.example.org', '::2'])('%s is not', (host) => expect(isLoopback(host)).toBe(false));
  it.each([
    ['another machine', undefined, false, { rejectUnauthorized: true }],
    ['this machine', undefined, true, undefined],
    ['another machine, off', 'off', false, false],
    ['certificates', { ca: 'x' }, true, { ca: 'x', rejectUnauthorized: true }],
  ] as const)('TLS to %s', (_name, tls, isLocal, config) => expect(tlsOf(tls, isLocal)).toEqual(config));
  it('is read from a URL', () => {
    expect(resolveConnection('postgres://u:p%40@db:5433/base')).toEqual({ host: 'db', port: 5433, user: 'u', password: 'p@', database: 'base' });
    expect(resolveConnection('postgresql://[::1]')).toEqual({ host: '::1' });
    expect(resolveConnection(undefined)).toEqual({});
  });
  it.each([
    ['mysql://db', 'begins with postgres://'],
    ['no url', 'a URL postgres://'],
    ['postgres://u:secret@db/base?sslmode=disable', 'without "sslmode"'],
    [{ hosts: 'db' }, 'the option hosts of postgresSink.connection as it is unknown'],
    [{ port: 0 }, 'from 1 to 65535'],
    [{ host: '' }, 'connection.host'],
    [{ password: 7 }, 'connection.password'],
    [{ tls: 'on' }, "an object or 'off'"],
    [{ tls: { rejectUnauthorized: false } }, 'rejectUnauthorized'],
  ])('%j is refused', (given, message) => {
    let said = '';
    try {
      resolveConnection(given as never);
    } catch (error) {
      said = String(error);
    }
    expect(said).toContain(message);
    expect(said).not.toContain('secret');
  });
});

describe('postgresSink()', () => {
  const row = (id: number) => ({ id });
  it.each([
    ['no target', { row }, "'table' or 'schema.table'"],
    ['no row', { table: 't' }, 'the option row'],
    ['an unknown option', { table: 't', row, tabel: 'x' }, 'tabel'],
    ['a mode that there is not', { table: 't', row, mode: 'replace' }, "'append' or 'upsert'"],
    ['append with a key', { table: 't', row, mode: 'append', key: ['id'] }, "left out in the mode 'append'"],
    ['upsert without a key', { table: 't', row, mode: 'upsert' }, 'the option key'],
    ['an empty key', { table: 't', row, key: [] }, 'not empty'],
    ['a column twice', { table: 't', row, key: ['id', 'id'] }, 'each once'],
    ['an empty statement', { sql: ' ', columns: ['a'], row }, 'a statement'],
    ['a statement without columns', { sql: 'SELECT 1', row }, 'the option columns'],
    ['a statement and a key', { sql: 'SELECT 1', columns: ['a'], row, key: ['a'] }, 'the option key of postgresSink as it is unknown'],
    ['a lock timeout that a paused driver outlasts', { table: 't', row, lockTimeout: 5000 }, 'longer than idleTransactionTimeout, 10000 ms: found 5000'],
    ['a schema that is no name', { table: 't', row, ledgerSchema: '' }, 'ledgerSchema'],
    ['no time', { table: 't', row, connectTimeout: 0 }, 'connectTimeout'],
  ])('refuses %s', (_name, options, message) => expect(() => postgresSink(options as unknown as PostgresSinkOptions<number>)).toThrow(message));
  it('refuses a commit while it is closed', async () => {
    await using sink = postgresSink({ table: 't', row });
    const rows = sink.prepare([1]);
    const key = { app: 'a', sink: 's', batchTime: toBatchTime(100), partitionId: 0 };
    await expect(sink.commit(key, rows, { planId: 'p', fingerprint: rows.fingerprint })).rejects.toThrow(
      'Cannot commit to "s" as the sink must be open: it is closed',
    );
  });
  it('prints a migration that may run again', () => {
    expect(postgresMigration('My "schema"')).toContain('CREATE TABLE IF NOT EXISTS "My ""schema""".sink_ledger');
    expect(postgresMigration().match(/CREATE (SCHEMA|TABLE) (?!IF NOT EXISTS)/)).toBeNull();
  });
});

it('retryPauseMs() doubles up to two seconds, half of it by chance', () => {
  const all = (byte: number): readonly number[] => [1, 2, 3, 7, 50].map((failures) => retryPauseMs(failures, { bytes: () => Uint8Array.of(byte) }));
  expect(all(0)).toEqual([25, 50, 100, 1000, 1000]);
  expect(all(128)).toEqual([37.5, 75, 150, 1500, 1500]);
});
