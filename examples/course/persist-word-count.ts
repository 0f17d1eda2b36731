// The course's PersistWordCount: the words since the beginning, in a table. Rows and the note that they were written stand in one transaction of the sink.
import { levelSink, StreamingContext } from 'millrace';
import { INTERVALS, outputDirectory, port } from './settings.ts';

export default function create(): StreamingContext {
  const context = new StreamingContext({ appName: 'persist-word-count', ...INTERVALS });
  context
    .socketTextStream('127.0.0.1', port(), { acknowledged: true, uid: 'lines' })
    .flatMap((line) => line.split(' '))
    .map((word) => [word, 1])
    .updateStateByKey<number>((values, total = 0) => values.reduce((left, right) => left + right, total), { uid: 'totals' })
    .saveTo(levelSink({ directory: outputDirectory(), key: ([word]) => word, value: ([, total]) => total }), { uid: 'wordcount' });
  return context;
}
