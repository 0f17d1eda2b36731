// Goal: when a segment is left, when the next is prepared, what an idle log says, and who may go on. Method: tables, and a log on a simulated disk.
import { describe, expect, it } from 'vitest';
import { frameBytesOf } from '../../../src/wal/frame.ts';
import { isPreparationDue, isRotationDue } from '../../../src/wal/is-rotation-due.ts';
import { decodeSegmentHeader, encodeSegmentHeader, SEGMENT_HEADER_BYTES } from '../../../src/wal/segment-header.ts';
import { SyncHistogram } from '../../../src/wal/sync-times.ts';
import { appendAll, TestLog } from '../../support/test-log.ts';

const FRAME = frameBytesOf(1);
const MARK_BYTES = frameBytesOf(0);

describe('isRotationDue()', () => {
  const facts = { size: 5000, groupBytes: 1000, zeroEnd: 8000, segmentBytesMax: 10_000, isNextReady: true };
  it.each([
    ['room in the zeros', facts, false],
    ['an empty segment takes a group of any size', { ...facts, size: SEGMENT_HEADER_BYTES, groupBytes: 1_000_000 }, false],
    ['over the limit', { ...facts, size: 9500 }, true],
    ['over the limit, nothing prepared', { ...facts, size: 9500, isNextReady: false }, true],
    ['the zeros are used up, the next is ready', { ...facts, size: 7500 }, true],
    ['the zeros are used up, nothing prepared', { ...facts, size: 7500, isNextReady: false }, false],
    ['exactly full', { ...facts, size: 7000 }, false],
  ])('%s', (_name, given, due) => expect(isRotationDue(given)).toBe(due));
  it('prepares when half of the zeros are used', () => {
    expect(isPreparationDue({ size: 4000, zeroEnd: 8000 })).toBe(false);
    expect(isPreparationDue({ size: 4001, zeroEnd: 8000 })).toBe(true);
  });
});

describe('a prepared segment', () => {
  const options = { segmentBytesMax: SEGMENT_HEADER_BYTES + 4 * FRAME, isPrepared: true };
  it('is filled with zeros while the log is idle, and taken when the old one is full', async () => {
    const log = new TestLog();
    const wal = await log.open(options);
    expect(log.size(1)).toBe(options.segmentBytesMax);
    await appendAll(wal, 'a');
    log.clock.advance(4);
    await log.settled();
    expect(log.segments()).toHaveLength(1);
    log.clock.advance(1);
    await log.settled();
    const [, prepared = ''] = log.segments();
    expect(prepared).toMatch(/^1-\d\.tmp$/);
    expect(wal.bytes).toBe(2 * options.segmentBytesMax);
    for (const text of ['b', 'c', 'd', 'e']) await appendAll(wal, text);
    expect(log.segments()).toEqual(['0000000000000001.wal', '0000000000000002.wal']);
    expect(log.size(2)).toBe(options.segmentBytesMax);
    expect(await log.read()).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(await log.scan()).toMatchObject({ tornBytes: 0 });
  });
  it('is not begun where it would take the last room, and what was begun is given up there', async () => {
    const log = new TestLog();
    const wal = await log.open(options);
    log.disk.capacityBytes = log.disk.usedBytes + 2 * options.segmentBytesMax - 1;
    for (const text of ['a', 'b']) {
      await appendAll(wal, text);
      log.clock.advance(5);
      await log.settled();
    }
    expect(log.segments()).toHaveLength(1);
    log.disk.capacityBytes += 1;
    await appendAll(wal, 'c');
    log.clock.advance(5);
    await log.settled();
    expect(log.segments()).toHaveLength(2);
  });
  it('of a newer driver stays when an older one opens the log too late', async () => {
    const log = new TestLog();
    log.disk.create('/journal/7-1.tmp');
    log.disk.create('/journal/0-3.tmp');
    log.disk.create('/journal/0000000000000001.wal.broken.tmp');
    await log.open(options);
    expect(log.segments().filter((name) => name.endsWith('.tmp'))).toEqual(['7-1.tmp']);
  });
  it('goes with its driver', async () => {
    const log = new TestLog();
    const wal = await log.open(options);
    await appendAll(wal, 'a');
    log.clock.advance(5);
    await log.settled();
    await wal.close();
    expect(log.segments()).toHaveLength(1);
    expect(wal.bytes).toBe(options.segmentBytesMax);
  });
  it('of a driver that died goes at the next start', async () => {
    const log = new TestLog();
    await appendAll(await log.open(options), 'a');
    log.clock.advance(5);
    await log.settled();
    expect(log.segments()).toHaveLength(2);
    await log.open(options);
    expect(log.segments()).toEqual(['0000000000000001.wal', '0000000000000002.wal']);
  });
  it('has its full size from the beginning, so that a file that was cut short is noticed', async () => {
    const log = new TestLog();
    await appendAll(await log.open(options), 'a');
    log.truncate(1, log.size(1) - 1);
    await expect(log.read()).rejects.toMatchObject({ code: 'STREAM_WAL_CORRUPT', message: expect.stringContaining('cut short') as string });
  });
  it('that cannot be synced ends the log', async () => {
    const log = new TestLog();
    const wal = await log.open(options);
    await appendAll(wal, 'a');
    log.disk.failNextSync = true;
    log.clock.advance(5);
    await log.settled();
    expect(log.poisons).toMatchObject([{ code: 'STREAM_WAL_POISONED' }]);
    await expect(appendAll(wal, 'b')).rejects.toMatchObject({ code: 'STREAM_WAL_POISONED' });
  });
});

