// Version 1: a count for each word.
import { levelSink, StreamingContext } from 'millrace';
import { port, settingsOf, tableDirectory, wordsOf } from './input.ts';

export default function create(): StreamingContext {
  const context = new StreamingContext(settingsOf('1'));
  context
    .socketTextStream('127.0.0.1', port(), { acknowledged: true, uid: 'lines' })
    .flatMap(wordsOf)
    .map((word) => [word, 1])
    .updateStateByKey<number>((values, sum = 0) => sum + values.length, { uid: 'counts' })
    .saveTo(levelSink({ directory: tableDirectory(), key: ([word]) => word, value: ([, count]) => count }), { uid: 'totals' });
  return context;
}
