// The program: words of acknowledged lines, counted for ever, into a table on disk.
import { levelSink, milliseconds, seconds, StreamingContext } from 'millrace';

/** The words of a line, in lower case. */
function wordsOf(line: string): string[] {
  return line.toLowerCase().match(/[a-z0-9']+/g) ?? [];
}

function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`Cannot build the program as ${name} must be set: it is not`);
  return value;
}

export default function create(): StreamingContext {
  const context = new StreamingContext({
    appName: 'word-count',
    batchInterval: milliseconds(200),
    checkpointInterval: seconds(1),
    blockInterval: milliseconds(50),
    receiverRestartDelay: milliseconds(100),
  });
  context
    .socketTextStream('127.0.0.1', Number(setting('FEEDER_PORT')), { acknowledged: true, uid: 'lines' })
    .flatMap(wordsOf)
    .map((word) => [word, 1])
    .updateStateByKey<number>((values, sum = 0) => values.reduce((a, b) => a + b, sum), { uid: 'counts', numPartitions: 4 })
    .saveTo(levelSink({ directory: setting('SINK_DIRECTORY'), key: ([word]) => word, value: ([, count]) => count }), { uid: 'totals' });
  return context;
}
