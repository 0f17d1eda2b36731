// Goal: which files a cut changes, in which order, and what refuses it. Method: tables over a log of three segments.
import { describe, expect, it } from 'vitest';
import { missingRanges } from '../../../src/cli/read-behind.ts';
import { cutPlaceAt, planRepair, requireCutWithin, requireHeadsBehind, type PlannedSegment } from '../../../src/cli/repair-plan.ts';
import { stepText } from '../../../src/cli/repair-report.ts';

const SEGMENTS: readonly PlannedSegment[] = [
  { segment: 4, fileBytes: 9000, firstLsn: 10, previousEnd: 0 },
  { segment: 5, fileBytes: 8000, firstLsn: 20, previousEnd: 8500 },
  { segment: 6, fileBytes: 7000, firstLsn: 30, previousEnd: 7500 },
];

/** The steps as short words. */
function stepsAt(at: { lsn: number; segment: number; offset: number }, isRestBlank = false, segments = SEGMENTS): readonly string[] {
  return planRepair(segments, cutPlaceAt(segments, at), isRestBlank).map((step) =>
    step.kind === 'zero' ? `zero ${step.segment} ${step.from}-${step.to}` : `${step.kind} ${step.segment}`,
  );
}

describe('a cut', () => {
  const damagedHeader = SEGMENTS.map((each) => (each.segment === 6 ? { ...each, firstLsn: undefined, previousEnd: undefined } : each));
  const emptySegment = SEGMENTS.map((each) => (each.segment === 6 ? { ...each, firstLsn: 20 } : each));
  it.each([
    ['in the newest segment', { lsn: 33, segment: 6, offset: 5000 }, ['copy 6', 'zero 6 5000-7000']],
    ['in the middle', { lsn: 22, segment: 5, offset: 5000 }, ['copy 5', 'copy 6', 'remove 6', 'zero 5 5000-8000']],
    ['in the oldest', { lsn: 11, segment: 4, offset: 5000 }, ['copy 4', 'copy 5', 'copy 6', 'remove 6', 'remove 5', 'zero 4 5000-9000']],
    ['at the first record of the log', { lsn: 10, segment: 4, offset: 4096 }, ['copy 4', 'copy 5', 'copy 6', 'remove 6', 'remove 5', 'zero 4 4096-9000']],
    ['at the first record of a segment: the void first', { lsn: 30, segment: 6, offset: 4096 }, ['copy 5', 'copy 6', 'zero 5 7500-8000', 'remove 6']],
    ['where nothing is whole', { lsn: 1, segment: 0, offset: 0 }, ['copy 4', 'copy 5', 'copy 6', 'remove 6', 'remove 5', 'remove 4']],
  ])('%s', (_name, at, steps) => expect(stepsAt(at)).toEqual(steps));
  it('leaves a segment alone that holds only zeros behind the place', () => {
    expect(stepsAt({ lsn: 30, segment: 6, offset: 4096 }, true)).toEqual(['copy 6', 'remove 6']);
    expect(stepsAt({ lsn: 33, segment: 6, offset: 5000 }, true)).toEqual([]);
  });
  it('behind a segment whose header is damaged ends where the one before ends', () => {
    expect(stepsAt({ lsn: 30, segment: 5, offset: 7600 }, false, damagedHeader)).toEqual(['copy 5', 'copy 6', 'remove 6', 'zero 5 7600-8000']);
  });
  it('takes every segment that begins with the record', () => {
    expect(stepsAt({ lsn: 20, segment: 6, offset: 4096 }, false, emptySegment)).toEqual([
      'copy 4',
      'copy 5',
      'copy 6',
      'zero 4 8500-9000',
      'remove 6',
      'remove 5',
    ]);
  });
  it('is said in words', () => {
    expect(stepText({ kind: 'copy', segment: 1 })).toBe('copy 0000000000000001.wal to 0000000000000001.wal.broken-<time>');
    expect(stepText({ kind: 'remove', segment: 1 })).toBe('remove 0000000000000001.wal');
    expect(stepText({ kind: 'zero', segment: 1, from: 2, to: 3 })).toBe('overwrite 0000000000000001.wal with zeros from offset 2 to 3');
  });
});

describe('requireCutWithin()', () => {
  it.each([10, 11, 25])('allows %i', (lsn) => expect(() => requireCutWithin(lsn, { firstLsn: 10, endLsn: 25, isDamaged: true })).not.toThrow());
  it.each([
    [9, true, 'from 10 to 25, the first damaged record'],
    [26, true, 'from 10 to 25, the first damaged record'],
    [26, false, 'from 10 to 25, the end of the log'],
  ])('refuses %i', (lsn, isDamaged, why) => expect(() => requireCutWithin(lsn, { firstLsn: 10, endLsn: 25, isDamaged })).toThrow(why));
});

describe('requireHeadsBehind()', () => {
  const heads = [
    { number: 8, lsn: 21 },
    { number: 7, lsn: 15 },
  ];
  it.each([22, 25])('allows a cut at %i', (lsn) => expect(() => requireHeadsBehind(heads, { lsn, endLsn: 25 })).not.toThrow());
  it('allows any cut without checkpoints', () => expect(() => requireHeadsBehind([], { lsn: 1, endLsn: 25 })).not.toThrow());
  it.each([
    [21, 25, 'checkpoint 8 was folded up to record 21, so the state would be; the smallest number that is allowed is 22'],
    [15, 25, 'checkpoint 8 was folded up to record 21, checkpoint 7 was folded up to record 15'],
    [18, 18, 'would be 22, the log is whole up to record 17 only'],
  ])('refuses a cut at %i of a log that ends before %i', (lsn, endLsn, why) => expect(() => requireHeadsBehind(heads, { lsn, endLsn })).toThrow(why));
});

describe('missingRanges()', () => {
  it.each([
    ['nothing is missing', [5, 6, 7], 7, []],
    ['nothing was there', [], 4, []],
    ['all', [], 7, [{ from: 5, to: 7 }]],
    [
      'holes',
      [6, 9],
      9,
      [
        { from: 5, to: 5 },
        { from: 7, to: 8 },
      ],
    ],
    ['the end', [5], 7, [{ from: 6, to: 7 }]],
    ['an unknown end', [5], undefined, [{ from: 6, to: undefined }]],
  ])('%s', (_name, lsns, to, ranges) => expect(missingRanges(lsns, 5, to)).toEqual(ranges));
});
