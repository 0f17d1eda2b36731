// Goal: damage is refused, or it is harmless, or it is in the window that docs/format-wal.md names; never is a wrong record read. Method: a small log of three segments; every byte of it is
// changed, one at a time, and every file is cut to every length; then whole sectors are lost, swapped and doubled.
import { describe, expect, it } from 'vitest';
import { frameBytesOf } from '../../../../src/wal/frame.ts';
import { SEGMENT_HEADER_BYTES } from '../../../../src/wal/segment-header.ts';
import { appendAll, TestLog } from '../../../support/test-log.ts';

const CODES = ['STREAM_WAL_CORRUPT', 'STREAM_WAL_VERSION', 'STREAM_IDENTITY'];
const LAST_GROUP = ['fifth', 'sixth'];
const ALL = ['first', 'second', 'third', 'fourth', ...LAST_GROUP];
const SEGMENT_BYTES = SEGMENT_HEADER_BYTES + 400;

/** Three segments: of a driver that rotated, and of one that started after it. With `isMarked` the last group was idle for a second. */
async function smallLog(isMarked: boolean): Promise<TestLog> {
  const log = new TestLog();
  const options = { segmentBytesMax: SEGMENT_BYTES, isPrepared: true };
  const first = await log.open(options);
  await appendAll(first, 'first');
  await appendAll(first, 'second', 'third');
  const second = await log.open(options);
  await appendAll(second, 'fourth');
  const third = await log.open(options);
  await appendAll(third, ...LAST_GROUP);
  if (isMarked) {
    log.clock.advance(1000);
    await log.settled();
  }
  log.crash();
  expect(await log.read()).toEqual(ALL);
  return log;
}

type Verdict = 'refused' | 'harmless' | 'window';

/** What reading comes to. Anything but these three is a wrong record, or an error without a name. */
async function judge(log: TestLog, where: string): Promise<Verdict> {
  try {
    const read = await log.read();
    if (JSON.stringify(read) === JSON.stringify(ALL)) return 'harmless';
    // A torn write keeps what stands before it, also of its own group.
    const isWindow = read.length >= ALL.length - LAST_GROUP.length && JSON.stringify(read) === JSON.stringify(ALL.slice(0, read.length));
    if (!isWindow) throw new Error(`${where}: read ${String(read)}`);
    return 'window';
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === undefined || !CODES.includes(code)) throw error;
    return 'refused';
  }
}

describe.each([
  ['after which the log was idle', true],
  ['that nothing followed', false],
] as const)('a log with a last group %s', (_name, isMarked) => {
  it('of which one byte is another', async () => {
    const log = await smallLog(isMarked);
    const verdicts = { refused: 0, harmless: 0, window: 0 };
    const newest = log.segmentCount;
    const last = { from: SEGMENT_HEADER_BYTES + frameBytesOf(6), to: SEGMENT_HEADER_BYTES + frameBytesOf(6) + 2 * frameBytesOf(6) };
    for (let segment = 1; segment <= newest; segment++) {
      const whole = log.disk.readVolatile(log.path(segment));
      for (let offset = 0; offset < whole.length; offset++) {
        for (const change of [0xff, 1 << (offset % 8)]) {
          const damaged = Buffer.from(whole);
          damaged[offset] = (damaged[offset] ?? 0) ^ change;
          log.disk.overwrite(log.path(segment), damaged);
          const where = `segment ${segment}, offset ${offset}, change ${change}`;
          const verdict = await judge(log, where);
          verdicts[verdict] += 1;
          if (offset < SEGMENT_HEADER_BYTES) expect({ where, verdict }).toEqual({ where, verdict: 'refused' });
          if (verdict === 'window')
            expect({ where, isInWindow: segment === newest && !isMarked && offset >= last.from && offset < last.to }).toEqual({ where, isInWindow: true });
        }
      }
      log.disk.overwrite(log.path(segment), whole);
    }
    expect(verdicts.refused).toBeGreaterThan(2 * 3 * SEGMENT_HEADER_BYTES);
    expect(verdicts.harmless).toBeGreaterThan(100);
    expect(verdicts.window > 0).toBe(!isMarked);
  });
  it('of which a file is cut to any length, or goes', async () => {
    const log = await smallLog(isMarked);
    for (let segment = 1; segment <= log.segmentCount; segment++) {
      const whole = log.disk.readVolatile(log.path(segment));
      for (let length = 0; length < whole.length; length++) {
        log.disk.overwrite(log.path(segment), whole.subarray(0, length));
        const where = `segment ${segment} cut to ${length}`;
        expect({ where, verdict: await judge(log, where) }).toEqual({ where, verdict: 'refused' });
      }
      log.disk.overwrite(log.path(segment), whole);
    }
  });
  it('of which a sector is lost, old, doubled or swapped', async () => {
    const log = await smallLog(isMarked);
    const count = log.segmentCount;
    const wholes = Array.from({ length: count }, (_unused, index) => log.disk.readVolatile(log.path(index + 1)));
    const verdicts = new Set<Verdict>();
    for (let segment = 1; segment <= count; segment++) {
      const whole = wholes[segment - 1] ?? Buffer.alloc(0);
      for (let from = 0; from < whole.length; from += 64) {
        for (const other of [
          Buffer.alloc(64),
          ...wholes.map((bytes) => bytes.subarray(SEGMENT_HEADER_BYTES, SEGMENT_HEADER_BYTES + 64)),
          whole.subarray(from + 64, from + 128),
        ]) {
          const damaged = Buffer.from(whole);
          other.copy(damaged, from, 0, Math.min(other.length, whole.length - from));
          log.disk.overwrite(log.path(segment), damaged);
          verdicts.add(await judge(log, `segment ${segment}, 64 bytes at ${from}`));
        }
      }
      log.disk.overwrite(log.path(segment), whole);
    }
    expect(verdicts).toContain('refused');
  });
});
