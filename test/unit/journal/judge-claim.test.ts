// Goal: an epoch is asked for above everything that is there, and given to the newest claim only. Method: tables.
import { describe, expect, it } from 'vitest';
import { isNewest, nextEpoch } from '../../../src/journal/judge-claim.ts';

describe('nextEpoch()', () => {
  it.each([
    ['a new store', 0, [], 1],
    ['a store that was started', 5, [5], 6],
    ['a claim of a start that died', 5, [5, 6], 7],
    ['an identity that went back', 6, [7], 8],
    ['a claim that went with the power', 7, [5], 8],
    ['claims in any order', 5, [9, 10, 8], 11],
  ])('of %s', (_name, identityEpoch, claims, epoch) => {
    expect(nextEpoch(identityEpoch, claims)).toBe(epoch);
  });
});

describe('isNewest()', () => {
  it.each([
    ['nobody else', 5, [6], true],
    ['older claims', 5, [4, 5, 6], true],
    ['a later claim', 5, [6, 7], false],
    ['a later identity', 7, [6, 7], false],
    ['the claim was removed', 5, [7], false],
    ['all claims were removed', 5, [], false],
    ['an identity of the same epoch', 6, [6], false],
  ])('of epoch 6: %s', (_name, identityEpoch, claims, expected) => {
    expect(isNewest(6, { identityEpoch, claims })).toBe(expected);
  });
});
