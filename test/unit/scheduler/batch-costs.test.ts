// Goal: what a batch cost is known until a checkpoint covers it. Method: notes and questions in turn.
import { describe, expect, it } from 'vitest';
import { toBatchTime } from '../../../src/core/time.ts';
import { BatchCosts, type UncoveredBatch } from '../../../src/scheduler/batch-costs.ts';

const cost = (time: number, ms: number) => ({ batchTime: toBatchTime(time), ms, records: 1, outputMs: 100 });
const completed = (...times: readonly number[]): readonly UncoveredBatch[] => times.map((time) => ({ batchTime: toBatchTime(time), completion: {} }));
const planned = (time: number): UncoveredBatch => ({ batchTime: toBatchTime(time), completion: undefined });

/** The costs of batches 1, 2 and 3: 10, 20 and 30 ms, and 100 ms of output each. */
function threeBatches(): BatchCosts {
  const costs = new BatchCosts();
  costs.note(cost(1, 10), completed(1));
  costs.note(cost(2, 20), completed(1, 2));
  costs.note(cost(3, 30), completed(1, 2, 3));
  return costs;
}

describe('BatchCosts', () => {
  it('knows what each batch takes again, without its outputs', () => {
    expect(threeBatches().again(completed(1, 2, 3), true)).toEqual([10, 20, 30]);
  });
  it('asks nothing of a completed batch where there is no state', () => {
    expect(threeBatches().again(completed(1, 2, 3), false)).toEqual([0, 0, 0]);
  });
  it('takes a batch that runs for as long as the whole of the last one', () => {
    expect(threeBatches().again([...completed(3), planned(4)], false)).toEqual([0, 130]);
  });
  it('takes the first batch of all for nothing until it has run', () => {
    expect(new BatchCosts().again([planned(1)], true)).toEqual([0]);
  });
  it('forgets what a checkpoint covers', () => {
    const costs = threeBatches();
    costs.note(cost(4, 40), completed(3, 4));
    expect(costs.again(completed(1, 2, 3, 4), true)).toEqual([0, 0, 30, 40]);
  });
  it('keeps the first two, and says whether the first runs again', () => {
    const costs = threeBatches();
    expect(costs.firstOf(completed(1, 2, 3))).toMatchObject({ firstBatches: [{ ms: 10 }, { ms: 20 }], isFirstAgain: true });
    expect(costs.firstOf(completed(2, 3))).toMatchObject({ firstBatches: [{ ms: 10 }, { ms: 20 }], isFirstAgain: false });
  });
});
