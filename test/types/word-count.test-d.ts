// Compiled with the rest of the project: the types are the test. Lines that must not compile are marked, and an unused mark is an error.
import { StreamingContext, levelSink, seconds, type DStream, type LevelSink } from '../../src/index.ts';

export default function create(): StreamingContext {
  const ssc = new StreamingContext({ appName: 'word-count', batchInterval: seconds(1) });
  ssc
    .socketTextStream('localhost', 9999)
    .flatMap((line) => line.split(' '))
    .map((word) => [word, 1])
    .updateStateByKey<number>((values, sum = 0) => values.reduce((a, b) => a + b, sum), { uid: 'counts' })
    .saveTo(levelSink({ directory: './wordcount', key: ([word]) => word, value: ([, count]) => count }), { uid: 'totals' });
  return ssc;
}

const ssc = new StreamingContext({ appName: 'types', batchInterval: seconds(1) });
const lines = ssc.socketTextStream('localhost', 9999);
const pairs: DStream<[string, number]> = lines.map((word) => [word, 1]);
export const nested: DStream<[string, [string, number]]> = lines.map((word) => [word, [word, 1]]);
export const sums: DStream<[string, number]> = pairs.reduceByKey((left, right) => left + right);
export const objects: DStream<{ word: string }> = lines.map((word) => ({ word }));
export const narrowed: DStream<'a'> = lines.filter((line): line is 'a' => line === 'a');
export const wider: DStream<readonly [string, unknown]> = pairs;
export const sink: LevelSink<[string, number], string, number> = levelSink<[string, number], string, number>({
  directory: 'x',
  key: ([word]) => word,
  value: ([, count]) => count,
});

// @ts-expect-error a stream of strings has no keys
lines.reduceByKey((left, right) => left + right);
// @ts-expect-error a function is no record
lines.map((line) => () => line);
// @ts-expect-error a promise is no record
lines.map(async (line) => line);
// @ts-expect-error a promise is no state
pairs.updateStateByKey<Promise<number>>((values) => Promise.resolve(values.length));
// @ts-expect-error a bare number is no duration
new StreamingContext({ appName: 'types', batchInterval: 1000 });
// @ts-expect-error the sink takes other rows
lines.saveTo(sink);
// @ts-expect-error reduceByKey returns values of the same type
pairs.reduceByKey((left) => String(left));
