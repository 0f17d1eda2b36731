// Goal: whichever system call of the log fails, what was acknowledged is read again, what was not is never made up, and the exit code says what to do. Method: a writer in a process
// of its own under strace, which fails, skips, interrupts or delays the k-th call; then the log is read twice and a writer without faults goes on. `SEED=n` repeats the random k.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, type TestContext } from 'vitest';
import { SeededRandom } from '../../../../src/testing/index.ts';
import { Injector, makeScratch, releaseAll, requireTools, type Injection } from '../../../support/faults.ts';
import { LogPlace, type WriterOptions } from '../../../support/log-place.ts';
import { readLog } from '../../../support/real-log.mjs';

const SEED = Number(process.env['SEED'] ?? Math.floor(performance.timeOrigin));
const WRITES = 'pwritev,pwritev2';
const PLAIN_WRITES = 'pwrite64';
const RENAMES = 'link,linkat,rename,renameat,renameat2';
/** One record in a group: 40 bytes of header, the record, zeros up to a multiple of 8. */
const BYTES = 203;
const FRAME_BYTES = 248;
const HEADER_BYTES = 4096;
const SEGMENT_BYTES_MAX = 16 * 1024;
const DELAY_MS = 300;
const GROUPS_PER_SEGMENT = Math.floor((SEGMENT_BYTES_MAX - HEADER_BYTES) / FRAME_BYTES);
/** The calls of the first segment's life: its header, then its groups. */
const SYNC_OF_SECOND_HEADER = GROUPS_PER_SEGMENT + 2;
const RECORDS = 2 * GROUPS_PER_SEGMENT + 10;
const someGroup = 2 + new SeededRandom(SEED).integer(GROUPS_PER_SEGMENT - 2);

let place: LogPlace;

beforeEach((context: TestContext) => {
  requireTools(context, ['tracing']);
  place = new LogPlace(makeScratch(), { records: RECORDS, bytes: BYTES, segmentBytesMax: SEGMENT_BYTES_MAX, parallel: 1 });
});
afterEach(async () => {
  await place.close();
  releaseAll();
});

/** Runs a writer with the fault to its end. */
async function writeWith(injection: Injection, options: Partial<WriterOptions> = {}) {
  const injector = new Injector(injection);
  const { code, isDone, log } = await place.start(options, { wrapper: injector.wrapper }).ended;
  return { code, isDone, log, isFired: injector.fired() > 0 };
}

/** What became of a writer with a fault, what was wrong with the log, and whether the next writer went on. */
async function outcomeOf(injection: Injection, options: Partial<WriterOptions> = {}) {
  const { code, isDone, isFired } = await writeWith(injection, options);
  const { refusals } = place.history;
  const { count, wrong } = await place.read();
  const goesOn = await place.goOn();
  return {
    isFired,
    code,
    isDone,
    isOpened: refusals.every(({ number }) => number > 0),
    refused: [...new Set(refusals.map((each) => each.code))],
    count,
    wrong,
    goesOn,
  };
}

const SOUND = { isFired: true, wrong: [], goesOn: [] };
const POISONED = { ...SOUND, code: 74, isDone: false, isOpened: true, refused: ['STREAM_WAL_POISONED'] };
const NOT_STARTED = { ...SOUND, code: 74, isDone: false, isOpened: false, refused: [expect.stringMatching(/^STREAM_/) as unknown], count: 0 };
const REFUSED = { ...SOUND, code: 0, isDone: true, refused: ['STREAM_DISK_FULL'] };
const UNHARMED = { ...SOUND, code: 0, isDone: true, isOpened: true, refused: [] };

/** The bytes of all files of the log. */
function bytesOfLog(): Readonly<Record<string, string>> {
  return Object.fromEntries(readdirSync(place.directory).map((name) => [name, readFileSync(join(place.directory, name), 'base64')]));
}

