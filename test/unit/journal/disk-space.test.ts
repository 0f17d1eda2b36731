// Goal: what has no room waits in its order, the ballast lets decisions through, and everything goes on by itself. Method: a journal on a simulated disk with a limit.
import { describe, expect, it } from 'vitest';
import { toBatchTime } from '../../../src/core/time.ts';
import { hasBallast, releaseBallastIfFull, restoreBallast, STORE_ROOM_BYTES, type BallastPlace } from '../../../src/journal/ballast.ts';
import type { Journal } from '../../../src/journal/journal.ts';
import { createSimEnv, ManualClock, SeededRandom, settle, SimDisk, SimProcess } from '../../../src/testing/index.ts';
import { SEGMENT_HEADER_BYTES } from '../../../src/wal/segment-header.ts';
import { journalOn, TestLog } from '../../support/test-log.ts';

const MIB = 1024 * 1024;

function append(journal: Journal, stream: string): Promise<unknown> {
  return journal.appendBlock({ stream, recordCount: 1, codec: 'lines', payload: [Buffer.alloc(100)] });
}

function decide(journal: Journal, batchTime: number): Promise<unknown> {
  return journal.append({ kind: 'checkpoint', number: 1, batchTime: toBatchTime(batchTime), lsn: 1, headHash: 'h' });
}

/** Whether a promise is settled by now. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  promise.then(
    () => (settled = true),
    () => (settled = true),
  );
  await settle();
  return settled;
}

async function fullJournal(ballastBytes: number) {
  const log = new TestLog();
  const clock = new ManualClock(0);
  const { journal, space } = await journalOn(log, { clock, ballastBytes });
  await space.begin();
  await append(journal, 'first');
  return {
    log,
    clock,
    journal,
    space,
    fill: (room = 0) => (log.disk.capacityBytes = log.disk.usedBytes + room),
    empty: () => (log.disk.capacityBytes = Number.MAX_SAFE_INTEGER),
    /** Lets the disk be looked at once. */
    look: async () => {
      clock.advance(1000);
      await settle();
      await settle();
    },
  };
}

