// Goal: every log of a released format is read by every later version, by a second reader too that shares no code with the first, and a format that is not known is refused by its number.
// Method: files made once by `UPDATE_GOLDEN=1`, kept under test/golden; and fresh logs, whole and damaged, read by both.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createNodeEnv } from '../../../src/env/node-env.ts';
import { scanWal } from '../../../src/wal/scan.ts';
import { appendAll, TestLog } from '../../support/test-log.ts';
import { readWal } from '../../support/wal-reader.mjs';

const GOLDEN = join(import.meta.dirname, '../../golden');
const STORE_ID = 'ab'.repeat(16);
const TEXTS = ['to', 'be', 'or not', 'to be', 'that is', 'the question'];

/** A log of three drivers: a segment that was rotated, a group of three, a mark, a torn end behind the last group. */
async function sampleLog(): Promise<TestLog> {
  const log = new TestLog(STORE_ID);
  const first = await log.open({ segmentBytesMax: 4250 });
  await appendAll(first, 'to');
  await appendAll(first, 'be', 'or not');
  await appendAll(first, 'to be');
  await (await log.open()).close();
  const last = await log.open();
  await appendAll(last, 'that is');
  log.clock.advance(1000);
  await log.settled();
  await appendAll(last, 'the question');
  await appendAll(last, 'torn');
  log.truncate(log.segmentCount, log.size(log.segmentCount) - 5);
  log.crash();
  return log;
}

/** Writes the segments of a simulated log into a real directory, and gives it to `use`. */
async function onDisk<T>(log: TestLog, use: (directory: string) => T | Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-golden-'));
  try {
    for (let segment = 1; segment <= log.segmentCount; segment++)
      writeFileSync(join(directory, log.path(segment).slice('/journal/'.length)), log.disk.readVolatile(log.path(segment)));
    return await use(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

async function readTexts(directory: string): Promise<readonly string[]> {
  const texts: string[] = [];
  await scanWal({ files: createNodeEnv().files, directory, storeId: STORE_ID, payloadBytesMax: 1 << 20, isSynced: false }, (frame) =>
    texts.push(Buffer.from(frame.payload).toString()),
  );
  return texts;
}

const secondReading = (directory: string): readonly string[] => readWal(directory).records.map(({ payload }) => payload.toString());

describe('a log of format version 2', () => {
  const directory = join(GOLDEN, 'wal-2');
  it('is read as it was written, by both readers', async () => {
    if (process.env['UPDATE_GOLDEN'] === '1' && !existsSync(directory)) {
      mkdirSync(directory, { recursive: true });
      const log = await sampleLog();
      for (let segment = 1; segment <= log.segmentCount; segment++)
        writeFileSync(join(directory, log.path(segment).slice('/journal/'.length)), log.disk.readVolatile(log.path(segment)));
    }
    expect(readdirSync(directory)).toHaveLength(4);
    expect(await readTexts(directory)).toEqual(TEXTS);
    expect(secondReading(directory)).toEqual(TEXTS);
    expect(readWal(directory).end).toBe('torn');
  });
  it('of version 1, which was never released, and of later ones, is refused by its number', async () => {
    for (const [file, version] of [
      ['wal-1.bin', 1],
      ['wal-3.bin', 3],
    ] as const) {
      const log = await sampleLog();
      log.disk.overwrite(log.path(1), readFileSync(join(GOLDEN, file)));
      await expect(log.scan()).rejects.toMatchObject({ code: 'STREAM_WAL_VERSION', message: expect.stringContaining(`found version ${version}`) as string });
    }
  });
});

describe('the second reader', () => {
  it('reads a fresh log as the first one does, with its places', async () => {
    const log = await sampleLog();
    const places: object[] = [];
    await onDisk(log, async (directory) => {
      await scanWal({ files: createNodeEnv().files, directory, storeId: STORE_ID, payloadBytesMax: 1 << 20, isSynced: false }, (frame, segment) => {
        const { lsn, type, group, offset } = frame;
        places.push({ lsn, type, group, segment, offset, payload: Buffer.from(frame.payload) });
      });
      expect(readWal(directory).records).toEqual(places);
    });
    expect(places).toHaveLength(TEXTS.length);
  });
  it('agrees with the first one about each byte that is another', async () => {
    const log = await sampleLog();
    const disagreements: string[] = [];
    await onDisk(log, async (directory) => {
      for (let segment = 1; segment <= log.segmentCount; segment++) {
        const path = join(directory, log.path(segment).slice('/journal/'.length));
        const whole = readFileSync(path);
        for (let offset = 0; offset < whole.length; offset += offset >= 128 && offset < 4088 ? 64 : 1) {
          const damaged = Buffer.from(whole);
          damaged[offset] = (damaged[offset] ?? 0) ^ (1 << (offset % 8));
          writeFileSync(path, damaged);
          const first = await readTexts(directory).catch(() => 'refused');
          let second: readonly string[] | string = 'refused';
          try {
            second = secondReading(directory);
          } catch {
            // Refused.
          }
          if (JSON.stringify(first) !== JSON.stringify(second))
            disagreements.push(`segment ${segment}, offset ${offset}: ${String(first)} against ${String(second)}`);
        }
        writeFileSync(path, whole);
      }
    });
    expect(disagreements).toEqual([]);
  });
});
