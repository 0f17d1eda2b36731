// The course's PersistWordCount as it is in the course, into a table of a database: the words since the beginning, in PostgreSQL. A row is replaced by the next total of its word. PG* variables say where the server is.
import { StreamingContext } from 'millrace';
import { postgresSink } from 'millrace/postgres';
import { INTERVALS, port } from './settings.ts';

export default function create(): StreamingContext {
  const context = new StreamingContext({ appName: 'persist-word-count-postgres', ...INTERVALS });
  context
    .socketTextStream('127.0.0.1', port(), { acknowledged: true, uid: 'lines' })
    .flatMap((line) => line.split(' '))
    .map((word) => [word, 1])
    .updateStateByKey<number>((values, total = 0) => values.reduce((left, right) => left + right, total), { uid: 'totals' })
    .saveTo(postgresSink({ table: 'wordcount', key: ['word'], row: ([word, count]) => ({ word, count }) }), { uid: 'wordcount' });
  return context;
}
