// Goal: after a power cut at any moment the log holds what was acknowledged, on ext4 and on XFS, and goes on, cut after cut. Method: a file system in a file, a writer on it, both
// stopped at a random moment without a flush, the file system mounted again, the log read twice. CHAOS_LONG=1 cuts more often; `SEED=n` repeats the moments.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { isErrno } from '../../../../src/env/errno.ts';
import { SeededRandom } from '../../../../src/testing/index.ts';
import { LoopDisk, releaseAll, requireTools } from '../../../support/faults.ts';
import { LogPlace } from '../../../support/log-place.ts';

const CUTS = process.env['CHAOS_LONG'] === '1' ? 60 : 8;
const SEED = Number(process.env['SEED'] ?? Math.floor(performance.timeOrigin));
const START_MS = 150;
/** From groups of one record to groups of many pages. */
const PARALLEL = [1, 4, 16, 64];
let place: LogPlace | undefined;

afterEach(async () => {
  await place?.close();
  releaseAll();
});

function isLost(path: string): boolean {
  try {
    return readFileSync(path).length === 0;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return true;
    throw error;
  }
}

it.for(['ext4', 'xfs'] as const)(`keeps what was acknowledged through ${CUTS} power cuts on %s, seed ${SEED}`, async (kind, context) => {
  requireTools(context, ['root', 'mounting', 'loop devices', 'python3', `mkfs.${kind}`]);
  const random = new SeededRandom(SEED);
  const disk = new LoopDisk(kind);
  const log = (place = new LogPlace(disk.mountpoint, { bytes: 603, segmentBytesMax: 64 * 1024, isPrepared: true }));
  let cutsThatLost = 0;
  let cutsInFlight = 0;
  let lostInFlight = 0;
  for (let cut = 0; cut < CUTS; cut++) {
    const power = await disk.armPowerCut();
    const life = log.start({ parallel: PARALLEL[random.integer(PARALLEL.length)] ?? 1 });
    power.aimAt(life.pid);
    // Some while the writer starts; most at a record, which a segment or two have been filled before.
    if (random.chance(0.2)) await new Promise((resolve) => setTimeout(resolve, random.next() * START_MS));
    else await life.saidOften(/^ok /, 1 + random.integer(500));
    const notSynced = join(disk.mountpoint, `not-synced-${cut}`);
    writeFileSync(notSynced, 'x'.repeat(10_000));
    await power.cut();
    life.process.kill('SIGKILL');
    expect(await life.ended).toMatchObject({ code: 'SIGKILL', isDone: false, log: '' });
    disk.remount();
    if (isLost(notSynced)) cutsThatLost += 1;
    if (log.history.unanswered > 0) cutsInFlight += 1;
    const { count, wrong } = await log.read();
    expect(wrong).toEqual([]);
    if (count < log.history.lastTried) lostInFlight += 1;
  }
  expect(await log.goOn()).toEqual([]);
  console.log(
    `${kind}, seed ${SEED}: ${log.history.acknowledged} acknowledged in ${log.segments().length} segments; ${cutsThatLost} cuts lost a file that was not synced, ${cutsInFlight} came while records were in flight, ${lostInFlight} lost some of them`,
  );
  expect(cutsThatLost).toBeGreaterThan(CUTS / 2);
  expect(cutsInFlight).toBeGreaterThan(0);
  expect(log.history.acknowledged).toBeGreaterThan(CUTS * 20);
  // More than one for each start: there were rotations too.
  expect(log.segments().length).toBeGreaterThan(CUTS);
});
