// Goal: memory is bounded by configuration when a sink stalls, whatever arrives. Method: a real program, a sink that hangs for a minute, a server that sends as fast as it is read.
import { afterEach, expect, it } from 'vitest';
import { Workplace } from '../../support/processes.ts';
import { join } from 'node:path';

const MIB = 1024 * 1024;
const HANG_MS = 60_000;
const BACKLOG_BYTES = 256 * MIB;
/** The block cache (64 MiB), the buffer of the receiver (16 MiB), a batch's partitions, and what Node needs. */
const HEAP_MIB_MAX = 200;
const place = new Workplace();

afterEach(async () => {
  await place.close();
});

it(`keeps its heap under ${HEAP_MIB_MAX} MiB while a sink hangs for a minute`, async () => {
  const chunk = `${'x'.repeat(99)}\n`.repeat(640);
  let sent = 0;
  const server = await place.serve((socket) => {
    const send = (): void => {
      while (!socket.destroyed && socket.write(chunk)) sent += chunk.length;
      if (!socket.destroyed) socket.once('drain', send);
    };
    send();
  });
  const env = { PORT: server.port, HANG_MS: String(HANG_MS), BACKLOG_BYTES: String(BACKLOG_BYTES) };
  const program = place.start(env, [process.execPath, `--max-old-space-size=${HEAP_MIB_MAX}`, join(import.meta.dirname, '../../support/hanging-program.mjs')]);
  const { code, log } = await program.ended;
  const measured = JSON.parse(/measured (.*)/.exec(log)?.[1] ?? 'null') as { heap: number; rss: number } | null;
  console.log('measured in MiB', measured, 'received', Math.round(sent / MIB));
  expect({ code, log: measured === null ? log : '' }).toEqual({ code: 0, log: '' });
  expect(measured?.heap).toBeLessThan(HEAP_MIB_MAX);
  // What came in while the sink hung waits on disk, as far as the backlog may grow.
  expect(sent).toBeGreaterThan(BACKLOG_BYTES);
});
