// A program that numbers its records by itself and writes a line of its log for each that is durable, and for each partition that is committed. OUT is a directory of files, TABLE a table in LevelDB: the sink is one of them.
import { writeSync } from 'node:fs';
import { subscribe } from 'node:diagnostics_channel';
import { fileSink, levelSink, milliseconds, runMain, StreamingContext } from 'millrace';

const { DIRECTORY = '', OUT = '', TABLE = '', VARIANT = '' } = process.env;
const PARTITION = 'numbers';
const TURN_MS = 2;

const tell = (text) => writeSync(2, `${text}\n`);
subscribe('millrace:partition-committed', ({ batchTime, partitionId, result }) => tell(`${result} ${batchTime}/${partitionId}`));

const receiver = {
  codec: 'json-lines',
  guarantee: { kind: 'exactly-once', because: 'it begins where the log ends' },
  async run({ signal, store, ready, position }) {
    let next = position(PARTITION) ?? 0;
    tell(`from ${next}`);
    for (; !signal.aborted; next++) {
      await ready();
      await new Promise((resolve) => setTimeout(resolve, TURN_MS));
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
    appName: VARIANT === 'other-app' ? 'other' : 'fenced',
    batchInterval: milliseconds(50),
    checkpointInterval: milliseconds(500),
    blockInterval: milliseconds(10),
  });
  const numbers = context.receiverStream(receiver, { uid: VARIANT === 'other-graph' ? 'others' : 'numbers' });
  const sink = OUT === '' ? levelSink({ directory: TABLE, key: (number) => number, value: () => 1 }) : fileSink({ directory: OUT, format: 'ndjson' });
  numbers.saveTo(sink, { uid: 'copies' });
  numbers
    .map((number) => [number % 10, 1])
    .updateStateByKey((values, sum = 0) => values.reduce((a, b) => a + b, sum), { uid: 'counts' })
    .foreachRDD(() => undefined);
  return context;
}

await runMain(DIRECTORY, create);
