// Goal: a timer of the real Env fires after its delay, however long that is; Node's own fires at once beyond 2^31 - 1 ms. Method: vitest's fake timers under the real Env.
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createNodeEnv } from '../../../src/env/node-env.ts';

const DAY_MS = 86_400_000;
const { clock } = createNodeEnv();

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'clearImmediate', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

it.each([0, 1, 1000, 24 * DAY_MS, 2 ** 31 - 1, 2 ** 31, 25 * DAY_MS, 30 * DAY_MS, 365 * DAY_MS])(
  'setTimer() of %i ms fires then, not before, and once',
  (ms) => {
    let fired = 0;
    clock.setTimer(ms, () => (fired += 1));
    vi.advanceTimersByTime(Math.max(0, ms - 1));
    expect(fired).toBe(ms === 0 ? 1 : 0);
    vi.advanceTimersByTime(1);
    expect(fired).toBe(1);
    vi.advanceTimersByTime(100 * DAY_MS);
    expect(fired).toBe(1);
  },
);

it('setTimer() counts a part that fired late', () => {
  let fired = 0;
  clock.setTimer(30 * DAY_MS, () => (fired += 1));
  // The process stands still for two days over the end of the first part, which is after 24.8 days.
  const { performance } = globalThis;
  const late = vi.spyOn(performance, 'now');
  vi.advanceTimersByTime(24 * DAY_MS);
  const before = performance.now();
  late.mockImplementation(() => before + 3 * DAY_MS);
  vi.advanceTimersByTime(DAY_MS);
  late.mockRestore();
  vi.advanceTimersByTime(2 * DAY_MS);
  expect(fired).toBe(0);
  vi.advanceTimersByTime(DAY_MS);
  expect(fired).toBe(1);
});

it('cancel() holds in every part', () => {
  let fired = 0;
  const timers = [10, 26, 60].map((days) => clock.setTimer(70 * DAY_MS, () => (fired += days)));
  for (const [index, days] of [10, 26, 60].entries()) {
    vi.advanceTimersByTime((days - ([10, 26, 60][index - 1] ?? 0)) * DAY_MS);
    timers[index]?.cancel();
  }
  vi.advanceTimersByTime(100 * DAY_MS);
  expect(fired).toBe(0);
});
