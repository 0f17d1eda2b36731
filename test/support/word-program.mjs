// A program for the tests of real processes, as a module whose default export makes it; VARIANT says what is special about it. It imports the built package by its name, as a user's does.
import { levelSink, milliseconds, StreamingContext } from 'millrace';

const { VARIANT = '', PORT = '1', TABLE = '', ACKNOWLEDGED = '', CHECKPOINT_MS = '500', MISSED = 'skip', BATCHES = '' } = process.env;
const isOther = VARIANT === 'other-graph';

export default function create() {
  const context = new StreamingContext({
    appName: VARIANT === 'other-app' ? 'other' : 'program',
    batchInterval: milliseconds(100),
    checkpointInterval: milliseconds(Number(CHECKPOINT_MS)),
    blockInterval: milliseconds(20),
    receiverRestartDelay: milliseconds(50),
    missedBatches: MISSED,
  });
  // With BATCHES each batch is a line of the log, with what the wall clock says.
  if (BATCHES === '1') context.addListener({ onBatchCompleted: ({ batchTime }) => void process.stderr.write(`batch ${batchTime} at ${Date.now()}\n`) });
  const lines = context.socketTextStream('127.0.0.1', Number(PORT), {
    uid: isOther ? 'others' : 'lines',
    acknowledged: ACKNOWLEDGED === '1',
    lineBytesMax: 100_000,
  });
  lines
    .map((line) => {
      if (VARIANT === 'throws' && line === 'boom') throw new Error('the function does not like boom');
      return [line.slice(0, 20), 1];
    })
    .updateStateByKey((values, sum = 0) => values.reduce((a, b) => a + b, sum), { uid: isOther ? 'sums' : 'counts' })
    .saveTo(levelSink({ directory: TABLE, key: ([word]) => word, value: ([, count]) => count }), { uid: 'totals' });
  return context;
}
