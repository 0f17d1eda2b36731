// A program whose store is damaged by a test. `make` writes a store; `serve` opens copies of it, one for each line of its input, and says for each what came of it. It imports the built
// package by its name, as a user's does.
import { createInterface } from 'node:readline';
import { levelSink, milliseconds, StreamingContext } from 'millrace';
import { recordAt } from './damage-records.mjs';

const { MODE = '', DIRECTORY = '', TABLE = '', UNTIL = '0', SALT = '', END = '', SEGMENT_BYTES = '1048576' } = process.env;
const WINDOW = 20;
const HANG_MS = 30_000;
/** How many batches there are between the first records and the last: some checkpoints. */
const BATCHES = 20;

/** A source that has records up to the position of each phase once the phase begins, and tells where it was asked to begin and when a phase is durable. */
function source(phases, onBegin) {
  return {
    codec: 'json-lines',
    async run(context) {
      await context.settle();
      let next = context.position('records') ?? 0;
      onBegin(next);
      for (const { until, begins, onDurable } of phases) {
        await begins;
        while (next < until && !context.signal.aborted) {
          const end = Math.min(next + WINDOW, until);
          const stored = [];
          for (; next < end; next++) stored.push(context.store(recordAt(next, SALT), { partition: 'records', from: next, until: next + 1 }));
          await Promise.all(stored);
        }
        onDurable();
      }
      await new Promise((resolve) => context.signal.addEventListener('abort', resolve));
    },
  };
}

/** What a key has come to: undefined once it was dropped. */
function update(values, before) {
  if (values.some(({ drop }) => drop)) return undefined;
  const state = before ?? { count: 0, sum: 0, text: '' };
  for (const { at, text } of values) Object.assign(state, { count: state.count + 1, sum: state.sum + at, text });
  return state;
}

function build(table, records, onRows) {
  const context = new StreamingContext({
    appName: 'damage',
    batchInterval: milliseconds(20),
    checkpointInterval: milliseconds(100),
    blockInterval: milliseconds(5),
    segmentBytesMax: Number(SEGMENT_BYTES),
    ballastBytes: 0,
    taskAttemptsMax: 1,
  });
  const counts = context.receiverStream(records, { uid: 'records' }).updateStateByKey(update, { uid: 'counts' });
  counts.saveTo(levelSink({ directory: table, key: ([key]) => key, value: ([, { count, sum }]) => `${count} ${sum}` }), { uid: 'totals' });
  counts.foreachRDD(async (rdd) => onRows(await rdd.collect()), { uid: 'seen' });
  return context;
}

/** Runs until some checkpoints cover all but the last records; then it stops, or is killed when the last are durable. */
async function make() {
  const [checkpointed, last] = [defer(), defer()];
  const durable = defer();
  const phases = [
    { until: Number(UNTIL) - WINDOW, onDurable: () => durable.resolve() },
    { until: Number(UNTIL), begins: checkpointed.promise, onDurable: () => last.resolve() },
  ];
  const context = await StreamingContext.getOrCreate(DIRECTORY, () =>
    build(
      TABLE,
      source(phases, () => undefined),
      () => undefined,
    ),
  );
  await context.start();
  await durable.promise;
  let batches = 0;
  context.addListener({ onBatchCompleted: () => (batches += 1) === BATCHES && checkpointed.resolve() });
  await last.promise;
  if (END === 'kill') process.kill(process.pid, 'SIGKILL');
  await context.stop();
}

function defer() {
  const deferred = {};
  deferred.promise = new Promise((resolve) => (deferred.resolve = resolve));
  return deferred;
}

/** Opens a copy, lets it recover and run until nothing waits, and stops it. */
async function recover({ directory, table }) {
  const seen = { position: undefined, rows: undefined };
  let rows;
  let finish;
  const settled = new Promise((resolve) => (finish = resolve));
  const records = source([], (position) => (seen.position = position));
  try {
    const context = await StreamingContext.getOrCreate(directory, () => build(table, records, (found) => (rows = found)));
    context.addListener({
      onBatchCompleted({ recordCounts, isRerun }) {
        if (isRerun || recordCounts.size > 0 || seen.position === undefined) return;
        seen.rows ??= rows;
        finish();
      },
    });
    const ended = context.awaitTermination();
    ended.catch(() => undefined);
    await context.start();
    await Promise.race([settled, ended]);
    await context.stop();
    await ended;
    return seen;
  } catch (error) {
    return { ...seen, error: { code: error.code, exitCode: error.exitCode, message: String(error.message) } };
  }
}

if (MODE === 'make') await make();
else {
  for await (const line of createInterface({ input: process.stdin })) {
    const hung = setTimeout(() => {
      process.stdout.write(`${JSON.stringify({ error: { code: 'HUNG' } })}\n`);
      process.exit(1);
    }, HANG_MS);
    process.stdout.write(`${JSON.stringify(await recover(JSON.parse(line)))}\n`);
    clearTimeout(hung);
  }
}