describe(`a sync that fails, seed ${SEED}`, () => {
  const fault = { calls: 'fdatasync', fault: 'error=EIO' };
  it.for(['2', '3', String(someGroup), String(SYNC_OF_SECOND_HEADER), String(SYNC_OF_SECOND_HEADER + 1)])('poisons the log at sync %s', async (when) => {
    expect(await outcomeOf({ ...fault, when })).toMatchObject(POISONED);
  });
  it.for(['2+', `${someGroup}+`, `${SYNC_OF_SECOND_HEADER}+`])('poisons the log from sync %s for ever', async (when) => {
    expect(await outcomeOf({ ...fault, when })).toMatchObject(POISONED);
  });
  it('poisons the log for all who wait', async () => {
    expect(await outcomeOf({ ...fault, when: String(someGroup) }, { parallel: 8, records: 400 })).toMatchObject(POISONED);
    expect(place.history.refusals.length).toBeGreaterThan(1);
  });
  it('poisons the log also if the sync says that the disk is full', async () => {
    expect(await outcomeOf({ calls: 'fdatasync', fault: 'error=ENOSPC', when: String(someGroup) })).toMatchObject(POISONED);
  });
  it('ends the first start with 74', async () => {
    expect(await outcomeOf({ ...fault, when: '1' })).toMatchObject(NOT_STARTED);
  });
  it('ends every start with 74 while it lasts, and the log stays as it is', async () => {
    expect(await place.goOn(RECORDS)).toEqual([]);
    const before = bytesOfLog();
    for (let start = 0; start < 2; start++) {
      expect(await writeWith({ ...fault, when: '1+' })).toMatchObject({ isFired: true, code: 74, isDone: false });
      expect(bytesOfLog()).toEqual(before);
    }
    expect(await place.goOn()).toEqual([]);
  });
});

describe(`a write that fails, seed ${SEED}`, () => {
  it.for(['1', String(someGroup), String(GROUPS_PER_SEGMENT + 1), `${someGroup}+`])('poisons the log at EIO on write %s', async (when) => {
    expect(await outcomeOf({ calls: WRITES, fault: 'error=EIO', when })).toMatchObject(POISONED);
  });
  it('poisons the log at EROFS, since nothing can be taken back', async () => {
    expect(await outcomeOf({ calls: WRITES, fault: 'error=EROFS', when: `${someGroup}+` })).toMatchObject(POISONED);
  });
  it('poisons the log when a new segment cannot be opened for want of file descriptors', async () => {
    expect(await outcomeOf({ calls: 'openat', fault: 'error=EMFILE', when: '1+', path: join(place.directory, '1-2.tmp') })).toMatchObject(POISONED);
  });
  it('poisons the log at EIO on the header of a new segment', async () => {
    expect(await outcomeOf({ calls: PLAIN_WRITES, fault: 'error=EIO', when: '2' })).toMatchObject(POISONED);
  });
  it('ends the first start with 74 at EIO on the header', async () => {
    expect(await outcomeOf({ calls: PLAIN_WRITES, fault: 'error=EIO', when: '1' })).toMatchObject(NOT_STARTED);
  });
  it.for([
    { what: 'the first group', calls: WRITES, when: '1' },
    { what: 'some group', calls: WRITES, when: String(someGroup) },
    { what: 'some group and the next tries', calls: WRITES, when: `${someGroup}..${someGroup + 3}` },
    { what: 'the first group of a segment', calls: WRITES, when: String(GROUPS_PER_SEGMENT + 1) },
    { what: 'the header of a new segment', calls: PLAIN_WRITES, when: '2' },
    { what: 'the header of the first segment', calls: PLAIN_WRITES, when: '1' },
  ])('refuses at ENOSPC on $what, and goes on when there is space', async ({ calls, when }) => {
    expect(await outcomeOf({ calls, fault: 'error=ENOSPC', when })).toMatchObject({ ...REFUSED, count: RECORDS });
  });
  it('refuses at EDQUOT as well', async () => {
    expect(await outcomeOf({ calls: WRITES, fault: 'error=EDQUOT', when: String(someGroup) })).toMatchObject({ ...REFUSED, count: RECORDS });
  });
  it('refuses all who wait at ENOSPC, and takes each once when there is space', async () => {
    const when = `${someGroup}..${someGroup + 1}`;
    expect(await outcomeOf({ calls: WRITES, fault: 'error=ENOSPC', when }, { parallel: 8, records: 400 })).toMatchObject({ ...REFUSED, count: 400 });
  });
});

