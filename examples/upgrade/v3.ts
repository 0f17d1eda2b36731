// Version 3: counts the words of each batch only. What was counted before would be lost without a word.
import { levelSink, StreamingContext } from 'millrace';
import { port, settingsOf, tableDirectory, wordsOf } from './input.ts';

export default function create(): StreamingContext {
  const context = new StreamingContext(settingsOf('3'));
  context
    .socketTextStream('127.0.0.1', port(), { acknowledged: true, uid: 'lines' })
    .flatMap(wordsOf)
    .map((word) => [word, 1])
    .reduceByKey((left, right) => left + right)
    .saveTo(levelSink({ directory: tableDirectory(), key: ([word]) => word, value: ([, count]) => count }), { uid: 'totals' });
  return context;
}
