// Spark's NetworkWordCount: the words of each batch, counted and shown; and kept, so that the check can add them up.
import { fileSink, StreamingContext } from 'millrace';
import { INTERVALS, outputDirectory, port } from './settings.ts';

export default function create(): StreamingContext {
  const context = new StreamingContext({ appName: 'network-word-count', ...INTERVALS });
  const counts = context
    .socketTextStream('127.0.0.1', port(), { acknowledged: true, uid: 'lines' })
    .flatMap((line) => line.split(' '))
    .map((word) => [word, 1])
    .reduceByKey((left, right) => left + right, { uid: 'counts' });
  counts.print({ uid: 'shown' });
  counts.saveTo(fileSink({ directory: outputDirectory(), format: 'ndjson' }), { uid: 'kept' });
  return context;
}
