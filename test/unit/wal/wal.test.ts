// Goal: what was answered is found again, what is damaged is refused. Method: a log on a simulated disk.
import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../../../src/testing/index.ts';
import { encodeFrame, FLAG_GROUP_END, FRAME_HEADER_BYTES, frameBytesOf } from '../../../src/wal/frame.ts';
import type { LogPosition } from '../../../src/wal/read-at.ts';
import { SEGMENT_HEADER_BYTES } from '../../../src/wal/segment-header.ts';
import { appendAll, TestLog } from '../../support/test-log.ts';

const FRAME = frameBytesOf(1);
const corrupt = (segment: string, offset: number) =>
  expect.objectContaining({
    code: 'STREAM_WAL_CORRUPT',
    exitCode: 78,
    message: expect.stringMatching(new RegExp(`${segment}\\.wal" at offset ${offset},`)),
  }) as Error;

async function logOf(...groups: readonly (readonly string[])[]): Promise<TestLog> {
  const log = new TestLog();
  const wal = await log.open();
  for (const group of groups) await appendAll(wal, ...group);
  return log;
}

describe('Wal.append()', () => {
  it('survives a power cut once it has resolved', async () => {
    for (let seed = 0; seed < 30; seed++) {
      const log = await logOf(['a'], ['b', 'c']);
      log.disk.cutPower(new SeededRandom(seed));
      expect(await (await log.open()).close().then(() => log.read())).toEqual(['a', 'b', 'c']);
    }
  });
  it('answers nobody before the sync has returned', async () => {
    const at = (await logOf(['a'])).process.names.findLastIndex((name) => name.startsWith('file.sync ')) + 1;
    for (const isAfter of [false, true]) {
      const log = new TestLog();
      const wal = await log.open({ pauseAt: { at, isAfter } });
      const answers: string[] = [];
      const record = { type: 1, payload: [Buffer.from('a')], onDurable: () => answers.push('onDurable') };
      const appended = wal.append(record).then(() => answers.push('append'));
      await log.process.paused;
      await log.settled();
      expect(answers).toEqual([]);
      log.process.resume();
      await appended;
      expect(answers).toEqual(['onDurable', 'append']);
    }
  });
  it('shares one sync among what is appended in one turn', async () => {
    const syncs = async (...groups: readonly (readonly string[])[]): Promise<number> =>
      (await logOf(...groups)).process.names.filter((name) => name.startsWith('file.sync ')).length;
    expect((await syncs(['a', 'b', 'c'])) - (await syncs())).toBe(1);
    expect((await syncs(['a'], ['b'], ['c'])) - (await syncs())).toBe(3);
  });
  it('numbers records without gaps, over restarts', async () => {
    const log = await logOf(['a'], ['b']);
    const wal = await log.open();
    expect((await wal.append({ type: 1, payload: [Buffer.from('c')] })).lsn).toBe(3);
    expect(await log.read()).toEqual(['a', 'b', 'c']);
  });
  it('refuses a record over the limit and goes on', async () => {
    const wal = await new TestLog().open();
    await expect(wal.append({ type: 1, payload: [Buffer.alloc((1 << 20) + 1)] })).rejects.toMatchObject({ code: 'STREAM_RECORD_TOO_LARGE' });
    await appendAll(wal, 'a');
  });
  it('poisons the log when a write or sync fails', async () => {
    for (const [step, code] of [
      ['file.write', 'EIO'],
      ['file.sync', 'EIO'],
      ['file.sync', 'ENOSPC'],
    ] as const) {
      const probe = await logOf(['a']);
      const at = probe.process.names.findLastIndex((name) => name.startsWith(step)) + 1;
      const log = new TestLog();
      const wal = await log.open({ fail: { at, code } });
      const poisoned = { code: 'STREAM_WAL_POISONED', exitCode: 74 };
      await expect(appendAll(wal, 'a', 'b')).rejects.toMatchObject(poisoned);
      await expect(appendAll(wal, 'c')).rejects.toMatchObject(poisoned);
      expect(log.poisons).toHaveLength(1);
    }
  });
  it('writes the last group afresh at the next start: a failed write-back left it in the cache only', async () => {
    const log = await logOf(['a']);
    const wal = await log.open();
    log.disk.failNextSync = true;
    await expect(appendAll(wal, 'b')).rejects.toMatchObject({ code: 'STREAM_WAL_POISONED' });
    await log.open();
    const found = await log.read();
    log.disk.cutPower(new SeededRandom(1));
    await log.open();
    expect(await log.read()).toEqual(found);
    expect(found).toEqual(['a', 'b']);
  });
  it('goes into a new segment when the old one is full, and stays readable by position', async () => {
    const log = new TestLog();
    const wal = await log.open({ segmentBytesMax: SEGMENT_HEADER_BYTES + 2 * FRAME });
    const positions = [];
    for (const text of ['a', 'b', 'c', 'd', 'e']) positions.push(await wal.append({ type: 1, payload: [Buffer.from(text)] }));
    expect(log.segments()).toHaveLength(3);
    expect(await log.read()).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(Buffer.from(await wal.readAt(positions[1] as never)).toString()).toBe('b');
    const another = { ...(positions[1] as object), lsn: 3 };
    await expect(wal.readAt(another as never)).rejects.toMatchObject({
      code: 'STREAM_BLOCK_CORRUPT',
      message: expect.stringContaining('found record 2') as string,
    });
    log.flip(1, (positions[1]?.offset ?? 0) + 40);
    await expect(wal.readAt(positions[1] as never)).rejects.toMatchObject({ code: 'STREAM_BLOCK_CORRUPT' });
  });
  it('is read by position also when several segments are read at once, and after a reading that failed', async () => {
    const log = new TestLog();
    const texts = ['a', 'b', 'c', 'd', 'e', 'f'];
    const options = { segmentBytesMax: SEGMENT_HEADER_BYTES + 2 * FRAME };
    const probe = await log.open(options);
    const positions: LogPosition[] = [];
    for (const text of texts) positions.push(await probe.append({ type: 1, payload: [Buffer.from(text)] }));
    const read = (wal: typeof probe) => Promise.all(positions.map(async (position) => Buffer.from(await wal.readAt(position)).toString()));
    const opened = () => log.process.names.filter((name) => name.startsWith('file.open-read')).length;
    const before = opened();
    expect(await read(probe)).toEqual(texts);
    expect(opened() - before).toBe(3);
    const steps = log.process.steps;
    const failing = new TestLog();
    const wal = await failing.open({
      ...options,
      fail: {
        at:
          steps -
          log.process.names
            .slice()
            .reverse()
            .findIndex((name) => name.startsWith('file.open-read')),
        code: 'EIO',
      },
    });
    for (const text of texts) await wal.append({ type: 1, payload: [Buffer.from(text)] });
    await read(wal).catch(() => undefined);
    expect(await read(wal)).toEqual(texts);
    await wal.close();
  });
  it('stops when another driver has made its next segment', async () => {
    const log = new TestLog();
    const wal = await log.open({ segmentBytesMax: SEGMENT_HEADER_BYTES + FRAME });
    await appendAll(wal, 'a');
    log.disk.create(log.path(2));
    await expect(appendAll(wal, 'b')).rejects.toMatchObject({ code: 'STREAM_FENCED', exitCode: 73 });
  });
});

