// The course's UpdateStateByKeyWordCount: the words since the beginning, in a state that outlives the process.
import { fileSink, StreamingContext } from 'millrace';
import { INTERVALS, outputDirectory, port } from './settings.ts';

export default function create(): StreamingContext {
  const context = new StreamingContext({ appName: 'update-state-by-key-word-count', ...INTERVALS });
  const totals = context
    .socketTextStream('127.0.0.1', port(), { acknowledged: true, uid: 'lines' })
    .flatMap((line) => line.split(' '))
    .map((word) => [word, 1])
    .updateStateByKey<number>((values, total = 0) => values.reduce((left, right) => left + right, total), { uid: 'totals' });
  totals.print({ uid: 'shown' });
  totals.saveTo(fileSink({ directory: outputDirectory(), format: 'ndjson' }), { uid: 'kept' });
  return context;
}
