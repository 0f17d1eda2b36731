// Goal: the checker of these tests sees each kind of wrong log. Method: histories and logs made by hand.
import { describe, expect, it } from 'vitest';
import { LogHistory, numberOf } from '../../../support/log-history.ts';

const BYTES = 10;

function textOf(number: number): string {
  return `${number} `.repeat(BYTES).slice(0, BYTES);
}

function historyOf(...lines: readonly string[]): LogHistory {
  const history = new LogHistory();
  history.beginLife();
  for (const line of lines) history.take(line);
  return history;
}

function answered(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => [`try ${index + 1}`, `ok ${index + 1}`]).flat();
}

describe('the history of a log', () => {
  it('takes what was acknowledged, with or without what was in flight', () => {
    const history = historyOf(...answered(2), 'try 3');
    expect(history.check([1, 2].map(textOf), BYTES)).toEqual([]);
    expect(history.check([1, 2, 3].map(textOf), BYTES)).toEqual([]);
  });
  it.each([
    { what: 'lost', found: [1, 2], says: 'record 3 was acknowledged and is not there' },
    { what: 'lost before others', found: [1, 3], says: 'record 2 is not there and a later one is' },
    { what: 'doubled', found: [1, 2, 2, 3], says: 'record 2 is there twice' },
    { what: 'moved', found: [2, 1, 3], says: 'record 1 stands behind record 2' },
    { what: 'made up', found: [1, 2, 3, 4], says: 'record 4 was never tried' },
  ])('sees what was $what', ({ found, says }) => {
    expect(historyOf(...answered(3)).check(found.map(textOf), BYTES)).toContain(says);
  });
  it('sees other bytes and other lengths', () => {
    expect(historyOf(...answered(1)).check(['1 1 1 2 1 '], BYTES)).toContain('the record at place 1 holds other bytes: 1 1 1 2 1 ');
    expect(historyOf(...answered(1)).check(['1 1 1 '], BYTES)).toContain('the record at place 1 holds other bytes: 1 1 1 ');
    expect(numberOf('12 12 12 1')).toBe(12);
    expect(numberOf('12 12 1212')).toBeUndefined();
    expect(numberOf('')).toBeUndefined();
  });
  it('sees a record that was refused for a full disk, unless it was taken later', () => {
    const history = historyOf('try 1', 'refused 1 STREAM_DISK_FULL');
    expect(history.check([], BYTES)).toEqual([]);
    expect(history.check([textOf(1)], BYTES)).toContain('record 1 was refused and is there');
    history.take('try 1');
    expect(history.check([textOf(1)], BYTES)).toEqual([]);
  });
  it('lets a record that was refused stand behind later ones', () => {
    const history = historyOf('try 1', 'try 2', 'refused 1 STREAM_DISK_FULL', 'ok 2', 'try 1', 'ok 1');
    expect(history.check([2, 1].map(textOf), BYTES)).toEqual([]);
  });
  it('sees an acknowledgement after a failure, and one of another life is none', () => {
    const history = historyOf('try 1', 'try 2', 'refused 1 STREAM_WAL_POISONED');
    history.beginLife();
    history.take('ok 2');
    expect(history.check([1, 2].map(textOf), BYTES)).toEqual([]);
    history.take('try 3');
    history.take('refused 3 STREAM_WAL_POISONED');
    history.take('ok 3');
    expect(history.check([1, 2, 3].map(textOf), BYTES)).toEqual(['record 3 was acknowledged after "STREAM_WAL_POISONED" of record 3']);
  });
  it('sees what was recovered once and is gone', () => {
    const history = historyOf('try 1');
    expect(history.check([textOf(1)], BYTES)).toEqual([]);
    expect(history.check([], BYTES)).toEqual(['record 1 was recovered once and is not there']);
  });
});