describe('an idle log', () => {
  it('says after a second that its last group is durable, so that damage to it is told from a torn write', async () => {
    const last = SEGMENT_HEADER_BYTES + FRAME + 40;
    for (const isIdle of [false, true]) {
      const log = new TestLog();
      const wal = await log.open();
      await appendAll(wal, 'a');
      await appendAll(wal, 'b');
      log.clock.advance(isIdle ? 1000 : 999);
      await log.settled();
      expect(log.size(1)).toBe(SEGMENT_HEADER_BYTES + 2 * FRAME + (isIdle ? MARK_BYTES : 0));
      log.flip(1, last);
      const read = await log.read().catch((error: unknown) => (error as { code: string }).code);
      expect(read).toEqual(isIdle ? 'STREAM_WAL_CORRUPT' : ['a']);
    }
  });
  it('says it once, and when it is closed', async () => {
    const log = new TestLog();
    const wal = await log.open();
    await appendAll(wal, 'a');
    log.clock.advance(10_000);
    await log.settled();
    expect(log.size(1)).toBe(SEGMENT_HEADER_BYTES + FRAME + MARK_BYTES);
    await appendAll(wal, 'b');
    await wal.close();
    expect(log.size(1)).toBe(SEGMENT_HEADER_BYTES + 2 * FRAME + 2 * MARK_BYTES);
    expect(log.clock.nextTimerMs).toBeUndefined();
    expect(await log.read()).toEqual(['a', 'b']);
  });
  it('numbers go on without a gap over marks, restarts and torn groups', async () => {
    const log = new TestLog();
    for (const text of ['a', 'b', 'c', 'd']) {
      const wal = await log.open();
      await appendAll(wal, text);
      await wal.close();
      await log.open();
      // The first group behind a mark is torn in its first frame; its second frame is whole.
      const torn = await log.open();
      const segment = log.segments().length;
      await appendAll(torn, 'x', 'y');
      log.flip(segment, log.size(segment) - FRAME - 8);
    }
    expect(await log.read()).toEqual(['a', 'b', 'c', 'd']);
  });
  it('loses nothing when its mark is damaged: it is cut, or refused if a group follows', async () => {
    const log = new TestLog();
    const wal = await log.open();
    await appendAll(wal, 'a');
    log.clock.advance(1000);
    await log.settled();
    log.flip(1, SEGMENT_HEADER_BYTES + FRAME + 20);
    expect(await log.read()).toEqual(['a']);
    await appendAll(wal, 'b');
    await expect(log.read()).rejects.toMatchObject({ code: 'STREAM_WAL_CORRUPT', damage: { segment: 1, offset: SEGMENT_HEADER_BYTES + FRAME, lsnFrom: 2 } });
  });
});

describe('the owner of a store', () => {
  it('is asked after each sync, before anybody is answered', async () => {
    let isOwner = true;
    const log = new TestLog();
    const wal = await log.open({ isOwner: () => isOwner });
    await appendAll(wal, 'a');
    isOwner = false;
    await expect(appendAll(wal, 'b')).rejects.toMatchObject({ code: 'STREAM_FENCED', exitCode: 73 });
    isOwner = true;
    await expect(appendAll(wal, 'c')).rejects.toMatchObject({ code: 'STREAM_FENCED' });
    expect(log.poisons).toMatchObject([{ code: 'STREAM_FENCED' }]);
  });
  it('is asked before a segment gets its name', async () => {
    let isOwner = true;
    const log = new TestLog();
    const options = { segmentBytesMax: SEGMENT_HEADER_BYTES + FRAME, isOwner: () => isOwner };
    const wal = await log.open(options);
    await appendAll(wal, 'a');
    isOwner = false;
    await expect(appendAll(wal, 'b')).rejects.toMatchObject({ code: 'STREAM_FENCED' });
    expect(log.segmentCount).toBe(1);
    await expect(log.open(options)).rejects.toMatchObject({ code: 'STREAM_FENCED' });
    expect(log.segmentCount).toBe(1);
  });
});

