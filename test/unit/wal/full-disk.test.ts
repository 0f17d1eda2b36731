// Goal: a full disk refuses, what it refused never comes back, and nothing else is lost. Method: a simulated disk with a limit.
import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../../../src/testing/index.ts';
import { frameBytesOf } from '../../../src/wal/frame.ts';
import { SEGMENT_HEADER_BYTES } from '../../../src/wal/segment-header.ts';
import type { Wal } from '../../../src/wal/wal.ts';
import { appendAll, TestLog } from '../../support/test-log.ts';

const FRAME = frameBytesOf(1);
const FULL = { code: 'STREAM_DISK_FULL', exitCode: 74 };

/** A log on a disk that has room for so many bytes behind the header of its segment. */
async function logWithRoom(bytes: number, segmentBytesMax = 1 << 20): Promise<{ readonly log: TestLog; readonly wal: Wal }> {
  const log = new TestLog();
  const wal = await log.open({ segmentBytesMax });
  log.disk.capacityBytes = SEGMENT_HEADER_BYTES + bytes;
  return { log, wal };
}

describe('a full disk', () => {
  it('refuses a group that has no room, and takes it when there is room', async () => {
    const { log, wal } = await logWithRoom(FRAME);
    await appendAll(wal, 'a');
    await expect(appendAll(wal, 'b')).rejects.toMatchObject(FULL);
    log.disk.capacityBytes += FRAME;
    await appendAll(wal, 'b');
    expect(await log.read()).toEqual(['a', 'b']);
    expect(log.poisons).toEqual([]);
  });
  it('takes back what it had written of a group: a refused record never comes back, power or not', async () => {
    for (let room = 0; room < 3 * FRAME; room += 8) {
      for (const power of [false, true]) {
        const { log, wal } = await logWithRoom(FRAME + room);
        await appendAll(wal, 'a');
        await expect(appendAll(wal, 'b', 'c', 'd')).rejects.toMatchObject(FULL);
        if (power) log.disk.cutPower(new SeededRandom(room));
        log.disk.capacityBytes = 1 << 20;
        await log.open();
        expect(await log.read()).toEqual(['a']);
      }
    }
  });
  it('refuses everybody who waits, in order, before anything else is taken', async () => {
    const { wal } = await logWithRoom(FRAME);
    const refused: string[] = [];
    const append = (text: string) => wal.append({ type: 1, payload: [Buffer.from(text)], onRefused: () => refused.push(text) });
    const waiting = ['a', 'b'].map(append);
    await expect(Promise.all(waiting)).rejects.toMatchObject(FULL);
    expect(refused).toEqual(['a', 'b']);
  });
  it('refuses when there is no room for the next segment, and leaves nothing of it', async () => {
    const { log, wal } = await logWithRoom(FRAME + 100, SEGMENT_HEADER_BYTES + FRAME);
    await appendAll(wal, 'a');
    await expect(appendAll(wal, 'b')).rejects.toMatchObject(FULL);
    expect(log.segments()).toEqual(['0000000000000001.wal']);
    log.disk.capacityBytes = 1 << 20;
    await appendAll(wal, 'b');
    expect(await log.read()).toEqual(['a', 'b']);
  });
  it('is the end of the log if what was written cannot be taken back', async () => {
    const probe = await logWithRoom(FRAME + 8);
    await appendAll(probe.wal, 'a');
    const before = probe.log.process.steps;
    await expect(appendAll(probe.wal, 'b')).rejects.toMatchObject(FULL);
    const steps = probe.log.process.names.slice(before);
    expect(steps.map((step) => step.split(' ')[0])).toEqual(['file.write', 'file.write', 'file.write', 'file.sync']);
    for (const at of [before + 3, before + 4]) {
      const log = new TestLog();
      const wal = await log.open({ fail: { at, code: 'EIO' } });
      log.disk.capacityBytes = SEGMENT_HEADER_BYTES + FRAME + 8;
      await appendAll(wal, 'a');
      await expect(appendAll(wal, 'b')).rejects.toMatchObject({ code: 'STREAM_WAL_POISONED' });
    }
  });
  it('has no prepared segment, and that is all', async () => {
    const log = new TestLog();
    const wal = await log.open({ segmentBytesMax: SEGMENT_HEADER_BYTES + 4 * FRAME, isPrepared: true });
    log.disk.capacityBytes = 2 * SEGMENT_HEADER_BYTES + 4 * FRAME;
    await appendAll(wal, 'a', 'b');
    log.clock.advance(10);
    await log.settled();
    expect(log.segments()).toEqual(['0000000000000001.wal']);
    await appendAll(wal, 'c');
    expect(await log.read()).toEqual(['a', 'b', 'c']);
  });
});
