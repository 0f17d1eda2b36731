// A program that numbers its records by itself and writes them into Kafka, twice: as they came with the time of their batch, and as totals per word. Its log has a line for each record that is durable and each partition
// that is committed. BROKER says where the cluster is.
import { writeSync } from 'node:fs';
import { subscribe } from 'node:diagnostics_channel';
import { milliseconds, runMain, StreamingContext } from 'millrace';
import { kafkaSink } from 'millrace/kafka';

const { DIRECTORY = '', BROKER = '', EVENTS = 'events', TOTALS = 'totals', TRANSACTION_MS = '10000', PARTITIONS = '2', TURN_MS = '2' } = process.env;
const PARTITION = 'numbers';
const WORDS = ['to', 'be', 'or', 'not'];

const tell = (text) => writeSync(2, `${text}\n`);
subscribe('millrace:partition-committed', ({ sink, batchTime, partitionId, result }) => tell(`${result} ${sink} ${batchTime}/${partitionId}`));

const receiver = {
  codec: 'json-lines',
  guarantee: { kind: 'exactly-once', because: 'it begins where the log ends' },
  async run({ signal, store, ready, position }) {
    let next = position(PARTITION) ?? 0;
    tell(`from ${next}`);
    for (; !signal.aborted; next++) {
      await ready();
      await new Promise((resolve) => setTimeout(resolve, Number(TURN_MS)));
      const number = next;
      store(number, { partition: PARTITION, from: number, until: number + 1 }).then(
        () => tell(`durable ${number}`),
        () => undefined,
      );
    }
  },
};

function create() {
  const context = new StreamingContext({
    appName: 'numbers',
    batchInterval: milliseconds(100),
    checkpointInterval: milliseconds(500),
    blockInterval: milliseconds(25),
  });
  const cluster = { brokers: [BROKER], markerTopic: `${EVENTS}-markers`, transactionTimeout: milliseconds(Number(TRANSACTION_MS)) };
  const numbers = context.receiverStream(receiver, { uid: 'numbers' });
  numbers
    .transform((rdd, { time }) => rdd.map((id) => ({ batch: Number(time), id, word: WORDS[id % WORDS.length] })), { uid: 'timed' })
    .saveTo(kafkaSink({ ...cluster, topic: EVENTS, key: ({ word }) => word, value: ({ batch, id }) => `${batch} ${id}` }), { uid: 'events' });
  numbers
    .map((id) => [WORDS[id % WORDS.length], 1])
    .updateStateByKey((values, sum = 0) => values.reduce((a, b) => a + b, sum), { uid: 'counts', numPartitions: Number(PARTITIONS) })
    .saveTo(kafkaSink({ ...cluster, topic: TOTALS, key: ([word]) => word, value: ([, total]) => JSON.stringify(total) }), { uid: 'totals' });
  return context;
}

await runMain(DIRECTORY, create);
