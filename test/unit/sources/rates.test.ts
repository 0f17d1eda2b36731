import { describe, expect, it } from 'vitest';
import { PidRateEstimator } from '../../../src/sources/pid-rate-estimator.ts';
import { RateLimiter } from '../../../src/sources/rate-limiter.ts';
import { ManualClock } from '../../../src/testing/index.ts';

describe('PidRateEstimator', () => {
  const outcome = ([timeMs, records, processingDelayMs, schedulingDelayMs]: readonly [number, number, number, number]) => ({
    timeMs,
    records,
    processingDelayMs,
    schedulingDelayMs,
  });
  // Computed by an independent model of Spark's formula.
  it('follows the formula of Spark with its default weights', () => {
    const estimator = new PidRateEstimator(1000, { proportional: 1, integral: 0.2, derivative: 0, rateMin: 100 });
    const steps = [
      [1000, 5000, 500, 0],
      [2000, 5000, 1000, 0],
      [3000, 5000, 2000, 500],
      [4000, 5000, 2500, 1500],
      [5000, 0, 10, 0],
      [6000, 100, 50, 0],
    ] as const;
    expect(steps.map((step) => estimator.update(outcome(step)))).toEqual([undefined, 5000, 2250, 1400, undefined, 2000]);
  });
  // From Spark's PIDRateEstimatorSuite.
  it('gives the processing rate where only the error counts', () => {
    const estimator = new PidRateEstimator(20, { proportional: 1, integral: 0, derivative: 0, rateMin: 10 });
    expect(estimator.update(outcome([0, 10, 10, 0]))).toBeUndefined();
    expect(estimator.update(outcome([10, 10, 10, 0]))).toBe(1000);
  });
  it('passes over batches without records, without duration, and out of order; keeps the least rate', () => {
    const estimator = new PidRateEstimator(1000, { proportional: 1, integral: 1, derivative: 1, rateMin: 7 });
    estimator.update(outcome([1000, 10, 100, 0]));
    for (const step of [
      [2000, 0, 100, 0],
      [2000, 10, 0, 0],
      [1000, 10, 100, 0],
      [500, 10, 100, 0],
    ] as const)
      expect(estimator.update(outcome(step))).toBeUndefined();
    expect(estimator.update(outcome([3000, 1, 5000, 100_000]))).toBe(7);
  });
});

describe('RateLimiter', () => {
  it('lets a second’s worth in at once, then the rate', () => {
    const clock = new ManualClock(0);
    const limiter = new RateLimiter(clock, 100);
    expect(limiter.waitMs).toBe(0);
    limiter.take(99);
    expect(limiter.waitMs).toBe(0);
    limiter.take(51);
    expect(limiter.waitMs).toBe(501);
    clock.advance(500);
    expect(limiter.waitMs).toBeGreaterThan(0);
    clock.advance(1);
    expect(limiter.waitMs).toBe(0);
    clock.advance(60_000);
    limiter.take(200);
    expect(limiter.waitMs).toBe(1001);
  });
  it('takes a new rate over at once', () => {
    const clock = new ManualClock(0);
    const limiter = new RateLimiter(clock, 100);
    limiter.take(200);
    limiter.rate = 1000;
    expect(limiter.waitMs).toBe(101);
    expect(limiter.rate).toBe(1000);
  });
});
