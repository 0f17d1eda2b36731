import type { ByteWriter } from '../../../src/core/bytes.ts';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { acceptHead, type AcceptScene } from '../../../src/checkpoint/accept-head.ts';
import type { CheckpointStore } from '../../../src/checkpoint/checkpoint-store.ts';
import { Checkpoints, type CheckpointDraft, type StoredHead } from '../../../src/checkpoint/checkpoints.ts';
import { CHECKPOINT_FORMAT_VERSION, openEnvelope, sealEnvelope } from '../../../src/checkpoint/envelope.ts';
import { createLevelCheckpointStore } from '../../../src/checkpoint/level-checkpoint-store.ts';
import { crc32 } from '../../../src/core/checksum.ts';
import { createSimCheckpointStore, SimCheckpointImage, SimProcess } from '../../../src/testing/index.ts';

const root = mkdtempSync(join(tmpdir(), 'millrace-store-'));
afterAll(() => rmSync(root, { recursive: true }));

const bytes = (text: string): Uint8Array => Buffer.from(text);

describe('envelopes', () => {
  const envelope = { kind: 'base', number: 3, previous: 2, lsn: 99, payload: bytes('hello') } as const;
  it('give back what they hold', () =>
    expect(openEnvelope(sealEnvelope(envelope))).toMatchObject({ kind: 'envelope', envelope: { kind: 'base', number: 3, previous: 2, lsn: 99 } }));
  it('have a format that does not change', () =>
    expect(Buffer.from(sealEnvelope(envelope)).toString('hex')).toMatchInlineSnapshot(
      `"4d52434bdf17196e02000000030000000300000000000000020000000000000063000000000000000500000068656c6c6f"`,
    ));
  it('are refused when any byte is another or missing', () => {
    const whole = sealEnvelope(envelope);
    for (let index = 0; index < whole.length; index++) {
      const damaged = Buffer.from(whole);
      damaged[index] = (damaged[index] ?? 0) ^ 4;
      expect(openEnvelope(damaged).kind).toBe('bad');
      expect(openEnvelope(whole.subarray(0, index)).kind).toBe('bad');
    }
  });
  it('of a newer version are told from damage', () => {
    const newer = Buffer.from(sealEnvelope(envelope));
    newer.writeUInt32LE(7, 8);
    newer.writeUInt32LE(crc32(newer.subarray(8)), 4);
    expect(openEnvelope(newer)).toEqual({ kind: 'version', version: 7 });
  });
});

const STORES: readonly (readonly [string, () => CheckpointStore, () => CheckpointStore])[] = (() => {
  const image = new SimCheckpointImage();
  const path = join(root, 'conformance');
  return [
    ['level', () => createLevelCheckpointStore(path), () => createLevelCheckpointStore(join(root, 'absent'))],
    ['simulated', () => createSimCheckpointStore(image, new SimProcess()), () => createSimCheckpointStore(new SimCheckpointImage(), new SimProcess())],
  ];
})();

describe.each(STORES)('the %s checkpoint store', (_name, create, absent) => {
  it('refuses to open what is not there', async () => {
    await expect(absent().open('existing')).rejects.toMatchObject({ code: 'STREAM_CHECKPOINT_STORE' });
  });
  it('keeps what was written, in order, over a close', async () => {
    const store = create();
    await store.open('create');
    await store.write([
      { kind: 'put', key: 'a/2', value: bytes('two') },
      { kind: 'put', key: 'a/1', value: bytes('one') },
      { kind: 'put', key: 'b/1', value: bytes('other') },
    ]);
    await store.write([{ kind: 'delete', key: 'b/1' }]);
    await store.close();
    const again = create();
    await again.open('existing');
    expect(await again.keys('a/')).toEqual(['a/1', 'a/2']);
    expect((await again.read(['a/2', 'b/1'])).map((value) => (value === undefined ? undefined : Buffer.from(value).toString()))).toEqual(['two', undefined]);
    await again.close();
  });
  it('is open once', async () => {
    const [first, second] = [create(), create()];
    await first.open('existing');
    await expect(second.open('existing')).rejects.toMatchObject({ code: 'STREAM_LOCKED', exitCode: 73 });
    await first.close();
  });
});

