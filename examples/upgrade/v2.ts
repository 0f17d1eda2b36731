// Version 2: the state of a word has a field more, over more partitions, and a new operator counts lines by their length.
import { levelSink, StreamingContext } from 'millrace';
import { port, settingsOf, tableDirectory, wordsOf } from './input.ts';

interface Seen {
  readonly count: number;
  /** In how many batches the word was; -1 for batches before there was this field. */
  readonly batches: number;
}

export default function create(): StreamingContext {
  const context = new StreamingContext(settingsOf('2'));
  const lines = context.socketTextStream('127.0.0.1', port(), { acknowledged: true, uid: 'lines' });
  lines
    .flatMap(wordsOf)
    .map((word) => [word, 1])
    .updateStateByKey<Seen>(
      (values, seen = { count: 0, batches: 0 }) =>
        values.length === 0 ? seen : { count: seen.count + values.length, batches: seen.batches < 0 ? -1 : seen.batches + 1 },
      { uid: 'counts', numPartitions: 4, state: { version: 2, migrations: [{ from: 1, value: (count: number): Seen => ({ count, batches: -1 }) }] } },
    )
    .mapValues(({ count }) => count)
    .saveTo(levelSink({ directory: tableDirectory(), key: ([word]) => word, value: ([, count]) => count }), { uid: 'totals' });
  lines
    .map((line) => [line.length, 1])
    .mapWithState<number, [number, number]>(
      (length, one, state) => {
        const count = (state.getOption() ?? 0) + (one ?? 0);
        state.update(count);
        return [length, count];
      },
      { uid: 'lengths' },
    )
    .saveTo(levelSink({ directory: `${tableDirectory()}-lengths`, key: ([length]) => length, value: ([, count]) => count }), { uid: 'lengths-table' });
  return context;
}
