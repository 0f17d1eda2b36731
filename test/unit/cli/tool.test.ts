// Goal: fsck and dump say what a log is, and change nothing. Method: stores on a simulated disk, damaged one way each; every file compared before and behind.
import { beforeEach, describe, expect, it } from 'vitest';
import { encodeEvent } from '../../../src/journal/event-codec.ts';
import { encodeSegmentHeader, decodeSegmentHeader, SEGMENT_HEADER_BYTES } from '../../../src/wal/segment-header.ts';
import { crc32 } from '../../../src/core/checksum.ts';
import { EVENTS, TestStore } from '../../support/test-store.ts';

let store: TestStore;

beforeEach(async () => {
  store = await TestStore.ofThree();
});

/** Runs a command and checks that it changed nothing. */
async function unchanged(...words: readonly string[]) {
  const before = store.content();
  const { process, ran } = await store.runIn({}, ...words);
  expect(store.content()).toEqual(before);
  expect(process.names.filter((name) => !/^file\.(open-read|read|size|stat|entries|list|close|lock|unlock) /.test(name))).toEqual([]);
  if (ran === undefined) throw new Error('the tool died');
  return ran;
}

async function check() {
  const { code, out } = await unchanged('fsck', '/', '--json');
  return { code, ...(JSON.parse(out[0] ?? '{}') as { verdict?: string; log?: object; damage?: object; error?: object }) };
}

/** Writes over a file. */
function change(path: string, edit: (bytes: Buffer) => Buffer): void {
  store.log.disk.overwrite(path, edit(store.log.disk.readVolatile(path)));
}

/** The header of a segment with another format version, its checksum right. */
function withVersion(bytes: Buffer, version: number): Buffer {
  bytes.writeUInt32LE(version, 8);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, SEGMENT_HEADER_BYTES - 4)), SEGMENT_HEADER_BYTES - 4);
  return bytes;
}