describe('the chain of segments', () => {
  it('refuses a segment of another history, though its numbers fit', async () => {
    const log = new TestLog();
    const other = new TestLog(log.storeId);
    for (const [each, text] of [
      [log, 'a'],
      [other, 'x'],
    ] as const) {
      const wal = await each.open();
      await appendAll(wal, text);
      await appendAll(wal, 'b');
      await each.open();
      await each.open();
    }
    const whole = log.disk.readVolatile(log.path(1));
    log.disk.overwrite(log.path(1), other.disk.readVolatile(other.path(1)));
    await expect(log.read()).rejects.toMatchObject({ code: 'STREAM_WAL_CORRUPT' });
    log.disk.overwrite(log.path(1), whole);
    expect(await log.read()).toEqual(['a', 'b']);
  });
  it('refuses a swapped, a doubled and a missing segment, a link and a directory in the place of one', async () => {
    const log = new TestLog();
    for (const text of ['a', 'b', 'c']) await appendAll(await log.open(), text);
    const whole = [1, 2, 3].map((segment) => log.disk.readVolatile(log.path(segment)));
    for (const order of [
      [1, 0, 2],
      [0, 0, 2],
      [0, 1, 1],
    ]) {
      order.forEach((from, to) => log.disk.overwrite(log.path(to + 1), whole[from] ?? Buffer.alloc(0)));
      await expect(log.scan()).rejects.toMatchObject({ code: 'STREAM_WAL_CORRUPT' });
    }
    whole.forEach((bytes, index) => log.disk.overwrite(log.path(index + 1), bytes));
    log.disk.makeDirectory(log.path(4));
    await expect(log.scan()).rejects.toMatchObject({ code: 'STREAM_WAL_CORRUPT', message: expect.stringContaining('it is a directory') as string });
  });
  it('refuses a segment of an older driver behind one of a newer', async () => {
    const log = new TestLog();
    await appendAll(await log.open(), 'a');
    await log.open();
    const bytes = log.disk.readVolatile(log.path(1));
    const reading = decodeSegmentHeader(bytes);
    if (reading.kind !== 'header') throw new Error(reading.kind);
    bytes.set(encodeSegmentHeader({ ...reading.header, epoch: 3 }));
    log.disk.overwrite(log.path(1), bytes);
    const older = expect.stringContaining('its epoch 2 is older than the epoch 3 before it') as string;
    await expect(log.scan()).rejects.toMatchObject({ code: 'STREAM_WAL_CORRUPT', message: older });
  });
  it('does not mind names that are no segments', async () => {
    const log = new TestLog();
    await appendAll(await log.open(), 'a');
    for (const name of ['notes.txt', '0000000000000009.wal.broken-1', '7-1.tmp']) log.disk.create(`/journal/${name}`);
    expect(await log.read()).toEqual(['a']);
  });
});

describe('a slow or hung sync', () => {
  /** A log whose process stops in the middle of the sync of its first group. */
  async function hungLog() {
    const probe = new TestLog();
    await appendAll(await probe.open(), 'a');
    const at = probe.process.names.findLastIndex((name) => name.startsWith('file.sync')) + 1;
    const log = new TestLog();
    const wal = await log.open({ pauseAt: { at, isAfter: false } });
    const appended = appendAll(wal, 'a');
    await log.process.paused;
    return { log, wal, appended };
  }
  it('over a second is logged as a warning, and shows in the times', async () => {
    const { log, wal, appended } = await hungLog();
    log.clock.advance(1500);
    log.process.resume();
    await appended;
    expect(log.warnings).toEqual([{ message: 'a sync of the log was slow', segment: log.path(1), syncMs: 1500 }]);
    expect(Math.round(wal.syncTimes.max)).toBe(1500);
  });
  it('answers nobody while it lasts, and everybody afterwards', async () => {
    const { log, wal, appended } = await hungLog();
    let answers = 0;
    const later = Promise.all(['b', 'c'].map((text) => appendAll(wal, text).then(() => (answers += 1))));
    log.clock.advance(60_000);
    await log.settled();
    expect(answers).toBe(0);
    log.process.resume();
    await Promise.all([appended, later]);
    expect(answers).toBe(2);
    expect(await log.read()).toEqual(['a', 'b', 'c']);
  });
});

describe('SyncHistogram', () => {
  it('gives count, percentiles and the longest in milliseconds', () => {
    const histogram = new SyncHistogram();
    expect(histogram.times).toEqual({ count: 0, p50: 0, p99: 0, max: 0 });
    for (let ms = 1; ms <= 100; ms++) histogram.record(ms);
    const { count, p50, p99, max } = histogram.times;
    expect(count).toBe(100);
    expect([p50, p99, max].map(Math.round)).toEqual([50, 99, 100]);
  });
});
