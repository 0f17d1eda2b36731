// Goal: what docs/guarantees.md promises is what sources and sinks declare, and nothing else. Method: the page is made here of what explain() says of small programs; `npx vitest run --project docs -u` writes it.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { afterAll, expect, it } from 'vitest';
import { fileSink, levelSink, seconds, StreamingContext, type DStream, type PathGuarantee } from '../../src/index.ts';
import { kafkaSink } from '../../src/sinks/kafka-sink.ts';
import { postgresSink } from '../../src/sinks/postgres-sink.ts';

const PAGE = join(import.meta.dirname, '../../docs/guarantees.md');
const directory = mkdtempSync(join(tmpdir(), 'millrace-guarantees-'));

afterAll(() => rmSync(directory, { recursive: true, force: true }));

const SOURCES: readonly (readonly [name: string, add: (context: StreamingContext) => DStream<string>])[] = [
  ['`socketTextStream` with `acknowledged: true`', (context) => context.socketTextStream('localhost', 9999, { uid: 'source', acknowledged: true })],
  ['`socketTextStream`', (context) => context.socketTextStream('localhost', 9999, { uid: 'source' })],
  ['`textFileStream`', (context) => context.textFileStream(directory, { uid: 'source' })],
  ['`fromAsyncIterable` with `position`', (context) => context.fromAsyncIterable(['a'], { uid: 'source', position: () => 0 })],
  ['`fromAsyncIterable`', (context) => context.fromAsyncIterable(['a'], { uid: 'source' })],
  ['`queueStream`', (context) => context.queueStream<string>([], { uid: 'source' })],
  [
    '`receiverStream` of a receiver that declares nothing',
    (context) => context.receiverStream<string>({ codec: 'lines', run: () => Promise.resolve() }, { uid: 'source' }),
  ],
  ['a stream with `writeAheadLog: false`', (context) => context.fromAsyncIterable(['a'], { uid: 'source', position: () => 0, writeAheadLog: false })],
];

const OUTPUTS: readonly (readonly [name: string, add: (stream: DStream<string>) => void])[] = [
  ['`saveTo(levelSink(...))`', (stream) => stream.saveTo(levelSink({ directory: join(directory, 'level'), key: String, value: () => 1 }), { uid: 'output' })],
  ['`saveTo(fileSink(...))`', (stream) => stream.saveTo(fileSink({ directory: join(directory, 'files'), format: 'text' }), { uid: 'output' })],
  ['`saveTo(postgresSink(...))`', (stream) => stream.saveTo(postgresSink({ table: 'words', row: (word: string) => ({ word }) }), { uid: 'output' })],
  ['`saveTo(kafkaSink(...))`', (stream) => stream.saveTo(kafkaSink({ topic: 'words', brokers: ['localhost:9092'] }), { uid: 'output' })],
  ['`foreachRDD`', (stream) => stream.foreachRDD(() => undefined, { uid: 'output' })],
  ['`saveAsTextFiles`', (stream) => stream.saveAsTextFiles(join(directory, 'text'), { uid: 'output' })],
  ['`print`', (stream) => stream.print({ uid: 'output' })],
];

function pathOf(source: (typeof SOURCES)[number], output: (typeof OUTPUTS)[number]): PathGuarantee {
  const context = new StreamingContext({ appName: 'guarantees', batchInterval: seconds(1) });
  output[1](source[1](context));
  const [path] = context.explain().paths;
  if (path === undefined) throw new Error(`no path from ${source[0]} to ${output[0]}`);
  return path;
}

const [EXACT] = SOURCES;
const [TRANSACTIONAL] = OUTPUTS;

/** Without the uid of the end that it speaks of. */
const plain = (text: string | undefined): string => (text ?? '').replace(/^"\w+": /, '').replaceAll(/ ?(of )?"(source|output)"/g, '');

function page(): string {
  const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const head = (cells: readonly string[]): readonly string[] => [row(cells), row(cells.map(() => '---'))];
  const bare = OUTPUTS.map(([name]) => name);
  return [
    '# Guarantees',
    '',
    'This page is made by `test/docs/guarantees.test.ts` of what sources and sinks declare, which is what `context.explain()` prints for a program; the tests behind each declaration are in [spec.md](spec.md) and [faults.md](faults.md).',
    '',
    '- `exactly-once`: each record counts once in the output, whatever dies when.',
    '- `at-least-once`: once or more; more only where a crash met it in flight.',
    '- `best-effort`: a record that a crash met in flight may be lost or come twice.',
    '',
    '`saveTo(sink, { exactlyOnce: true })` refuses to start (`STREAM_GUARANTEE`) where a path to the output is weaker, and says what would mend it.',
    '',
    '## Paths',
    '',
    ...head(['', ...bare]),
    ...SOURCES.map((source) => row([source[0], ...OUTPUTS.map((output) => pathOf(source, output).guarantee)])),
    '',
    '## Sources',
    '',
    ...head(['', 'because', 'for exactly-once']),
    ...SOURCES.map((source) => {
      const { because, remedies } = pathOf(source, TRANSACTIONAL as (typeof OUTPUTS)[number]);
      return row([source[0], plain(because[0]), plain(remedies[0])]);
    }),
    '',
    '## Outputs',
    '',
    ...head(['', 'because', 'for exactly-once']),
    ...OUTPUTS.map((output) => {
      const { because, remedies } = pathOf(EXACT as (typeof SOURCES)[number], output);
      return row([output[0], plain(because[1]), plain(remedies[0])]);
    }),
    '',
  ].join('\n');
}

it('docs/guarantees.md says what is declared', async () => {
  const options = await resolveConfig(PAGE);
  await expect(await format(page(), { ...options, filepath: PAGE })).toMatchFileSnapshot(PAGE);
});