describe('fsck', () => {
  it('of a whole log ends with 0', async () => {
    expect(await check()).toMatchObject({
      code: 0,
      verdict: 'clean',
      log: { segments: 3, records: 9, firstLsn: 1, lastLsn: 9, tornBytes: 0, isFolded: true, foreign: [] },
    });
  });
  it('of a torn end ends with 1 and says that it is harmless', async () => {
    change(store.log.path(3), (bytes) => bytes.subarray(0, -8));
    const { code, out } = await unchanged('fsck', '/');
    expect({ code, last: out.at(-1) }).toEqual({ code: 1, last: expect.stringContaining('harmless') });
  });
  it.each<[string, () => void, object]>([
    ['in a frame', () => store.log.flip(2, 4500), { lsn: 6, segment: 2, offset: 4488, lsnTo: 6 }],
    ['in the first frame of a segment', () => store.log.flip(3, 4100), { lsn: 7, segment: 3, offset: 4096 }],
    ['to a header: what stands before is read', () => store.log.flip(3, 50), { lsn: 8, segment: 3, offset: 0 }],
    ['to the first header', () => store.log.flip(1, 50), { lsn: 1, segment: 1, offset: 0, lsnTo: 3 }],
    ['to two headers: the first counts', () => (store.log.flip(2, 50), store.log.flip(3, 50)), { lsn: 5, segment: 2, offset: 0 }],
    ['to a frame before a header', () => (store.log.flip(1, 4300), store.log.flip(3, 50)), { lsn: 2, segment: 1, offset: 4280 }],
    ['by a segment that was cut short: the place is exact', () => store.log.truncate(2, 4400), { lsn: 5, segment: 2, offset: 4304 }],
    ['by a missing segment', () => store.log.disk.remove(store.log.path(2)), { lsn: 5, segment: 3, offset: 0 }],
  ])('of damage %s ends with 2', async (_name, damage, place) => {
    damage();
    expect(await check()).toMatchObject({ code: 2, verdict: 'corrupt', damage: place });
  });
  it('of an event that contradicts those before ends with 2 and names its record', async () => {
    await store.append(await store.log.open(), EVENTS.block('1-1'));
    expect(await check()).toMatchObject({ code: 2, verdict: 'corrupt', damage: { lsn: 10, segment: 4, code: 'STREAM_JOURNAL_CORRUPT' } });
  });
  it('of bytes that are no event ends with 2, of an event of another version with 3', async () => {
    const wal = await store.log.open();
    await wal.append({ type: 1, payload: [Buffer.from('no event')] });
    expect(await check()).toMatchObject({ code: 2, damage: { lsn: 10, code: 'STREAM_JOURNAL_CORRUPT' } });
    store = await TestStore.ofThree();
    await (await store.log.open()).append({ ...encodeEvent({ kind: 'closed' }), type: 99 });
    expect(await check()).toMatchObject({ code: 3, verdict: 'version', damage: { lsn: 10, code: 'STREAM_JOURNAL_VERSION' } });
  });
  it('of a segment or an identity of another version ends with 3', async () => {
    change(store.log.path(2), (bytes) => withVersion(bytes, 9));
    expect(await check()).toMatchObject({ code: 3, error: { code: 'STREAM_WAL_VERSION' } });
    store = await TestStore.ofThree();
    change('/identity', (bytes) => Buffer.from(bytes.toString().replace('"format": 1', '"format": 2')));
    expect(await check()).toMatchObject({ code: 3, error: { code: 'STREAM_CHECKPOINT_FORMAT' } });
  });
  it.each<[string, () => void]>([
    ['missing', () => store.log.disk.remove('/identity')],
    ['damaged', () => change('/identity', (bytes) => bytes.subarray(0, 40))],
    ['changed', () => change('/identity', (bytes) => Buffer.from(bytes.toString().replace('"app": "app"', '"app": "apq"')))],
    ['of another store', () => change(store.log.path(1), (bytes) => Buffer.concat([foreignHeader(bytes), bytes.subarray(SEGMENT_HEADER_BYTES)]))],
  ])('of an identity that is %s ends with 2', async (_name, damage) => {
    damage();
    expect(await check()).toMatchObject({ code: 2, error: { code: 'STREAM_IDENTITY' } });
  });
  it('of a log that was cut decodes only, and says so', async () => {
    store.log.disk.remove(store.log.path(1));
    expect(await check()).toMatchObject({ code: 0, log: { firstLsn: 4, records: 6, isFolded: false } });
    expect((await store.run('fsck', '/')).out.join('\n')).toContain('decoded only');
  });
  it('lists foreign names, not what a repair kept or a crash left', async () => {
    for (const name of ['notes.txt', '0000000000000009.wal.broken-1', '1-7.tmp']) store.log.disk.create(`/journal/${name}`);
    expect(await check()).toMatchObject({ code: 0, log: { foreign: ['notes.txt'] } });
  });
  it('does not read a directory that a driver has', async () => {
    store.log.disk.lock('/');
    const { ran, process } = await store.runIn({}, 'fsck', '/');
    expect(ran).toMatchObject({ code: 4, err: [expect.stringContaining('STREAM_LOCKED')] });
    expect(process.names.filter((name) => name.includes('journal'))).toEqual([]);
  });
  it('gives the lock back, also when it fails', async () => {
    expect((await store.runIn({}, 'fsck', '/')).process.names.at(-1)).toBe('file.unlock /');
    store.log.disk.remove('/identity');
    expect((await store.runIn({}, 'fsck', '/')).process.names.at(-1)).toBe('file.unlock /');
  });
  it('of a directory without a store ends with 0, of none with 64', async () => {
    store.log.disk.makeDirectory('/empty');
    expect(await unchanged('fsck', '/empty')).toMatchObject({ code: 0, out: [expect.stringContaining('No store was ever made')] });
    expect(await unchanged('fsck', '/nowhere')).toMatchObject({ code: 64, err: [expect.stringContaining('STREAM_DIRECTORY')] });
    expect(await unchanged('fsck', '/identity')).toMatchObject({ code: 64, err: [expect.stringContaining('it is a file')] });
  });
  it('of a store whose log is gone as a whole ends with 2', async () => {
    store.log.disk.remove('/journal');
    expect((await store.run('fsck', '/')).code).toBe(2);
  });
  it('on a disk that fails ends with 74', async () => {
    expect((await store.runIn({ fail: { at: 5, code: 'EIO', forever: true } }, 'fsck', '/')).ran).toMatchObject({ code: 74 });
  });
});

