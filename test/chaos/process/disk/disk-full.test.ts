// Goal: a full disk is no failure. What does not fit is refused by name and appears nowhere, what was acknowledged stays, and the same process goes on by itself when there is space.
// Method: a writer in a process of its own on a small tmpfs beside a file that fills it, and under a limit of file sizes that is
// lifted while it runs. CHAOS_LONG=1 repeats more; `SEED=n` repeats the limits.
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { SeededRandom } from '../../../../src/testing/index.ts';
import { fillFile, findTool, makeScratch, releaseAll, requireTools, run, SmallDisk } from '../../../support/faults.ts';
import { LogPlace, type Life } from '../../../support/log-place.ts';

const FULL = /^refused \d+ STREAM_DISK_FULL$/;
const SEED = Number(process.env['SEED'] ?? Math.floor(performance.timeOrigin));
const DEATHS = process.env['CHAOS_LONG'] === '1' ? 60 : 8;
let place: LogPlace | undefined;

afterEach(async () => {
  await place?.close();
  releaseAll();
});

function openFiles(life: Life): number {
  return readdirSync(`/proc/${String(life.pid)}/fd`).length;
}

async function expectRefusedThenDone(log: LogPlace, life: Life, space: { readonly give: () => void; readonly records: number }): Promise<void> {
  const before = log.history.acknowledged;
  const refusedBefore = log.history.refusals.length;
  await life.said(FULL);
  // What was refused was given back: trying does not use up files.
  const held = openFiles(life);
  await life.saidOften(FULL, 8);
  expect(openFiles(life)).toBeLessThan(held + 4);
  space.give();
  expect(await life.ended).toEqual({ code: 0, isDone: true, log: '' });
  expect(log.history.refusals.length).toBeGreaterThan(refusedBefore);
  expect(new Set(log.history.refusals.map(({ code }) => code))).toEqual(new Set(['STREAM_DISK_FULL']));
  expect(log.history.acknowledged).toBe(before + space.records);
  expect(await log.read()).toMatchObject({ wrong: [] });
}

it.for([
  { what: 'one record at a time', parallel: 1 },
  { what: 'eight at a time', parallel: 8 },
])('refuses while a small disk is full, and goes on when a file is deleted: $what', async ({ parallel }, context) => {
  requireTools(context, ['root', 'mounting']);
  const disk = new SmallDisk('512k');
  const log = (place = new LogPlace(disk.mountpoint, { parallel, bytes: 203, segmentBytesMax: 32 * 1024 }));
  const filler = join(disk.mountpoint, 'filler');
  writeFileSync(filler, Buffer.alloc(300 * 1024, 'x'));
  const records = 1000;
  await expectRefusedThenDone(log, log.start({ records }), { records, give: () => rmSync(filler) });
  // A start needs a segment of its own, which does not fit either.
  expect(fillFile(filler)).toBeGreaterThan(0);
  await expectRefusedThenDone(log, log.start({ records: 100 }), { records: 100, give: () => rmSync(filler) });
  expect(await log.goOn()).toEqual([]);
});

it.for([
  { what: 'in a segment', limit: 20_001 },
  { what: 'in the header of a segment', limit: 2_000 },
])('refuses at a limit of file sizes, and goes on when it is lifted: $what', async ({ limit }, context) => {
  requireTools(context, ['prlimit']);
  const log = (place = new LogPlace(makeScratch(), { parallel: 1, bytes: 203 }));
  const records = 600;
  // The soft limit alone, so that it can be lifted again.
  const life = log.start({ records }, { wrapper: [findTool('prlimit') ?? 'prlimit', `--fsize=${limit}:`] });
  await expectRefusedThenDone(log, life, { records, give: () => run('prlimit', '--pid', String(life.pid), '--fsize=unlimited:') });
  expect(await log.goOn()).toEqual([]);
});

it(`never shows what was refused, also when the writer dies, ${DEATHS} times, seed ${SEED}`, async (context) => {
  requireTools(context, ['prlimit']);
  const random = new SeededRandom(SEED);
  const log = (place = new LogPlace(makeScratch(), { parallel: 8, bytes: 203, segmentBytesMax: 32 * 1024 }));
  for (let death = 0; death < DEATHS; death++) {
    // Anywhere in a segment: in the middle of a frame, behind some frames of a group.
    const limit = (): string => `--fsize=${4096 + 300 + random.integer(24_000)}:`;
    const life = log.start({}, { wrapper: [findTool('prlimit') ?? 'prlimit', limit()] });
    for (let fill = random.integer(3); fill > 0; fill--) {
      await life.saidOften(FULL, 8 * fill);
      run('prlimit', '--pid', String(life.pid), '--fsize=unlimited:');
      await life.saidOften(/^ok /, 1 + random.integer(60));
      run('prlimit', '--pid', String(life.pid), limit());
    }
    await life.saidOften(FULL, 1 + random.integer(16));
    life.process.kill('SIGKILL');
    expect(await life.ended).toMatchObject({ code: 'SIGKILL', log: '' });
    expect(await log.read()).toMatchObject({ wrong: [] });
  }
  expect(log.history.refusals.length).toBeGreaterThan(DEATHS);
  expect(await log.goOn()).toEqual([]);
});
