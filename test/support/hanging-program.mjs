// A program whose sink hangs for HANG_MS while lines come in as fast as they can; reports the largest heap and resident set it saw, in MiB.
import { milliseconds, runMain, StreamingContext } from 'millrace';

const { PORT = '1', DIRECTORY = '', HANG_MS = '0', BACKLOG_BYTES = '' } = process.env;
const MIB = 1024 * 1024;

let heap = 0;
let rss = 0;
setInterval(() => {
  const used = process.memoryUsage();
  heap = Math.max(heap, used.heapUsed + used.external);
  rss = Math.max(rss, used.rss);
}, 50).unref();

const started = performance.now();
let rows = 0;
let isMeasured = false;
const sink = {
  guarantee: 'at-least-once',
  look: async () => ({ rows: new Map() }),
  open: async () => ({ rows: new Map() }),
  prepare: (prepared) => ({ fingerprint: '', rowCount: prepared.length, payload: undefined }),
  async commit(_key, prepared) {
    const left = Number(HANG_MS) - (performance.now() - started);
    if (left > 0) await new Promise((resolve) => setTimeout(resolve, left));
    rows += prepared.rowCount;
    if (rows > 3_000_000 && !isMeasured) {
      isMeasured = true;
      console.error(`measured ${JSON.stringify({ heap: Math.round(heap / MIB), rss: Math.round(rss / MIB), rows })}`);
      process.kill(process.pid, 'SIGTERM');
    }
    return 'committed';
  },
  close: async () => undefined,
};

await runMain(DIRECTORY, () => {
  const context = new StreamingContext({ appName: 'hanging', batchInterval: milliseconds(200), backlogBytesMax: Number(BACKLOG_BYTES) });
  context
    .socketTextStream('127.0.0.1', Number(PORT), { uid: 'lines' })
    .map((line) => [line.slice(0, 10), line.length])
    .saveTo(sink, { uid: 'out' });
  return context;
});
