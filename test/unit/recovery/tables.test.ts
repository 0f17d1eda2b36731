import { describe, expect, it } from 'vitest';
import { toBatchTime } from '../../../src/core/time.ts';
import { decideBatch } from '../../../src/recovery/decide-batch.ts';
import { judgeRow } from '../../../src/recovery/judge-rows.ts';
import { lastBatchTime } from '../../../src/recovery/last-batch-time.ts';
import { compareFingerprints, compareWithRows, foreignRows } from '../../../src/scheduler/compare-rerun.ts';

const time = toBatchTime;

describe('decideBatch()', () => {
  it('has an answer for every combination', () => {
    const answers = [0, 1, 2, 3, 4, 5, 6, 7].map((bits) => {
      const [isPlanned, isCompleted, isInCheckpoint] = [(bits & 4) > 0, (bits & 2) > 0, (bits & 1) > 0];
      return `${isPlanned ? 1 : 0}${isCompleted ? 1 : 0}${isInCheckpoint ? 1 : 0} ${decideBatch({ isPlanned, isCompleted, isInCheckpoint })}`;
    });
    expect(answers).toEqual(['000 join-next', '001 refuse', '010 refuse', '011 refuse', '100 rerun', '101 refuse', '110 state-only', '111 skip']);
  });
});

describe('judgeRow()', () => {
  const row = (batchTime: number, planId = `p${batchTime}`, fingerprint = 'f') => ({ batchTime: time(batchTime), planId, epoch: 1, fingerprint, rows: 1 });
  const expected = { batchTime: time(100), planId: 'p100', fingerprint: 'f' };
  const unfinished = { batchTime: 200, planId: 'p200', partitions: 2 };
  it.each([
    ['neither row nor expectation', undefined, undefined, undefined, 'unchanged'],
    ['the expected row', row(100), expected, undefined, 'unchanged'],
    ['the expected row, a batch unfinished', row(100), expected, unfinished, 'unchanged'],
    ['a row of the unfinished batch', row(200), expected, unfinished, 'committed'],
    ['a row of the unfinished batch, the first of its partition', row(200), undefined, unfinished, 'committed'],
    ['a row of the unfinished batch under a foreign plan', row(200, 'x'), expected, unfinished, 'refuse'],
    ['no row, though one was committed', undefined, expected, unfinished, 'refuse'],
    ['an older row', row(50), expected, unfinished, 'refuse'],
    ['the expected row with another fingerprint', row(100, 'p100', 'x'), expected, unfinished, 'refuse'],
    ['the expected batch under another plan', row(100, 'x'), expected, unfinished, 'refuse'],
    ['a newer row', row(300), expected, unfinished, 'refuse'],
    ['a row where none is expected', row(100), undefined, undefined, 'refuse'],
  ] as const)('%s', (_name, found, expectation, open, verdict) =>
    expect(judgeRow({ partitionId: 1, row: found, expected: expectation, unfinished: open }).kind).toBe(verdict),
  );
  it('refuses a row of a partition that the plan does not have', () =>
    expect(judgeRow({ partitionId: 2, row: row(200), expected, unfinished }).kind).toBe('refuse'));
});

describe('lastBatchTime()', () => {
  const row = (batchTime: number) => ({ batchTime: time(batchTime), planId: 'p', epoch: 1, fingerprint: 'f', rows: 1 });
  it.each([
    ['nothing', 0, [], [], 0],
    ['a plan', 300, [200, 100], [100, 200], 300],
    ['a checkpoint', 100, [300, 400], [100], 400],
    ['a row, whichever', 100, [100], [100, 500, 300], 500],
  ])('is that of %s', (_name, planned, heads, rows, last) => {
    const views = new Map(rows.map((each, index) => [`sink-${index}`, { rows: new Map([[index, row(each)]]) }]));
    expect(lastBatchTime({ ledger: { lastBatchTime: time(planned), replacing: [] }, heads: heads.map((batchTime) => ({ head: { batchTime } })), views })).toBe(
      last,
    );
  });
});

describe('comparing a rerun', () => {
  const prints = (...pairs: readonly (readonly [number, string])[]) => new Map(pairs);
  it('finds other, missing and additional rows', () => {
    expect(compareFingerprints(prints([0, 'a'], [1, 'b'], [2, 'c']), prints([0, 'a'], [1, 'x'], [3, 'd'])).map(({ partitionId }) => partitionId)).toEqual([
      1, 2, 3,
    ]);
  });
  it('tells rows of another plan from rows that differ', () => {
    const row = (batchTime: number, planId: string) => ({ batchTime: time(batchTime), planId, epoch: 1, fingerprint: 'a', rows: 1 });
    const rows = new Map([
      [0, row(200, 'p')],
      [1, row(200, 'x')],
      [2, row(100, 'x')],
    ]);
    expect(foreignRows(rows, { batchTime: time(200), planId: 'p' })).toEqual([1]);
  });
  it('looks only at rows of the batch itself', () => {
    const rows = new Map([
      [0, { batchTime: time(100), planId: 'p', epoch: 1, fingerprint: 'a', rows: 1 }],
      [1, { batchTime: time(200), planId: 'p', epoch: 1, fingerprint: 'b', rows: 1 }],
    ]);
    expect(compareWithRows(rows, time(200), prints([0, 'new'], [1, 'b']))).toEqual([]);
    expect(compareWithRows(rows, time(200), prints([0, 'new'])).map(({ partitionId, now }) => [partitionId, now])).toEqual([[1, undefined]]);
  });
});