function draft(number: number, previous: StoredHead | undefined, slots: Pick<CheckpointDraft, 'changed' | 'kept'>): CheckpointDraft {
  return {
    number,
    lsn: number * 10,
    batchTime: number * 100,
    app: 'app',
    storeId: 'store',
    metadata: '{}',
    previous,
    ledger: bytes(`ledger ${number}`),
    ...slots,
  };
}

const slot = (index: number, payload: string) => ({
  uid: 'counts',
  slot: index,
  entries: 1,
  kind: 'base' as const,
  keeps: [],
  replaces: [],
  write: (writer: ByteWriter) => void writer.raw(bytes(payload)),
  written: () => undefined,
});

describe('Checkpoints', () => {
  async function twoCheckpoints() {
    const image = new SimCheckpointImage();
    const store = createSimCheckpointStore(image, new SimProcess());
    await store.open('create');
    const checkpoints = new Checkpoints(store);
    const first = await checkpoints.write(draft(1, undefined, { changed: [slot(1, 'one'), slot(2, 'two')], kept: [] }));
    const kept = first.head.slots.filter((ref) => ref.slot === 2);
    const second = await checkpoints.write(draft(2, first, { changed: [slot(1, 'one again')], kept }));
    return { image, checkpoints, first, second };
  }
  it('keep both of the two newest whole: the older one really exists', async () => {
    const { checkpoints, first, second } = await twoCheckpoints();
    await checkpoints.retain([second, first]);
    for (const { head } of [first, second]) {
      const blobs = await checkpoints.readBlobs(head.slots.flatMap((ref) => ref.blobs));
      expect(blobs.map((blob) => Buffer.from(blob ?? []).toString()).sort()).toEqual(head.number === 1 ? ['one', 'two'] : ['one again', 'two']);
    }
    expect((await checkpoints.heads()).whole.map(({ head }) => head.number)).toEqual([2, 1]);
    expect(second.head.previous).toEqual({ number: 1, hash: first.hash });
  });
  it('remove what no retained head names', async () => {
    const { checkpoints, image, first, second } = await twoCheckpoints();
    await checkpoints.retain([second]);
    expect(image.values.size).toBe(1 + 1 + 2);
    expect(await checkpoints.readBlobs(first.head.slots.flatMap((ref) => ref.blobs))).toContain(undefined);
  });
  it('remove the blobs of state that was given up, once no retained head names them', async () => {
    const { checkpoints, image, first, second } = await twoCheckpoints();
    // Slot 2 is neither changed nor kept: its state was dropped, or migrated into other slots.
    const third = await checkpoints.write(draft(3, second, { changed: [], kept: second.head.slots.filter((ref) => ref.slot === 1) }));
    await checkpoints.drop(first, [third, second]);
    const fourth = await checkpoints.write(draft(4, third, { changed: [], kept: third.head.slots }));
    await checkpoints.drop(second, [fourth, third]);
    expect([...image.values.keys()].filter((key) => key.startsWith('state/'))).toEqual(third.head.slots.flatMap(({ blobs }) => blobs.map(({ key }) => key)));
  });
  it('see a blob that is missing, damaged or another', async () => {
    const { checkpoints, image, second } = await twoCheckpoints();
    for (const ref of second.head.slots.flatMap((found) => found.blobs)) {
      const value = image.values.get(ref.key) ?? new Uint8Array();
      for (const other of [undefined, Buffer.from(value).fill(0, 5, 6), sealEnvelope({ kind: 'base', number: 9, previous: 0, lsn: 1, payload: bytes('x') })]) {
        if (other === undefined) image.values.delete(ref.key);
        else image.values.set(ref.key, other);
        expect(await checkpoints.readBlobs([ref])).toEqual([undefined]);
      }
    }
  });
  it('see a damaged head, and refuse one of a newer format', async () => {
    const { checkpoints, image } = await twoCheckpoints();
    const key = [...image.values.keys()].find((name) => name.startsWith('head/') && name.endsWith('2')) ?? '';
    const value = Buffer.from(image.values.get(key) ?? []);
    image.values.set(key, Buffer.from(value).fill(1, 50, 51));
    expect(await checkpoints.heads()).toMatchObject({ whole: [{ head: { number: 1 } }], damaged: [2] });
    value.writeUInt32LE(CHECKPOINT_FORMAT_VERSION + 1, 8);
    value.writeUInt32LE(crc32(value.subarray(8)), 4);
    image.values.set(key, value);
    await expect(checkpoints.heads()).rejects.toMatchObject({ code: 'STREAM_CHECKPOINT_FORMAT', exitCode: 78 });
  });
});

