// What each batch cost, remembered until a checkpoint covers it: then no start runs it again.
import type { BatchTime } from '../core/time.ts';
import type { MeasuredBatch, MeasuredLife, RecoveryFacts } from './recovery-estimate.ts';

/** A batch that has run. */
export interface BatchCost extends MeasuredBatch {
  readonly batchTime: BatchTime;
  /** Milliseconds that its outputs took: a start that runs it for its state only does not need them. */
  readonly outputMs: number;
}

/** A batch that no checkpoint covers. */
export interface UncoveredBatch {
  readonly batchTime: BatchTime;
  readonly completion: unknown;
}

const FIRST_BATCHES = 2;

/** The costs of the batches of one life. */
export class BatchCosts {
  #costs = new Map<BatchTime, BatchCost>();
  #first: readonly BatchCost[] = [];
  #last: BatchCost | undefined;

  /** Notes what a batch cost, and forgets those that are covered. */
  note(cost: BatchCost, uncovered: readonly UncoveredBatch[]): void {
    this.#costs.set(cost.batchTime, cost);
    this.#last = cost;
    if (this.#first.length < FIRST_BATCHES) this.#first = [...this.#first, cost];
    if (this.#costs.size <= uncovered.length) return;
    const kept = new Set(uncovered.map(({ batchTime }) => batchTime));
    this.#costs = new Map([...this.#costs].filter(([batchTime]) => kept.has(batchTime)));
  }

  /**
   * How long each of these batches will take when it runs again. One that is not completed counts as the whole of the last one that was.
   *
   * @param hasState - Whether an operator keeps state: without, a batch that is completed does not run again.
   */
  again(uncovered: readonly UncoveredBatch[], hasState: boolean): RecoveryFacts['batchesMs'] {
    const last = this.#last;
    return uncovered.map(({ batchTime, completion }) => {
      if (completion === undefined) return last === undefined ? 0 : last.ms + last.outputMs;
      return hasState ? (this.#costs.get(batchTime)?.ms ?? 0) : 0;
    });
  }

  /** What an estimate compares with, given the batches that no checkpoint covers. */
  firstOf(uncovered: readonly UncoveredBatch[]): Pick<MeasuredLife, 'firstBatches' | 'isFirstAgain'> {
    return { firstBatches: this.#first, isFirstAgain: uncovered.some(({ batchTime }) => batchTime === this.#first[0]?.batchTime) };
  }
}