describe('a name that cannot be made', () => {
  it('ends the first start with 74', async () => {
    expect(await outcomeOf({ calls: RENAMES, fault: 'error=EIO', when: '1' })).toMatchObject(NOT_STARTED);
  });
  it('poisons the log at a new segment', async () => {
    expect(await outcomeOf({ calls: RENAMES, fault: 'error=EIO', when: '2' })).toMatchObject(POISONED);
  });
  it.for(['1', '2'])('ends the first start with 74 when sync %s of the directory fails', async (when) => {
    expect(await outcomeOf({ calls: 'fsync', fault: 'error=EIO', when })).toMatchObject(NOT_STARTED);
  });
  it.for(['3', '3+'])('poisons the log when sync %s of the directory fails, at a new segment', async (when) => {
    expect(await outcomeOf({ calls: 'fsync', fault: 'error=EIO', when })).toMatchObject(POISONED);
  });
});

describe('a call that is interrupted', () => {
  it.for(['fdatasync', 'fsync', `${WRITES},${PLAIN_WRITES}`, 'write'])('is made again: %s', async (calls) => {
    expect(await outcomeOf({ calls, fault: 'error=EINTR', when: '1+2' })).toMatchObject({ ...UNHARMED, count: RECORDS });
  });
});

describe('a write that the disk loses and reports as done', () => {
  it.for([
    { what: 'some group', calls: WRITES, bytes: FRAME_BYTES, when: String(someGroup) },
    { what: 'the first group of the log', calls: WRITES, bytes: FRAME_BYTES, when: '1' },
    { what: 'the last group of a segment', calls: WRITES, bytes: FRAME_BYTES, when: String(GROUPS_PER_SEGMENT) },
    { what: 'the first group of the second segment', calls: WRITES, bytes: FRAME_BYTES, when: String(GROUPS_PER_SEGMENT + 1) },
    { what: 'the header of the first segment', calls: PLAIN_WRITES, bytes: HEADER_BYTES, when: '1' },
    { what: 'the header of the second segment', calls: PLAIN_WRITES, bytes: HEADER_BYTES, when: '2' },
  ])('is found at the next start, which changes nothing: $what', async ({ calls, bytes, when }) => {
    expect(await writeWith({ calls, fault: `retval=${bytes}`, when })).toMatchObject({ isFired: true, code: 0, isDone: true });
    const before = bytesOfLog();
    await expect(readLog(place.directory)).rejects.toMatchObject({ code: 'STREAM_WAL_CORRUPT', exitCode: 78 });
    expect(await place.start().ended).toMatchObject({ code: 78, isDone: false });
    expect(place.history.refusals).toEqual([{ number: 0, code: 'STREAM_WAL_CORRUPT' }]);
    expect(bytesOfLog()).toEqual(before);
  });
});

describe('a disk that is slow', () => {
  it('delays what waits and loses nothing', async () => {
    const started = performance.now();
    const delay = { calls: 'fdatasync', fault: `delay_enter=${DELAY_MS * 1000}`, when: String(someGroup) };
    expect(await outcomeOf(delay, { parallel: 8, records: 400 })).toMatchObject({ ...UNHARMED, count: 400 });
    expect(performance.now() - started).toBeGreaterThan(DELAY_MS);
  });
});

describe('a read that fails at a start', () => {
  it.for([1, 2])('is not the end of the log: 74, and the log stays as it is, segment %i', async (segment) => {
    expect(await place.goOn(RECORDS)).toEqual([]);
    const before = bytesOfLog();
    const path = join(place.directory, place.segments()[segment - 1] ?? '');
    expect(await writeWith({ calls: 'pread64,read,preadv', fault: 'error=EIO', when: '1', path })).toMatchObject({ isFired: true, code: 74, isDone: false });
    expect(place.history.refusals).toEqual([{ number: 0, code: expect.stringMatching(/^STREAM_/) as unknown }]);
    expect(bytesOfLog()).toEqual(before);
    expect(await place.goOn()).toEqual([]);
  });
});
