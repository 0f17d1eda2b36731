// Goal: an estimate is what reading takes by bytes, running again by the times that were measured, and what is left of the start of this life. Method: a table.
import { describe, expect, it } from 'vitest';
import { estimateRecovery, type MeasuredLife, type RecoveryFacts } from '../../../src/scheduler/recovery-estimate.ts';

const MB = 1_000_000;
const LIFE: MeasuredLife = { start: { ms: 50, logBytes: 0, stateBytes: 0 }, firstBatches: [], isFirstAgain: false };
const FACTS: RecoveryFacts = { logBytes: 0, stateBytes: 0, batchesMs: [] };
const batch = (ms: number, records = 10) => ({ ms, records });

describe('estimateRecovery()', () => {
  it.each<[string, Partial<RecoveryFacts>, Partial<MeasuredLife>, number]>([
    ['takes what the start took', {}, {}, 50],
    ['adds the batches that run again', { batchesMs: [10, 20, 30.4] }, {}, 110],
    ['adds the reading of the log', { logBytes: 300 * MB }, {}, 1050],
    ['adds the reading of the state', { stateBytes: 200 * MB }, {}, 1050],
    ['adds the decoding of state that is new, if a batch touches it', { stateBytes: 30 * MB, batchesMs: [0] }, {}, 1200],
    [
      'adds no decoding of state that the first batch of this life decoded',
      { stateBytes: 30 * MB, batchesMs: [0] },
      { start: { ms: 200, logBytes: 0, stateBytes: 30 * MB } },
      200,
    ],
    ['takes off what the start of this life read', {}, { start: { ms: 1050, logBytes: 300 * MB, stateBytes: 0 } }, 50],
    ['takes off no more than the start took', {}, { start: { ms: 50, logBytes: 300 * MB, stateBytes: 0 } }, 0],
    ['adds what the first batch of a life takes beyond the second', { batchesMs: [20] }, { firstBatches: [batch(500), batch(20)] }, 550],
    ['adds it once, where that batch runs again itself', { batchesMs: [500, 20] }, { firstBatches: [batch(500), batch(20)], isFirstAgain: true }, 570],
    ['does not take more records for a slow beginning', { batchesMs: [20] }, { firstBatches: [batch(200, 100), batch(20)] }, 70],
    ['adds nothing where the second took longer', { batchesMs: [20] }, { firstBatches: [batch(10), batch(20)] }, 70],
    ['knows no beginning after one batch', { batchesMs: [20] }, { firstBatches: [batch(500)] }, 70],
    ['needs no beginning where nothing runs again', {}, { firstBatches: [batch(500), batch(20)] }, 50],
    ['takes a batch without records as it is', { batchesMs: [20] }, { firstBatches: [batch(30), batch(20, 0)] }, 80],
  ])('%s', (_name, facts, life, ms) => {
    expect(estimateRecovery({ ...FACTS, ...facts }, { ...LIFE, ...life }).ms).toBe(ms);
  });
  it('says how many batches and bytes it counts', () => {
    expect(estimateRecovery({ logBytes: 3, stateBytes: 4, batchesMs: [1, 1] }, LIFE)).toMatchObject({ batches: 2, bytes: 7 });
  });
});