function foreignHeader(bytes: Buffer): Uint8Array {
  const reading = decodeSegmentHeader(bytes);
  if (reading.kind !== 'header') throw new Error('the header is whole');
  return encodeSegmentHeader({ ...reading.header, storeId: 'f'.repeat(32) });
}

describe('wal dump', () => {
  const lsnsOf = (out: readonly string[]): readonly number[] => out.map((line) => (JSON.parse(line) as { lsn: number }).lsn);

  it('prints a line for each record', async () => {
    const { code, out, err } = await unchanged('wal', 'dump', '/');
    expect({ code, err, count: out.length }).toEqual({ code: 0, err: [], count: 9 });
    expect(out[5]).toBe('       6  segment 2 offset     4488  group 6  128 bytes  block-added stream=lines blockId=2-1 recordCount=1');
  });
  it('prints objects, a part of them if that is asked for', async () => {
    expect(lsnsOf((await unchanged('wal', 'dump', '/', '--json')).out)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(lsnsOf((await unchanged('wal', 'dump', '/', '--json', '--from', '3', '--to', '5')).out)).toEqual([3, 4, 5]);
    expect(lsnsOf((await unchanged('wal', 'dump', '/', '--json', '--from', '10')).out)).toEqual([]);
  });
  it.each<[string, () => void, number, readonly number[]]>([
    ['a frame', () => store.log.flip(2, 4500), 2, [1, 2, 3, 4, 5]],
    ['a header', () => store.log.flip(3, 50), 2, [1, 2, 3, 4, 5, 6, 7]],
    ['the torn end', () => store.log.flip(3, 4400), 1, [1, 2, 3, 4, 5, 6, 7, 8]],
  ])('prints what stands before %s, then says what is wrong', async (_name, damage, exitCode, lsns) => {
    damage();
    const { code, out, err } = await unchanged('wal', 'dump', '/', '--json');
    expect({ code, lsns: lsnsOf(out) }).toEqual({ code: exitCode, lsns });
    expect(err.join('\n')).toMatch(exitCode === 2 ? /^damaged {5}record/ : /torn write/);
  });
  it('shows a record that is no event, and ends with 2', async () => {
    await (await store.log.open()).append({ type: 1, payload: [Buffer.from('no event')] });
    const { code, out, err } = await unchanged('wal', 'dump', '/', '--json');
    expect(code).toBe(2);
    expect(JSON.parse(out[9] ?? '')).toMatchObject({ lsn: 10, kind: 'undecodable', payloadBytes: 8, code: 'STREAM_JOURNAL_CORRUPT' });
    expect(err[0]).toBe('damaged     record 10, segment 4 at offset 4224');
  });
  it('passes over marks, which hold no record', async () => {
    const wal = await store.log.open();
    await store.append(wal, EVENTS.block('3-2'));
    await wal.close();
    expect(lsnsOf((await unchanged('wal', 'dump', '/', '--json', '--from', '9')).out)).toEqual([9, 10]);
  });
  it('of a directory without a store prints no record', async () => {
    store.log.disk.makeDirectory('/empty');
    expect(await unchanged('wal', 'dump', '/empty', '--json')).toEqual({ code: 0, out: [], err: [expect.stringContaining('No store')] });
  });
});

describe('a command line', () => {
  it('that is none prints the usage and ends with 64', async () => {
    const { code, out, err } = await unchanged('mend');
    expect({ code, out, usage: err.some((line) => line.startsWith('millrace fsck')) }).toEqual({ code: 64, out: [], usage: true });
  });
  it('that asks for help gets it', async () => {
    const { code, out } = await unchanged('--help');
    expect({ code, usage: out[0] }).toEqual({ code: 0, usage: 'millrace fsck <dir> [--json]' });
  });
});
