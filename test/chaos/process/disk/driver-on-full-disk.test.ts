// Goal: a program on a full disk pauses its receivers and goes on by itself when there is room, without a restart; it also starts on a full disk; nothing is lost or counted twice.
// Method: the built package in a process of its own, its store on a small tmpfs beside a file that fills it; and under a limit of file sizes that is lifted while it runs.
import { rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { fillFile, releaseAll, requireTools, run, SmallDisk } from '../../../support/faults.ts';
import { feed, until, Workplace } from '../../../support/processes.ts';

const LINES = Array.from({ length: 12_000 }, (_unused, index) => `line-${index % 7}`.padEnd(20, '.') + 'x'.repeat(300));
const BALLAST_BYTES = 16 * 1024 * 1024;
const FULL = 'the disk is full: receivers pause';
const ROOM = 'the disk has room again: receivers go on';

let place: Workplace;

beforeEach(() => {
  place = new Workplace();
});
afterEach(async () => {
  await place.close();
  releaseAll();
});

/** Serves the lines; `acknowledged` is up to where they were taken. */
async function feeder() {
  const state = { acknowledged: 0 };
  const server = await place.serve(
    feed(LINES, (request) => {
      const [, count] = /^(?:ack|from) (\d+)$/.exec(request) ?? [];
      if (count !== undefined) state.acknowledged = Math.max(state.acknowledged, Number(count));
    }),
  );
  return { env: { PORT: server.port, ACKNOWLEDGED: '1' }, state };
}

/** One life of a driver whose source has nothing to say: it ends with the ballast in place. */
async function startAndStop(store: string): Promise<void> {
  const idle = await place.serve(() => undefined);
  const driver = place.start({ PORT: idle.port, ACKNOWLEDGED: '1', DIRECTORY: store });
  await driver.logged('streaming context started');
  expect(statSync(join(store, 'ballast')).size).toBe(BALLAST_BYTES);
  driver.process.kill('SIGTERM');
  expect(await driver.ended).toMatchObject({ code: 0 });
}

async function expectAllCounted(): Promise<void> {
  const counts = Object.values(await place.rows());
  expect(counts).toHaveLength(7);
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(LINES.length);
}

it('pauses while a small disk is full, goes on when a file is deleted, and starts on a full disk', async (context) => {
  requireTools(context, ['root', 'mounting']);
  const disk = new SmallDisk('48m');
  const store = join(disk.mountpoint, 'store');
  const { env, state } = await feeder();
  await startAndStop(store);

  const second = place.start({ ...env, DIRECTORY: store });
  await second.logged('streaming context started');
  fillFile(join(disk.mountpoint, 'filler'));
  await second.logged(FULL);
  const held = state.acknowledged;
  expect(held).toBeLessThan(LINES.length);
  second.process.kill('SIGKILL');
  await second.ended;
  rmSync(join(disk.mountpoint, 'filler'));
  await startAndStop(store); // the ballast was given up, and is there again
  fillFile(join(disk.mountpoint, 'filler'));

  const third = place.start({ ...env, DIRECTORY: store });
  const isStarted = await Promise.race([third.logged('streaming context started').then(() => true), third.ended.then(({ log }) => log)]);
  expect(isStarted).toBe(true);
  await third.logged(FULL);
  rmSync(join(disk.mountpoint, 'filler'));
  await third.logged(ROOM);
  await until(() => state.acknowledged === LINES.length, 'all lines taken');
  expect(statSync(join(store, 'ballast')).size).toBe(BALLAST_BYTES);
  third.process.kill('SIGTERM');
  expect(await third.ended).toMatchObject({ code: 0 });
  await expectAllCounted();
});

it('pauses under a limit of file sizes, and goes on when it is lifted', async (context) => {
  requireTools(context, ['prlimit', 'bash']);
  const { env, state } = await feeder();
  const program = join(import.meta.dirname, '../../../support/program.mjs');
  const driver = place.start(env, ['bash', '-c', `ulimit -S -f 200; exec ${process.execPath} ${program}`]);
  await driver.logged('streaming context started');
  await driver.logged(FULL);
  expect(state.acknowledged).toBeLessThan(LINES.length);
  run('prlimit', '--pid', String(driver.process.pid), '--fsize=unlimited');
  await driver.logged(ROOM);
  await until(() => state.acknowledged === LINES.length, 'all lines taken');
  driver.process.kill('SIGTERM');
  expect(await driver.ended).toMatchObject({ code: 0 });
  await expectAllCounted();
});
