// The driver of the recovery benchmark: KEYS keys of mapWithState, RATE records a second, batches of INTERVAL_MS, a sink in LevelDB. It makes its records by itself and begins where the log ends. It tells its parent,
// in milliseconds since the Unix epoch, what comes when.
import { subscribe } from 'node:diagnostics_channel';
import { writeSync } from 'node:fs';
import { levelSink, milliseconds, StreamingContext } from 'millrace';

const begunMs = performance.timeOrigin;
const { DIRECTORY = '', TABLE = '', KEYS = '0', RATE = '0', INTERVAL_MS = '1000', CHECKPOINT_MS = '10000', PREPARE = '' } = process.env;
const keys = Number(KEYS);
const PARTITION = 'events';
const TURN_MS = 10;
const perTurn = Math.max(1, Math.round((Number(RATE) * TURN_MS) / 1000));

const tell = (event, fields = {}) => writeSync(1, `${JSON.stringify({ event, at: performance.timeOrigin + performance.now(), ...fields })}\n`);
const keyOf = (index) => `user-${String(index).padStart(11, '0')}`;
const valueOf = (index) => ({ count: index, last: 'abcdef', rate: 0.5 });

const receiver = {
  codec: 'json-lines',
  guarantee: { kind: 'exactly-once', because: 'it begins where the log ends' },
  async run({ signal, store, ready, position }) {
    let next = position(PARTITION) ?? 0;
    // A million keys are touched in an order that looks random and never repeats itself.
    for (let at = performance.now(); !signal.aborted; at += TURN_MS) {
      await ready();
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, at - performance.now())));
      for (let made = 0; made < perTurn; made++, next++) {
        const record = [keyOf(keys === 0 ? next % 10 : (Math.imul(next, 2_654_435_761) >>> 0) % keys), 1];
        store(record, { partition: PARTITION, from: next, until: next + 1 }).catch(() => undefined);
      }
    }
  },
};

export function create() {
  const context = new StreamingContext({
    appName: 'recovery',
    batchInterval: milliseconds(Number(INTERVAL_MS)),
    checkpointInterval: milliseconds(Number(CHECKPOINT_MS)),
    blockInterval: milliseconds(Math.min(200, Number(INTERVAL_MS) / 4)),
  });
  const initialState = PREPARE === '1' ? Array.from({ length: keys }, (_, index) => [keyOf(index), valueOf(index)]) : [];
  context
    .receiverStream(receiver, { uid: 'events' })
    .mapWithState(
      (_key, value, state) => {
        const before = state.getOption() ?? valueOf(0);
        state.update({ ...before, count: before.count + (value ?? 0) });
        return before.count;
      },
      { uid: 'users', initialState },
    )
    .reduce((left, right) => Math.max(left, right))
    .saveTo(levelSink({ directory: TABLE, key: () => 'largest', value: (count) => count }), { uid: 'totals' });
  return context;
}

tell('loaded', { begunMs });
subscribe('millrace:recovery-started', () => tell('recovery-started'));
subscribe('millrace:recovery-found', () => tell('recovery-found'));
subscribe('millrace:recovery-completed', ({ durationMs, batchesRerun, bytes }) => tell('recovered', { durationMs, batchesRerun, bytes }));
subscribe('millrace:recovery-estimated', ({ ms, batches }) => tell('estimated', { ms, batches }));
subscribe('millrace:checkpoint-written', ({ number }) => tell('checkpoint', { number }));
subscribe('millrace:batch-planned', ({ batchTime, recordCount }) => tell('planned', { batchTime, recordCount }));
subscribe('millrace:batch-completed', ({ batchTime, isRerun }) => tell('completed', { batchTime, isRerun, rssBytes: process.memoryUsage.rss() }));
subscribe('millrace:partition-committed', ({ batchTime, result }) => tell('committed', { batchTime, result }));

process.on('SIGTERM', () => process.exit(0));
const context = await StreamingContext.getOrCreate(DIRECTORY, create);
tell('opened');
await context.start();
await context.awaitTermination();
