// Goal: a writer killed at any moment loses nothing it acknowledged and makes nothing up, over many lives of one log. Method: SIGKILL at random moments, some while it starts, most
// while it appends; after each death the log is read twice. CHAOS_LONG=1 takes more logs; `SEED=n` repeats the times.
import { afterEach, expect, it } from 'vitest';
import { SeededRandom } from '../../../../src/testing/index.ts';
import { makeScratch, releaseAll } from '../../../support/faults.ts';
import { LogPlace } from '../../../support/log-place.ts';

const KILLS_PER_LOG = 50;
const LOGS = process.env['CHAOS_LONG'] === '1' ? 6 : 1;
const SEED = Number(process.env['SEED'] ?? Math.floor(performance.timeOrigin));
const START_MS = 150;
const PARALLEL = [1, 4, 16, 64];
let place: LogPlace | undefined;

afterEach(async () => {
  await place?.close();
  releaseAll();
});

// A start reads the whole log, so that many kills of one log would be mostly reading.
it.for(Array.from({ length: LOGS }, (_, index) => SEED + index))(`keeps what was acknowledged through ${KILLS_PER_LOG} kills, seed %i`, async (seed) => {
  const random = new SeededRandom(seed);
  const log = (place = new LogPlace(makeScratch(), { bytes: 203, segmentBytesMax: 64 * 1024, isPrepared: true }));
  let lostInFlight = 0;
  for (let kill = 0; kill < KILLS_PER_LOG; kill++) {
    const life = log.start({ parallel: PARALLEL[random.integer(PARALLEL.length)] ?? 1 });
    const isInStart = random.chance(0.2);
    const afterMs = isInStart ? random.next() * START_MS : 30 + random.next() * 90;
    if (!isInStart) await life.said(/^ok /);
    await new Promise((resolve) => setTimeout(resolve, afterMs));
    life.process.kill('SIGKILL');
    expect(await life.ended).toMatchObject({ code: 'SIGKILL', log: '' });
    const { count, wrong } = await log.read();
    expect(wrong).toEqual([]);
    if (count < log.history.lastTried) lostInFlight += 1;
  }
  expect(await log.goOn()).toEqual([]);
  console.log(`seed ${seed}: ${log.history.acknowledged} acknowledged in ${log.segments().length} segments, ${lostInFlight} kills lost records in flight`);
  expect(log.history.refusals).toEqual([]);
  expect(log.history.acknowledged).toBeGreaterThan(KILLS_PER_LOG * 10);
  expect(log.segments().length).toBeGreaterThan(KILLS_PER_LOG / 2);
});