describe('a journal on a full disk', () => {
  it('holds blocks in their order until there is room, and numbers them in the order of the log', async () => {
    const { journal, fill, empty, look } = await fullJournal(0);
    fill();
    const held = ['a', 'b', 'c'].map((stream) => append(journal, stream));
    expect(await Promise.all(held.map(isSettled))).toEqual([false, false, false]);
    expect(journal.isDiskFull).toBe(true);
    expect(journal.status).toMatchObject({ isDiskFull: true });
    await look();
    expect(await isSettled(Promise.race(held))).toBe(false);
    empty();
    const later = append(journal, 'd');
    await look();
    await Promise.all([...held, later]);
    expect(journal.isDiskFull).toBe(false);
    expect(journal.ledger.waiting.map(({ stream }) => stream)).toEqual(['first', 'a', 'b', 'c', 'd']);
    const counters = journal.ledger.waiting.map(({ blockId }) => Number(blockId.split('-')[1]));
    expect(counters).toEqual(counters.toSorted((left, right) => left - right));
  });
  it('lets decisions through on the room of the ballast, and makes it again when there is room for twice as much', async () => {
    const { log, journal, fill, look } = await fullJournal(4096);
    expect(log.disk.stat('/ballast')?.size).toBe(4096);
    fill();
    const block = append(journal, 'a');
    await settle();
    expect(log.disk.stat('/ballast')).toBeUndefined();
    await decide(journal, 1);
    expect(await isSettled(block)).toBe(false);
    fill(8191);
    await look();
    expect(await isSettled(block)).toBe(false);
    expect(log.disk.stat('/ballast')).toBeUndefined();
    fill(8192);
    await look();
    await block;
    expect(log.disk.stat('/ballast')?.size).toBe(4096);
  });
  it('holds decisions too when the ballast is used up, and tries them again each second', async () => {
    const { journal, fill, look } = await fullJournal(0);
    fill();
    const decision = decide(journal, 1);
    expect(await isSettled(decision)).toBe(false);
    fill(SEGMENT_HEADER_BYTES);
    await look();
    await decision;
    expect(journal.isDiskFull).toBe(true);
  });
  it('holds decisions in their order: a later one does not overtake, though there is room by then', async () => {
    const { journal, fill, empty, look } = await fullJournal(0);
    fill();
    const appended: number[] = [];
    const decisions = [1, 2].map((batchTime) => decide(journal, batchTime).then(() => appended.push(batchTime)));
    await settle();
    empty();
    decisions.push(decide(journal, 3).then(() => appended.push(3)));
    await settle();
    expect(appended).toEqual([]);
    await look();
    await Promise.all(decisions);
    expect(appended).toEqual([1, 2, 3]);
  });
  it('refuses blocks that wait when the context stops, and gives up the rest when it is closed', async () => {
    const { journal, fill } = await fullJournal(0);
    fill();
    const [block, decision] = [append(journal, 'a'), decide(journal, 1)];
    await settle();
    journal.refuseWaitingBlocks();
    await expect(block).rejects.toMatchObject({ code: 'STREAM_DISK_FULL' });
    await expect(append(journal, 'b')).rejects.toMatchObject({ code: 'STREAM_DISK_FULL' });
    expect(await isSettled(decision)).toBe(false);
    const closed = journal.close();
    await expect(decision).rejects.toMatchObject({ code: 'STREAM_DISK_FULL' });
    await closed;
  });
  it('has room for a checkpoint, or makes it from the ballast, or says that it has none', async () => {
    const ample = await fullJournal(0);
    expect(await ample.journal.hasCheckpointRoom()).toBe(true);
    ample.fill(STORE_ROOM_BYTES - 1);
    expect(await ample.journal.hasCheckpointRoom()).toBe(false);
    expect(ample.journal.isDiskFull).toBe(true);
    const ballasted = await fullJournal(MIB);
    ballasted.fill(STORE_ROOM_BYTES - MIB);
    expect(await ballasted.journal.hasCheckpointRoom()).toBe(true);
    expect(ballasted.log.disk.stat('/ballast')).toBeUndefined();
  });
});

describe('the ballast', () => {
  function place(bytes: number): BallastPlace & { readonly disk: SimDisk } {
    const disk = new SimDisk();
    const { files } = createSimEnv({ disk, process: new SimProcess(), clock: new ManualClock(0), random: new SeededRandom(1) });
    return { disk, files, directory: '/', bytes };
  }
  it('is really written, and durable', async () => {
    const at = place(3 * MIB + 1);
    expect(await restoreBallast(at)).toBe(true);
    at.disk.cutPower(new SeededRandom(1));
    expect(at.disk.stat('/ballast')?.size).toBe(3 * MIB + 1);
    expect(await restoreBallast(at)).toBe(true);
  });
  it('is not made where it would take the last room', async () => {
    const at = place(1000);
    at.disk.capacityBytes = 1999;
    expect(await restoreBallast(at)).toBe(false);
    expect(at.disk.list('/')).toEqual([]);
  });
  it('that a dead driver had begun is given up as well', async () => {
    const at = place(1000);
    at.disk.create('/ballast.tmp');
    at.disk.open('/ballast.tmp').write(Buffer.alloc(5000), 0);
    at.disk.capacityBytes = at.disk.usedBytes;
    expect(await releaseBallastIfFull(at)).toBe(true);
    expect(at.disk.list('/')).toEqual([]);
  });
  it('is given up before a start only if the store could not be opened otherwise', async () => {
    const at = place(1000);
    expect(await releaseBallastIfFull(at)).toBe(false);
    await restoreBallast(at);
    expect(await releaseBallastIfFull(at)).toBe(false);
    at.disk.capacityBytes = STORE_ROOM_BYTES;
    expect(await releaseBallastIfFull(at)).toBe(true);
    expect(await hasBallast(at)).toBe(false);
  });
});