describe('Wal.cut()', () => {
  it('removes whole segments below low water, and nothing else', async () => {
    const log = new TestLog();
    const wal = await log.open({ segmentBytesMax: SEGMENT_HEADER_BYTES + 2 * FRAME });
    for (const text of ['a', 'b', 'c', 'd', 'e']) await appendAll(wal, text);
    await wal.cut(2);
    expect(log.segments()).toHaveLength(3);
    await wal.cut(4);
    expect(log.segments()).toHaveLength(2);
    expect(await log.read()).toEqual(['c', 'd', 'e']);
    await wal.cut(100);
    expect(await log.read()).toEqual(['e']);
  });
  it('leaves no hole when the power goes while it removes', async () => {
    const texts = ['a', 'b', 'c', 'd'];
    const live = async (log: TestLog, killAt?: number): Promise<number> => {
      const wal = await log.open({ segmentBytesMax: SEGMENT_HEADER_BYTES + FRAME, ...(killAt === undefined ? {} : { killAt }) });
      for (const text of texts) await appendAll(wal, text);
      const { steps } = log.process;
      await Promise.race([wal.cut(100), log.process.died]);
      return steps;
    };
    const whole = new TestLog();
    const before = await live(whole);
    for (let killAt = before + 1; killAt <= whole.process.steps; killAt++) {
      for (let seed = 0; seed < 5; seed++) {
        const log = new TestLog();
        await live(log, killAt);
        log.crash();
        log.disk.cutPower(new SeededRandom(seed));
        const left = await log.read();
        expect(left).toEqual(texts.slice(-left.length));
      }
    }
  });
});

