// Goal: what a driver says that its next start would take is what that start takes. Method: SIGKILL at random moments, some of them while it recovers; the last estimate that the dead driver reported against the time from
// getOrCreate to the end of the recovery that came next. Each may be wrong by half of what was measured or by 500 ms; one in twenty by more. CHAOS_LONG=1 kills more often; SEED repeats the times.
import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { SeededRandom } from '../../../src/testing/index.ts';
import { Workplace } from '../../support/processes.ts';

const KILLS = process.env['CHAOS_LONG'] === '1' ? 50 : 12;
const SEED = Number(process.env['SEED'] ?? Math.floor(performance.timeOrigin));
const ERROR_MS_MAX = 500;
const ERROR_RATIO_MAX = 0.5;
/** So long a driver lives after its recovery, at most: longer than from one checkpoint to the next. */
const LIFE_MS_MAX = 5000;
const PROGRAM = join(import.meta.dirname, '../../support/budget-program.mjs');
const place = new Workplace();

afterEach(() => place.close());

interface Report {
  readonly report: 'estimate' | 'recovered';
  readonly ms: number;
  readonly batches: number;
  readonly durationMs: number;
  readonly batchesRerun: number;
}

function reportsOf(log: string): readonly Report[] {
  return log.split('\n').flatMap((line) => (line.startsWith('{"report"') && line.endsWith('}') ? [JSON.parse(line) as Report] : []));
}

/** What each start that recovered was expected to take, and took. */
function compare(lives: readonly (readonly Report[])[]) {
  const compared: { readonly estimatedMs: number; readonly tookMs: number; readonly batches: readonly [number, number]; readonly errorMs: number }[] = [];
  let last: Report | undefined;
  for (const report of lives.flat()) {
    if (report.report === 'estimate') last = report;
    else if (last !== undefined) {
      const { ms: estimatedMs, batches } = last;
      const { durationMs: tookMs, batchesRerun } = report;
      compared.push({ estimatedMs, tookMs, batches: [batches, batchesRerun], errorMs: Math.abs(estimatedMs - tookMs) });
    }
  }
  return compared;
}

it(`says what the next start will take, ${KILLS} kills, seed ${SEED}`, async () => {
  const random = new SeededRandom(SEED);
  const lives: (readonly Report[])[] = [];
  for (let recovered = 0; recovered <= KILLS;) {
    const driver = place.start({}, [process.execPath, PROGRAM]);
    const isEarly = recovered > 0 && random.next() < 0.1;
    if (!isEarly) await driver.logged('"report":"recovered"');
    await sleep(random.next() * (isEarly ? 1000 : LIFE_MS_MAX));
    driver.process.kill('SIGKILL');
    const { code, log } = await driver.ended;
    expect({ code, log }).toMatchObject({ code: 'SIGKILL' });
    lives.push(reportsOf(log));
    recovered += Number(log.includes('"report":"recovered"'));
  }
  const compared = compare(lives);
  const wrong = compared.filter(({ errorMs, tookMs }) => errorMs > ERROR_MS_MAX && errorMs > ERROR_RATIO_MAX * tookMs);
  const errors = compared.map(({ errorMs }) => errorMs).sort((left, right) => left - right);
  const took = compared.map(({ tookMs }) => tookMs).sort((left, right) => left - right);
  const at = (numbers: readonly number[], part: number): number => numbers[Math.ceil(numbers.length * part) - 1] ?? Number.NaN;
  process.stdout.write(
    `${compared.length} starts after a kill: took ${at(took, 0.5)} ms (median), ${at(took, 1)} ms (longest); the estimate was wrong by ${at(errors, 0.5)} ms (median), ` +
      `${at(errors, 0.95)} ms (95th percentile), ${at(errors, 1)} ms (most); ${wrong.length} by more than allowed\n`,
  );
  if (process.env['VERBOSE'] === '1') process.stdout.write(`${compared.map((each) => JSON.stringify(each)).join('\n')}\n`);
  expect(compared.length).toBeGreaterThanOrEqual(KILLS);
  // Else an estimate that knows nothing of the batches would pass.
  expect(took.filter((ms) => ms > 2 * ERROR_MS_MAX).length).toBeGreaterThan(KILLS / 20);
  expect(wrong.slice(Math.floor(compared.length / 20))).toEqual([]);
});
