// A program whose batches take a while and that reports, with writes that a SIGKILL cannot take back, what the next start would take and what this one took. Most of the time of a batch is lookups that
// take LOOKUP_MS each, as of a service: what a batch takes is then not told by what else the machine does at the moment. COST is how many rounds of hashing each record is worth.
import { createHash } from 'node:crypto';
import { writeSync } from 'node:fs';
import { subscribe } from 'node:diagnostics_channel';
import { levelSink, milliseconds, runMain, StreamingContext } from 'millrace';

const { DIRECTORY = '', TABLE = '', CHECKPOINT_MS = '4000', COST = '1000', LOOKUP_MS = '2', KEYS = '20000' } = process.env;
const PER_TURN = 2;
const TURN_MS = 10;

const report = (kind, fields) => writeSync(2, `${JSON.stringify({ report: kind, ...fields })}\n`);
subscribe('millrace:recovery-estimated', ({ ms, batches, bytes }) => report('estimate', { ms, batches, bytes }));
subscribe('millrace:recovery-completed', ({ durationMs, batchesRerun, bytes }) => report('recovered', { durationMs, batchesRerun, bytes }));

async function* numbers(from) {
  for (let number = from; ; number++) {
    if (number % PER_TURN === 0) await new Promise((resolve) => setTimeout(resolve, TURN_MS));
    yield number;
  }
}

async function lookUp(number) {
  await new Promise((resolve) => setTimeout(resolve, Number(LOOKUP_MS)));
  return number;
}

function hash(number) {
  let text = String(number);
  for (let round = 0; round < Number(COST); round++) text = createHash('sha1').update(text).digest('hex');
  return text;
}

function create() {
  const context = new StreamingContext({
    appName: 'budget',
    batchInterval: milliseconds(100),
    checkpointInterval: milliseconds(Number(CHECKPOINT_MS)),
    blockInterval: milliseconds(20),
  });
  context
    .fromAsyncIterable(numbers, { position: (number) => number, uid: 'numbers' })
    .mapAsync(lookUp, { concurrency: 1 })
    .map((number) => [`key-${number % Number(KEYS)}`, hash(number)])
    .updateStateByKey((values, last = '') => values.at(-1) ?? last, { uid: 'hashes' })
    .filter(([key]) => key.endsWith('7'))
    .saveTo(levelSink({ directory: TABLE, key: ([key]) => key, value: ([, value]) => value }), { uid: 'totals' });
  return context;
}

await runMain(DIRECTORY, create);
