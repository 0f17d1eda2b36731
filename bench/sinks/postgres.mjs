// The cost of the Postgres sink: append against a bare COPY, upsert against a hand-written INSERT ... SELECT unnest ... ON CONFLICT, each of the same rows in equally large transactions, and what fence and ledger add to
// a small commit. Use: npm run bench:sinks. Interleaved pairs, median of their ratios; exit code 1 if a target is missed.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { postgresSink } from 'millrace/postgres';

const PAIRS = 9;
const ROWS = 50_000;
const COMMITS = 4;
const SMALL_COMMITS = 200;
const WORDS = ['stream', 'batch', 'ledger', 'fence', 'commit', 'partition', 'checkpoint'];

const missed = [];

function median(values) {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.floor(sorted.length / 2)];
}

function report(name, value, note) {
  process.stdout.write(`${name.padEnd(62)} ${value.padEnd(34)} ${note}\n`);
}

async function startServer() {
  const root = '/usr/lib/postgresql';
  const versions = existsSync(root) ? readdirSync(root).toSorted((left, right) => Number(right) - Number(left)) : [];
  const bin = versions.map((version) => join(root, version, 'bin')).find((path) => existsSync(join(path, 'initdb')));
  if (bin === undefined) throw new Error('NOT RUN: PostgreSQL is not installed (Debian: apt-get install postgresql)');
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  const guardian = fileURLToPath(new URL('../../test/support/postgres-guardian.mjs', import.meta.url));
  const child = spawn(process.execPath, [guardian, bin, mkdtempSync(join(tmpdir(), 'millrace-bench-')), String(port)], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.write('start\n');
  const [line] = await once(createInterface({ input: child.stdout }), 'line');
  if (!line.startsWith('ready')) throw new Error(`PostgreSQL did not start: ${line}`);
  const connection = { host: '127.0.0.1', port, user: 'postgres', password: 'secret', database: 'postgres' };
  return {
    connection,
    async close() {
      child.stdin.end();
      await once(child, 'exit');
    },
  };
}

/** Rows as a program has them: in objects. */
function makeRows(count, round) {
  return Array.from({ length: count }, (_unused, index) => ({
    id: index,
    word: `${WORDS[index % WORDS.length]}-${index % 9973}`,
    amount: (index * 7 + round) % 100_003,
  }));
}

async function copy(client, lines) {
  const stream = client.query(copyFrom('COPY target (id, word, amount) FROM STDIN'));
  stream.end(lines);
  await once(stream, 'finish');
}

/** Pairs of runs, in turn; returns seconds of each and the median of their ratios. */
async function interleaved(bare, sink) {
  const ratios = [];
  const seconds = { bare: [], sink: [] };
  for (let pair = -1; pair < PAIRS; pair++) {
    const order = pair % 2 === 0 ? ['bare', 'sink'] : ['sink', 'bare'];
    const took = {};
    for (const name of order) took[name] = await (name === 'bare' ? bare : sink)(pair + 1);
    // The first pair warms up.
    if (pair < 0) continue;
    ratios.push(took.bare / took.sink);
    for (const name of order) seconds[name].push(took[name]);
  }
  return { ratio: median(ratios), bare: median(seconds.bare), sink: median(seconds.sink) };
}

const server = await startServer();
const client = new pg.Client(server.connection);
await client.connect();
let time = 0;
let epoch = 0;

/** Seconds for so many commits through a sink. */
async function throughSink(options, partitions) {
  await client.query('TRUNCATE target; CHECKPOINT');
  const sink = postgresSink({ connection: server.connection, table: 'target', row: (row) => row, ...options });
  epoch += 1;
  const uid = `bench-${epoch}`;
  await sink.open({ app: 'bench', sink: uid, storeId: 's', epoch, incarnation: String(epoch), partitions: [] });
  let previous;
  const start = performance.now();
  for (const rows of partitions) {
    const prepared = sink.prepare(rows);
    time += 1000;
    const record = { planId: String(time), fingerprint: prepared.fingerprint, ...(previous === undefined ? {} : { previous }) };
    await sink.commit({ app: 'bench', sink: uid, batchTime: time, partitionId: 0 }, prepared, record);
    previous = time;
  }
  const seconds = (performance.now() - start) / 1000;
  await sink.close();
  return seconds;
}

/** Seconds for so many transactions by hand. */
async function byHand(partitions, write) {
  await client.query('TRUNCATE target; CHECKPOINT');
  const start = performance.now();
  for (const rows of partitions) {
    await client.query('BEGIN');
    await write(rows);
    await client.query('COMMIT');
  }
  return (performance.now() - start) / 1000;
}

const lines = (rows) => rows.map(({ id, word, amount }) => `${id}\t${word}\t${amount}\n`).join('');
const parts = (round, count = COMMITS, rows = ROWS) => Array.from({ length: count }, (_unused, index) => makeRows(rows, round * COMMITS + index));

async function benchAppend() {
  await client.query('CREATE TABLE target (id int, word text, amount int)');
  const sink = (round) => throughSink({}, parts(round));
  const name = `append, ${COMMITS} commits of ${ROWS} rows`;
  const { ratio, bare } = await interleaved((round) => byHand(parts(round), (rows) => copy(client, lines(rows))), sink);
  report(name, `${ratio.toFixed(2)} of a bare COPY`, `bare ${Math.round((COMMITS * ROWS) / bare / 1000)} k rows/s, the text of the rows made by hand`);
  const ready = await interleaved((round) => byHand(parts(round).map(lines), (text) => copy(client, text)), sink);
  report(
    name,
    `${ready.ratio.toFixed(2)} of a bare COPY`,
    `bare ${Math.round((COMMITS * ROWS) / ready.bare / 1000)} k rows/s, the text of the rows ready before`,
  );
  if (ratio < 0.6) missed.push('append: at least 0.6');
}

async function benchSmall() {
  const { bare, sink } = await interleaved(
    (round) => byHand(parts(round, SMALL_COMMITS, 1), (rows) => copy(client, lines(rows))),
    (round) => throughSink({}, parts(round, SMALL_COMMITS, 1)),
  );
  const more = ((sink - bare) / SMALL_COMMITS) * 1000;
  report(
    `fence and ledger, ${SMALL_COMMITS} commits of 1 row`,
    `${more.toFixed(2)} ms more per commit`,
    `bare ${((bare / SMALL_COMMITS) * 1000).toFixed(2)} ms`,
  );
  if (more >= 1) missed.push('fence and ledger: under 1 ms');
}

async function benchUpsert() {
  await client.query('DROP TABLE target; CREATE TABLE target (id int PRIMARY KEY, word text, amount int)');
  const sql =
    'INSERT INTO target (id, word, amount) SELECT * FROM unnest($1::int[], $2::text[], $3::int[]) ON CONFLICT (id) DO UPDATE SET word = EXCLUDED.word, amount = EXCLUDED.amount';
  const write = (rows) => client.query(sql, [rows.map(({ id }) => id), rows.map(({ word }) => word), rows.map(({ amount }) => amount)]);
  const { ratio, bare } = await interleaved(
    (round) => byHand(parts(round), write),
    (round) => throughSink({ key: ['id'] }, parts(round)),
  );
  report(
    `upsert, ${COMMITS} commits of ${ROWS} rows, all but the first replace`,
    `${ratio.toFixed(2)} of a hand-written upsert`,
    `by hand ${Math.round((COMMITS * ROWS) / bare / 1000)} k rows/s`,
  );
  if (ratio < 0.8) missed.push('upsert: at least 0.8');
}

try {
  await benchAppend();
  await benchSmall();
  await benchUpsert();
} finally {
  await client.end();
  await server.close();
}
for (const name of missed) process.stdout.write(`MISSED ${name}\n`);
process.exitCode = missed.length === 0 ? 0 : 1;
