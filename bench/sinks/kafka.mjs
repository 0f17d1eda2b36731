// The cost of the Kafka sink: against a bare transactional producer of kafkajs that sends the same chunks, in equally large transactions, and what the marker adds to a small one.
// Use: npm run bench:sinks. Interleaved pairs, median of their ratios; exit code 1 if a target is missed.
import { Kafka, logLevel } from 'kafkajs';
import { kafkaSink } from 'millrace/kafka';
import { KafkaBroker } from '../../test/support/kafka-broker.mjs';

const PAIRS = 9;
const ROWS = 20_000;
const COMMITS = 2;
const SMALL_COMMITS = 50;
const CHUNK = 2000;
const VALUE = 'x'.repeat(90);

const missed = [];

function median(values) {
  return values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)];
}

function report(name, value, note) {
  process.stdout.write(`${name.padEnd(62)} ${value.padEnd(38)} ${note}\n`);
}

/** Pairs of runs, in turn; returns seconds of each and the median of their ratios. */
async function interleaved(bare, sink) {
  const ratios = [];
  const seconds = { bare: [], sink: [] };
  for (let pair = -1; pair < PAIRS; pair++) {
    const order = pair % 2 === 0 ? ['bare', 'sink'] : ['sink', 'bare'];
    const took = {};
    for (const name of order) took[name] = await (name === 'bare' ? bare : sink)();
    // The first pair warms up.
    if (pair < 0) continue;
    ratios.push(took.bare / took.sink);
    for (const name of order) seconds[name].push(took[name]);
  }
  return { ratio: median(ratios), bare: median(seconds.bare), sink: median(seconds.sink) };
}

const makeRows = (count) => Array.from({ length: count }, (_unused, index) => ({ id: index, word: `word-${index % 9973}` }));
const value = ({ id }) => `${id} ${VALUE}`;

async function timed(work) {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

const broker = await KafkaBroker.start();
const kafka = new Kafka({ brokers: [broker.address], logLevel: logLevel.NOTHING, retry: { initialRetryTime: 30, retries: 10 } });
const admin = kafka.admin();
await admin.connect();
await admin.createTopics({ topics: [{ topic: 'bare' }, { topic: 'sink' }], waitForLeaders: true });
await admin.disconnect();
const producer = kafka.producer({ transactionalId: 'bare', maxInFlightRequests: 1 });
await producer.connect();
await (await producer.transaction()).abort();
const sink = kafkaSink({ topic: 'sink', brokers: [broker.address], key: ({ word }) => word, value });
await sink.open({ app: 'bench', sink: 'out', storeId: 's', epoch: 1, incarnation: 'i', partitions: [0] });
let time = 0;

/** Seconds for so many transactions by hand: the same messages in the same chunks. */
const byHand = (commits, count) =>
  timed(async () => {
    for (let commit = 0; commit < commits; commit++) {
      const messages = makeRows(count).map((row) => ({ key: row.word, value: value(row), partition: 0 }));
      const transaction = await producer.transaction();
      for (let at = 0; at < count; at += CHUNK) await transaction.send({ topic: 'bare', messages: messages.slice(at, at + CHUNK) });
      await transaction.commit();
    }
  });

/** Seconds for so many commits through the sink. */
const throughSink = (commits, count) =>
  timed(async () => {
    for (let commit = 0; commit < commits; commit++) {
      const prepared = sink.prepare(makeRows(count));
      const previous = time === 0 ? {} : { previous: time };
      time += 1000;
      await sink.commit({ app: 'bench', sink: 'out', batchTime: time, partitionId: 0 }, prepared, {
        planId: String(time),
        fingerprint: prepared.fingerprint,
        ...previous,
      });
    }
  });

try {
  const large = await interleaved(
    () => byHand(COMMITS, ROWS),
    () => throughSink(COMMITS, ROWS),
  );
  report(
    `kafka, ${COMMITS} commits of ${ROWS} rows of 100 bytes`,
    `${large.ratio.toFixed(2)} of a bare transactional producer`,
    `bare ${Math.round((COMMITS * ROWS) / large.bare / 1000)} k rows/s`,
  );
  if (large.ratio < 0.7) missed.push('kafka: at least 0.7');
  const small = await interleaved(
    () => byHand(SMALL_COMMITS, 1),
    () => throughSink(SMALL_COMMITS, 1),
  );
  report(
    `marker, ${SMALL_COMMITS} commits of 1 row`,
    `${(((small.sink - small.bare) / SMALL_COMMITS) * 1000).toFixed(2)} ms more per commit`,
    `bare ${((small.bare / SMALL_COMMITS) * 1000).toFixed(2)} ms`,
  );
} finally {
  await sink.close();
  await producer.disconnect();
  await broker.close();
}
for (const name of missed) process.stdout.write(`MISSED ${name}\n`);
process.exitCode = missed.length === 0 ? 0 : 1;
