// Durations and points in time. Both are branded numbers of milliseconds, so that a bare number is never taken for either and arithmetic stays plain.

declare const durationBrand: unique symbol;
declare const timeBrand: unique symbol;
declare const batchBrand: unique symbol;

/** A length of time in whole milliseconds, more than 0. Made by {@link milliseconds}, {@link seconds} or {@link minutes}. */
export type Duration = number & { readonly [durationBrand]: true };

/** A point in time: whole milliseconds since the Unix epoch, UTC. */
export type Time = number & { readonly [timeBrand]: true };

/** The name of a batch: the end of its interval, a multiple of the batch interval since the Unix epoch. */
export type BatchTime = Time & { readonly [batchBrand]: true };

/**
 * Makes a {@link Duration} of whole milliseconds.
 *
 * @param count - How many milliseconds: a whole number of 1 or more.
 * @throws {RangeError} If `count` is not a whole number of 1 or more.
 * @example
 * ```ts
 * import { milliseconds } from 'millrace';
 * console.assert(milliseconds(200) === 200);
 * ```
 */
export function milliseconds(count: number): Duration {
  if (!Number.isSafeInteger(count) || count < 1) {
    throw new RangeError(`Cannot make a duration as it must be a whole number of milliseconds of 1 or more: found ${String(count)}`);
  }
  return count as Duration;
}

/**
 * Makes a {@link Duration} of seconds; fractions down to a millisecond are allowed.
 *
 * @param count - How many seconds: more than 0, a whole number of milliseconds.
 * @throws {RangeError} If `count` is not a positive whole number of milliseconds.
 * @example
 * ```ts
 * import { milliseconds, seconds } from 'millrace';
 * console.assert(seconds(0.5) === milliseconds(500));
 * ```
 */
export function seconds(count: number): Duration {
  return milliseconds(Math.round(count * 1e6) / 1e3);
}

/**
 * Makes a {@link Duration} of minutes.
 *
 * @param count - How many minutes: more than 0, a whole number of milliseconds.
 * @throws {RangeError} If `count` is not a positive whole number of milliseconds.
 * @example
 * ```ts
 * import { minutes, seconds } from 'millrace';
 * console.assert(minutes(1) === seconds(60));
 * ```
 */
export function minutes(count: number): Duration {
  return seconds(count * 60);
}

/** The batch time at or before `time`. */
export function floorToBatch(time: number, interval: Duration): BatchTime {
  return (Math.floor(time / interval) * interval) as BatchTime;
}

/** The batch time that follows `time`: the first multiple of `interval` strictly later. */
export function batchAfter(time: number, interval: Duration): BatchTime {
  return (floorToBatch(time, interval) + interval) as BatchTime;
}

/** What becomes of intervals that passed while no driver ran: no batch, or one for each. */
export type MissedBatches = 'skip' | 'run';

/** Narrows a number read from disk to a batch time; any whole number of milliseconds is one, since the interval may have been another when it was written. */
export function toBatchTime(value: number): BatchTime {
  return value as BatchTime;
}
