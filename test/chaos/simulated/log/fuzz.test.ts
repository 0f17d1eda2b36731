// Goal: whatever bytes a file holds, the log gives a frame that was written or an error with a name; it takes no memory on the word of a damaged length, and no time either. Method: a million
// mutations of frames and segment headers, and ten thousand of whole logs; SEED=n repeats.
import { describe, expect, it, vi } from 'vitest';
import { SeededRandom } from '../../../../src/testing/index.ts';
import { encodeFrame, readFrame } from '../../../../src/wal/frame.ts';
import { decodeSegmentHeader, encodeSegmentHeader } from '../../../../src/wal/segment-header.ts';
import { appendAll, TestLog } from '../../../support/test-log.ts';

const SEED = Number(process.env['SEED'] ?? 1);
const FRAMES = process.env['CHAOS_LONG'] === '1' ? 10_000_000 : 900_000;
const HEADERS = 100_000;
const LOGS = 10_000;
const LIMIT = 1 << 20;

/** Changes some bytes: flips, numbers of interest, copies of other places, a cut. */
function mutate(random: SeededRandom, bytes: Buffer): Buffer {
  const result = Buffer.from(bytes);
  for (let change = 1 + random.integer(4); change > 0 && result.length > 8; change--) {
    const at = random.integer(result.length - 4);
    const kind = random.integer(5);
    if (kind === 0) result[at] = (result[at] ?? 0) ^ (1 << random.integer(8));
    else if (kind === 1) result.writeUInt32LE([0, 1, 0x7fff_ffff, 0xffff_ffff, LIMIT, LIMIT + 1, result.length][random.integer(7)] ?? 0, at);
    else if (kind === 2) result.copyWithin(at, random.integer(result.length), result.length);
    else if (kind === 3) result.fill(random.integer(256), at, Math.min(result.length, at + random.integer(40)));
    else return result.subarray(0, at);
  }
  return result;
}

/** Where the frame with a text ends, padding included. */
function frameEnd(segment: Buffer, text: string): number {
  return Math.ceil((segment.indexOf(text) + text.length) / 8) * 8;
}

/** Where two buffers begin to differ. */
function firstDifference(left: Buffer, right: Buffer): number {
  let at = 0;
  while (at < left.length && left[at] === right[at]) at += 1;
  return at;
}

/** Notes the largest buffer that is made while `work` runs. */
async function largestBuffer(work: () => Promise<void>): Promise<number> {
  const makers = [vi.spyOn(Buffer, 'alloc'), vi.spyOn(Buffer, 'allocUnsafe')];
  try {
    await work();
    return Math.max(...makers.flatMap(({ mock }) => mock.calls.map(([size]) => size)));
  } finally {
    for (const maker of makers) maker.mockRestore();
  }
}

describe('of mutated bytes', () => {
  it(`${FRAMES} frames are whole or bad, and none is believed that was changed`, () => {
    const random = new SeededRandom(SEED);
    const samples = Array.from({ length: 50 }, (_unused, index) =>
      Buffer.concat(
        encodeFrame({ type: 1, flags: index & 1, salt: 77, lsn: index + 1, group: index, durableLsn: index }, [Buffer.from(random.bytes(random.integer(120)))]),
      ),
    );
    let whole = 0;
    for (let count = 0; count < FRAMES; count++) {
      const sample = samples[count % samples.length] ?? Buffer.alloc(0);
      const bytes = mutate(random, sample);
      const reading = readFrame(bytes, 0, { end: bytes.length, payloadBytesMax: LIMIT });
      if (reading.kind !== 'frame') continue;
      whole += 1;
      // A change can put back what was there.
      if (!bytes.subarray(0, reading.frame.frameBytes).equals(sample)) throw new Error(`SEED=${SEED}, ${count}: a changed frame was believed`);
    }
    expect(whole).toBeLessThan(FRAMES / 20);
  });
  it(`${HEADERS} segment headers are whole, of another version, or bad`, () => {
    const random = new SeededRandom(SEED);
    const sample = Buffer.from(
      encodeSegmentHeader({
        storeId: 'ab'.repeat(16),
        incarnation: 'cd'.repeat(16),
        epoch: 3,
        segment: 2,
        firstLsn: 9,
        firstGroup: 4,
        previousEnd: 5000,
        previousChain: 7,
        fileBytes: 0,
        salt: 5,
      }),
    );
    const kinds = { header: 0, version: 0, bad: 0 };
    for (let count = 0; count < HEADERS; count++) {
      const bytes = mutate(random, sample);
      const { kind } = decodeSegmentHeader(bytes);
      kinds[kind] += 1;
      if (kind === 'header') expect(bytes.equals(sample)).toBe(true);
    }
    expect(kinds.bad).toBeGreaterThan(HEADERS * 0.9);
  });
  it(`${LOGS} logs are read as they were, without their last group, or refused by name, in little time and memory`, async () => {
    const random = new SeededRandom(SEED);
    const log = new TestLog();
    const options = { segmentBytesMax: 6000, isPrepared: true };
    for (const texts of [['the first', 'b'.repeat(300)], ['the third'], ['the fourth', 'the fifth', 'f'.repeat(900)]]) {
      const wal = await log.open(options);
      for (const text of texts) await appendAll(wal, text);
    }
    log.crash();
    const all = await log.read();
    const wholes = Array.from({ length: log.segmentCount }).map((_name, index) => log.disk.readVolatile(log.path(index + 1)));
    let slowestMs = 0;
    let refused = 0;
    const largest = await largestBuffer(async () => {
      for (let count = 0; count < LOGS; count++) {
        const index = random.integer(wholes.length);
        const whole = wholes[index] ?? Buffer.alloc(0);
        const from = random.chance(0.5) ? 0 : 4096;
        const damaged = Buffer.concat([whole.subarray(0, from), mutate(random, whole.subarray(from))]);
        log.disk.overwrite(log.path(index + 1), damaged);
        const start = performance.now();
        const read = await log.read().catch((error: unknown) => {
          const { code } = error as { code?: string };
          if (code === undefined || !/^STREAM_(WAL_CORRUPT|WAL_VERSION|IDENTITY)$/.test(code))
            throw new Error(`SEED=${SEED}, log ${count}: ${String(error)}`, { cause: error });
          refused += 1;
          return all;
        });
        slowestMs = Math.max(slowestMs, performance.now() - start);
        // Several places may be damaged, so that nothing whole is left behind the first: then the log seems to end there. What stands before it is always read.
        const isBefore = (text: string): boolean => index < wholes.length - 1 || frameEnd(whole, text) <= firstDifference(whole, damaged);
        const isPrefix = JSON.stringify(read) === JSON.stringify(all.slice(0, read.length));
        if (!isPrefix || all.slice(read.length).some(isBefore)) throw new Error(`SEED=${SEED}, log ${count}: read ${String(read)}`);
        log.disk.overwrite(log.path(index + 1), whole);
      }
    });
    expect(refused).toBeGreaterThan(LOGS / 4);
    // The window of a reader, and one record more.
    expect(largest).toBeLessThan(4 * LIMIT);
    expect(slowestMs).toBeLessThan(1000);
  });
});