describe('scanWal()', () => {
  it('cuts a torn last record', async () => {
    const log = await logOf(['a'], ['b']);
    log.truncate(1, log.size(1) - 3);
    expect(await log.scan()).toMatchObject({ nextLsn: 2, tornBytes: FRAME_HEADER_BYTES + 1 });
    expect(await log.read()).toEqual(['a']);
  });
  it('keeps the beginning of a torn group', async () => {
    const log = await logOf(['a'], ['b', 'c', 'd']);
    log.flip(1, SEGMENT_HEADER_BYTES + 2 * FRAME + 20);
    expect(await log.read()).toEqual(['a', 'b']);
  });
  it('refuses damage before the last group with its place, and changes nothing', async () => {
    const log = await logOf(['a'], ['b'], ['c']);
    log.flip(1, SEGMENT_HEADER_BYTES + FRAME + 40);
    const before = log.disk.readVolatile(log.path(1));
    await expect(log.open()).rejects.toEqual(corrupt('0000000000000001', SEGMENT_HEADER_BYTES + FRAME));
    expect(log.disk.readVolatile(log.path(1)).equals(before)).toBe(true);
    expect(log.segments()).toHaveLength(1);
  });
  it('refuses every flipped byte of the log, or it is in the last group, or it never counted', async () => {
    const log = await logOf(['a'], ['b'], ['c']);
    const whole = log.disk.readVolatile(log.path(1));
    for (let offset = 0; offset < whole.length; offset++) {
      const bytes = Buffer.from(whole);
      bytes[offset] = (bytes[offset] ?? 0) ^ 0xff;
      log.disk.overwrite(log.path(1), bytes);
      const read = await log.read().catch((error: unknown) => (error as { code: string }).code);
      if (offset < SEGMENT_HEADER_BYTES + 2 * FRAME) expect(read).toBe('STREAM_WAL_CORRUPT');
      else expect(read).toEqual(['a', 'b']);
    }
  });
  it('refuses damage in a segment that is not the last', async () => {
    const log = await logOf(['a'], ['b']);
    await log.open();
    log.flip(1, SEGMENT_HEADER_BYTES + 40);
    await expect(log.scan()).rejects.toEqual(corrupt('0000000000000001', SEGMENT_HEADER_BYTES));
  });
  it('refuses zeros in the place of a record that others follow', async () => {
    // The larger one does not fit into what is read at a time.
    for (const text of ['b', 'b'.repeat(600_000)]) {
      const log = await logOf(['a'], [text], ['c']);
      const at = SEGMENT_HEADER_BYTES + FRAME;
      log.disk.overwrite(log.path(1), log.disk.readVolatile(log.path(1)).fill(0, at, at + frameBytesOf(text.length)));
      await expect(log.scan()).rejects.toEqual(corrupt('0000000000000001', at));
    }
  });
  it.each([
    ['record', { lsn: 3 }],
    ['group', { group: 3 }],
    ['segment', { salt: 7 }],
  ])('refuses a whole frame in the place of another: of another %s', async (_name, other) => {
    const log = await logOf(['a'], ['b']);
    const whole = log.disk.readVolatile(log.path(1));
    const put = (parts: object): void => {
      const frame = encodeFrame({ type: 1, flags: FLAG_GROUP_END, salt: whole.readUInt32LE(20), lsn: 2, group: 2, durableLsn: 1, ...parts }, [
        Buffer.from('B'),
      ]);
      log.disk.overwrite(log.path(1), Buffer.concat([whole.subarray(0, SEGMENT_HEADER_BYTES + FRAME), ...frame]));
    };
    put({});
    expect(await log.read()).toEqual(['a', 'B']);
    put(other);
    await expect(log.read()).rejects.toEqual(corrupt('0000000000000001', SEGMENT_HEADER_BYTES + FRAME));
  });
  it('syncs the directory before it lists it, and each segment before it reads it', async () => {
    const log = await logOf(['a'], ['b']);
    await log.open();
    log.crash();
    await log.read();
    const first = (step: string): number => log.process.names.findIndex((name) => name === `file.${step}`);
    for (const [sync, use] of [
      ['syncDirectory /journal', 'entries /journal'],
      [`sync ${log.path(1)}`, `read ${log.path(1)}`],
      [`sync ${log.path(2)}`, `read ${log.path(2)}`],
    ] as const) {
      expect(first(sync)).toBeGreaterThanOrEqual(0);
      expect(first(use)).toBeGreaterThan(first(sync));
    }
  });
  it('has found what stays, power or not', async () => {
    const live = async (log: TestLog, killAt?: number): Promise<void> => {
      const wal = await log.open({ segmentBytesMax: SEGMENT_HEADER_BYTES + FRAME, ...(killAt === undefined ? {} : { killAt }) });
      for (const text of ['a', 'b', 'c']) await appendAll(wal, text);
    };
    const whole = new TestLog();
    await live(whole);
    for (let killAt = 1; killAt <= whole.process.steps; killAt++) {
      for (let seed = 0; seed < 5; seed++) {
        const log = new TestLog();
        const life = live(log, killAt);
        await Promise.race([life, log.process.died]);
        log.crash();
        const found = await log.read();
        log.disk.cutPower(new SeededRandom(seed));
        expect({ killAt, seed, read: await log.read() }).toEqual({ killAt, seed, read: found });
      }
    }
  });
  it('does not see what stands behind the end that the next segment names', async () => {
    const log = await logOf(['a'], ['b']);
    await log.open();
    log.flip(1, SEGMENT_HEADER_BYTES + FRAME + 40);
    expect(await log.read()).toEqual(['a', 'b']);
  });
  it('refuses a gap between segments', async () => {
    const log = await logOf(['a'], ['b']);
    await log.open();
    await log.open();
    log.disk.remove(log.path(2));
    await expect(log.scan()).rejects.toMatchObject({ code: 'STREAM_WAL_CORRUPT' });
  });
  it('refuses a segment of another store, and one of a newer format', async () => {
    const [log, other] = [await logOf(['a']), await logOf(['b'])];
    log.disk.overwrite(log.path(1), other.disk.readVolatile(other.path(1)));
    await expect(log.scan()).rejects.toMatchObject({ code: 'STREAM_IDENTITY' });
    const { crc32 } = await import('node:zlib');
    const bytes = other.disk.readVolatile(other.path(1));
    bytes.writeUInt32LE(9, 8);
    bytes.writeUInt32LE(crc32(bytes.subarray(0, 4092)), 4092);
    other.disk.overwrite(other.path(1), bytes);
    await expect(other.scan()).rejects.toMatchObject({ code: 'STREAM_WAL_VERSION', message: expect.stringContaining('found version 9') as string });
  });
});
