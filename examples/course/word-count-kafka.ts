// A word count into Kafka: each batch puts out the new total of each word, under the word as key. BROKER says where the cluster is.
import { StreamingContext } from 'millrace';
import { kafkaSink } from 'millrace/kafka';
import { INTERVALS, port } from './settings.ts';

export default function create(): StreamingContext {
  const context = new StreamingContext({ appName: 'word-count-kafka', ...INTERVALS });
  context
    .socketTextStream('127.0.0.1', port(), { acknowledged: true, uid: 'lines' })
    .flatMap((line) => line.split(' '))
    .map((word) => [word, 1])
    .updateStateByKey<number>((values, total = 0) => values.reduce((left, right) => left + right, total), { uid: 'totals' })
    .saveTo(
      kafkaSink({ topic: 'wordcount', brokers: [process.env['BROKER'] ?? 'localhost:9092'], key: ([word]) => word, value: ([, count]) => String(count) }),
      { uid: 'wordcount' },
    );
  return context;
}
