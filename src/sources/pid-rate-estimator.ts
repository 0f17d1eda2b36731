// Pure: at which rate should a receiver take records, given how its last batch went? The formula of Spark's PIDRateEstimator, with its rules on what is not looked at.

/** The weights of the estimator. */
export interface PidGains {
  readonly proportional: number;
  readonly integral: number;
  readonly derivative: number;
  /** The least rate it gives, in records per second. */
  readonly rateMin: number;
}

/** How a batch went. */
export interface BatchOutcome {
  /** When it was done, in milliseconds. */
  readonly timeMs: number;
  /** Records of the receiver in it. */
  readonly records: number;
  readonly processingDelayMs: number;
  readonly schedulingDelayMs: number;
}

/** Estimates the rate of one receiver. */
export class PidRateEstimator {
  readonly #gains: PidGains;
  readonly #batchIntervalMs: number;
  #last: { readonly timeMs: number; readonly rate: number; readonly error: number } | undefined;

  constructor(batchIntervalMs: number, gains: PidGains) {
    this.#batchIntervalMs = batchIntervalMs;
    this.#gains = gains;
  }

  /** The new rate in records per second; undefined while there is nothing to go by: the first batch, one without records, one that took no time or is older than the last. */
  update({ timeMs, records, processingDelayMs, schedulingDelayMs }: BatchOutcome): number | undefined {
    const last = this.#last;
    if (records <= 0 || processingDelayMs <= 0 || (last !== undefined && timeMs <= last.timeMs)) return undefined;
    const processingRate = (records / processingDelayMs) * 1000;
    if (last === undefined) {
      this.#last = { timeMs, rate: processingRate, error: 0 };
      return undefined;
    }
    const { proportional, integral, derivative, rateMin } = this.#gains;
    const error = last.rate - processingRate;
    const waiting = (schedulingDelayMs * processingRate) / this.#batchIntervalMs;
    const change = (error - last.error) / ((timeMs - last.timeMs) / 1000);
    const rate = Math.max(last.rate - proportional * error - integral * waiting - derivative * change, rateMin);
    this.#last = { timeMs, rate, error };
    return rate;
  }
}
