// A program for the tests of real processes; VARIANT says what is special about it. It imports the built package by its name, as a user's does.
import { levelSink, milliseconds, runMain, StreamingContext } from 'millrace';

const { VARIANT = '', PORT = '1', DIRECTORY = '', TABLE = '', ACKNOWLEDGED = '', CHECKPOINT_MS = '500', MISSED = 'skip', BATCHES = '' } = process.env;

function create() {
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
  const lines = context.socketTextStream('127.0.0.1', Number(PORT), { uid: 'lines', acknowledged: ACKNOWLEDGED === '1', lineBytesMax: 100_000 });
  const pairs = (VARIANT === 'other-graph' ? lines.filter((line) => line !== '') : lines).map((line) => {
    if (VARIANT === 'throws' && line === 'boom') throw new Error('the function does not like boom');
    return [line.slice(0, 20), 1];
  });
  pairs
    .updateStateByKey((values, sum = 0) => values.reduce((a, b) => a + b, sum), { uid: 'counts' })
    .saveTo(levelSink({ directory: TABLE, key: ([word]) => word, value: ([, count]) => count }), { uid: 'totals' });
  return context;
}

await runMain(DIRECTORY, create);
