// A program for the kill test of files: what is moved into one directory is copied into another, once as NDJSON and once, counted by word, as CSV.
import { fileSink, milliseconds, runMain, StreamingContext } from 'millrace';
import { csvFormat } from 'millrace/csv';

const { DIRECTORY = '', IN = '', OUT = '', COUNTS = '' } = process.env;

function create() {
  const context = new StreamingContext({
    appName: 'files',
    batchInterval: milliseconds(100),
    checkpointInterval: milliseconds(500),
    batchBytesMax: 20_000,
    defaultParallelism: 2,
  });
  const lines = context.textFileStream(IN, { uid: 'in', newFilesOnly: false, settleTime: milliseconds(1) });
  lines.saveTo(fileSink({ directory: OUT, format: 'ndjson' }), { uid: 'copies' });
  lines
    .map((line) => line.split(' ')[1])
    .countByValue({ uid: 'counted' })
    .map(([word, count]) => ({ word, count }))
    .saveTo(fileSink({ directory: COUNTS, format: csvFormat({ columns: ['word', 'count'] }) }), { uid: 'counts' });
  return context;
}

await runMain(DIRECTORY, create);