describe('acceptHead()', () => {
  const head = (number: number, lsn = number * 10) => ({ number, hash: `h${number}`, previousHash: number === 1 ? undefined : `h${number - 1}`, lsn });
  const anchor = (number: number) => ({ number, headHash: `h${number}` });
  const scene = (parts: Partial<AcceptScene>): AcceptScene => ({
    heads: [],
    damaged: [],
    anchors: [],
    savepoints: [],
    hasOrigin: false,
    log: { first: 5, last: 100 },
    ...parts,
  });
  const savepoint = (number: number) => ({ name: `s${number}`, headHash: `h${number}`, lsn: number * 10 });
  it.each([
    ['the newest, named by the last anchor', { heads: [head(2), head(1)], anchors: [anchor(1), anchor(2)] }, { kind: 'head', number: 2, isAnchored: true }],
    ['the newest, its anchor missing', { heads: [head(2), head(1)], anchors: [anchor(1)] }, { kind: 'head', number: 2, isAnchored: false }],
    ['the first, its anchor missing', { heads: [head(1)], anchors: [] }, { kind: 'head', number: 1, isAnchored: false }],
    ['the older, the newest damaged', { heads: [head(1)], damaged: [2], anchors: [anchor(1), anchor(2)] }, { kind: 'head', number: 1, isAnchored: false }],
    ['the older, the newest lost without a word', { heads: [head(1)], anchors: [anchor(1), anchor(2)] }, { kind: 'head', number: 1, isAnchored: false }],
    ['none, the log whole', { anchors: [anchor(1)], log: { first: 1, last: 100 } }, { kind: 'replay' }],
    ['none, the log cut', { anchors: [anchor(1)] }, { kind: 'refuse', code: 'STREAM_CHECKPOINT_CORRUPT' }],
    ['an unknown one, the log cut', { heads: [head(7)], anchors: [anchor(3)] }, { kind: 'refuse', code: 'STREAM_CHECKPOINT_CORRUPT' }],
    ['one that is ahead of the log', { heads: [head(2, 101), head(1)], anchors: [anchor(1)] }, { kind: 'refuse', code: 'STREAM_CHECKPOINT_AHEAD' }],
    ['one that the log does not reach back to', { heads: [head(1, 3)], anchors: [anchor(1)] }, { kind: 'refuse', code: 'STREAM_CHECKPOINT_CORRUPT' }],
    ['none, the log cut, a savepoint', { anchors: [anchor(1)], savepoints: [savepoint(1)] }, { kind: 'savepoint', name: 's1' }],
    ['none, the log whole, a savepoint', { anchors: [anchor(1)], savepoints: [savepoint(1)], log: { first: 1, last: 100 } }, { kind: 'savepoint', name: 's1' }],
    ['none, a savepoint that no anchor names', { anchors: [anchor(1)], savepoints: [savepoint(2)] }, { kind: 'refuse', code: 'STREAM_CHECKPOINT_CORRUPT' }],
    ['none, the older of two savepoints', { anchors: [anchor(1)], savepoints: [savepoint(2), savepoint(1)] }, { kind: 'savepoint', name: 's1' }],
    [
      'none, a savepoint that the log does not reach back to',
      { anchors: [anchor(1)], savepoints: [savepoint(1)], log: { first: 12, last: 100 } },
      { kind: 'refuse', code: 'STREAM_CHECKPOINT_CORRUPT' },
    ],
    ['none, the log whole, but behind a savepoint', { hasOrigin: true, log: { first: 1, last: 100 } }, { kind: 'refuse', code: 'STREAM_CHECKPOINT_CORRUPT' }],
    ['a head before a savepoint', { heads: [head(1)], anchors: [anchor(1)], savepoints: [savepoint(1)] }, { kind: 'head', number: 1, isAnchored: true }],
    ['nothing at all', { log: { first: 1, last: 0 } }, { kind: 'replay' }],
  ] as const)('%s', (_name, parts, verdict) => expect(acceptHead(scene(parts))).toMatchObject(verdict));
});
