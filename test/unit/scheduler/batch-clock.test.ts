// Goal: which batch comes next and when, for every clock. Method: a clock that a test moves; wall and monotonic time apart.
import { describe, expect, it } from 'vitest';
import { milliseconds, seconds, type MissedBatches } from '../../../src/index.ts';
import { toBatchTime } from '../../../src/core/time.ts';
import { BatchClock } from '../../../src/scheduler/batch-clock.ts';
import { ManualClock } from '../../../src/testing/index.ts';

const HOUR_MS = 3_600_000;
const YEAR_MS = 365 * 24 * HOUR_MS;
const NOW = 50 * YEAR_MS + 30;

function clockAt(startMs: number, last: number, missedBatches: MissedBatches = 'skip', interval = milliseconds(100)) {
  const manual = new ManualClock(startMs);
  return { manual, batches: new BatchClock(manual, interval, { last: toBatchTime(last), missedBatches }) };
}

/** The next batches, each taken when it is due. */
function take({ manual, batches }: ReturnType<typeof clockAt>, count: number): number[] {
  return Array.from({ length: count }, () => {
    manual.advance(batches.untilNextMs);
    const { next } = batches;
    batches.advance();
    return next - NOW;
  });
}

describe('the first batch of a start', () => {
  it.each<[string, number, number, MissedBatches, { next: number; untilNextMs: number; isNextMissed: boolean }]>([
    ['ever', 1030, 0, 'skip', { next: 1100, untilNextMs: 70, isNextMissed: false }],
    ['ever: nothing was missed before', 1030, 0, 'run', { next: 1100, untilNextMs: 70, isNextMissed: false }],
    ['ever, at the very end of an interval', 1000, 0, 'skip', { next: 1100, untilNextMs: 100, isNextMissed: false }],
    ['within the interval of the last', 1030, 1000, 'skip', { next: 1100, untilNextMs: 70, isNextMissed: false }],
    ['within the interval of the last, nothing missed', 1030, 1000, 'run', { next: 1100, untilNextMs: 70, isNextMissed: false }],
    ['after a time down', 1930, 1000, 'skip', { next: 2000, untilNextMs: 70, isNextMissed: false }],
    ['after a time down, each is run', 1930, 1000, 'run', { next: 1100, untilNextMs: 0, isNextMissed: true }],
    ['with the clock behind the last', 30, 5000, 'skip', { next: 5100, untilNextMs: 100, isNextMissed: false }],
    ['with the clock behind the last, nothing missed', 30, 5000, 'run', { next: 5100, untilNextMs: 100, isNextMissed: false }],
    ['behind a row that is on no boundary', 30, 5050, 'skip', { next: 5100, untilNextMs: 50, isNextMissed: false }],
  ])('%s', (_name, now, last, missedBatches, expected) => {
    const { batches } = clockAt(now, last, missedBatches);
    expect({ next: batches.next, untilNextMs: batches.untilNextMs, isNextMissed: batches.isNextMissed }).toEqual(expected);
  });
});

describe('within one life', () => {
  it('a slow batch is followed by the next in turn, at once, until the clock is caught up', () => {
    const scene = clockAt(NOW, NOW - 30);
    expect(take(scene, 1)).toEqual([70]);
    scene.manual.advance(350);
    expect(scene.batches.untilNextMs).toBe(0);
    expect(scene.batches.isNextMissed).toBe(false);
    expect(take(scene, 3)).toEqual([170, 270, 370]);
    expect(scene.batches.untilNextMs).toBe(50);
  });
  it.each([HOUR_MS, -HOUR_MS, 10 * YEAR_MS, -10 * YEAR_MS])('a wall clock that jumps by %i ms changes neither order nor number nor when', (jumpMs) => {
    const scene = clockAt(NOW, 0);
    const first = take(scene, 2);
    scene.manual.jump(jumpMs);
    expect(scene.batches.untilNextMs).toBe(100);
    expect([...first, ...take(scene, 3)]).toEqual([70, 170, 270, 370, 470]);
    expect(scene.manual.monotonic()).toBe(470);
  });
  it('a wall clock that strobes changes nothing', () => {
    const scene = clockAt(NOW, 0);
    const taken = [HOUR_MS, -2 * HOUR_MS, 10 * YEAR_MS, -30 * YEAR_MS].map((jumpMs) => {
      scene.manual.jump(jumpMs);
      return take(scene, 1)[0];
    });
    expect(taken).toEqual([70, 170, 270, 370]);
  });
  it('a clock behind the last batch does not stall: a batch comes each interval', () => {
    const scene = clockAt(NOW - HOUR_MS, NOW - 30);
    expect(take(scene, 3)).toEqual([70, 170, 270]);
    expect(scene.manual.monotonic()).toBe(300);
  });
  it('an interval of 30 days is waited for', () => {
    const interval = seconds(30 * 24 * 3600);
    const { batches } = clockAt(interval + 1, 0, 'skip', interval);
    expect(batches.untilNextMs).toBe(interval - 1);
  });
});

describe('missed intervals', () => {
  it('are run one by one: a million take no list', () => {
    const { batches } = clockAt(1_000_000 * 100 + 150, 100, 'run');
    let count = 0;
    for (; batches.isNextMissed; count++) batches.advance();
    expect({ count, next: batches.next, untilNextMs: batches.untilNextMs }).toEqual({ count: 1_000_000, next: 100_000_200, untilNextMs: 50 });
  });
  it('go on where they were when a driver died among them', () => {
    const { batches } = clockAt(1930, 1000, 'run');
    batches.advance();
    batches.advance();
    const again = clockAt(1940, batches.next - 100, 'run').batches;
    expect([again.next, again.isNextMissed]).toEqual([1300, true]);
  });
  it('have waited since the start, not since they ended', () => {
    const { manual, batches } = clockAt(1930, 1000, 'run');
    manual.advance(20);
    expect([batches.delayMs(toBatchTime(1100)), batches.delayMs(toBatchTime(1940)), batches.delayMs(toBatchTime(2000))]).toEqual([20, 10, 0]);
  });
});
