import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { toBatchTime } from '../../../src/core/time.ts';
import { fileSink, levelSink, type LedgerRow, type Sink, type SinkSession } from '../../../src/index.ts';
import { createFileSink } from '../../../src/sinks/file-sink.ts';
import { judgeCommit } from '../../../src/sinks/judge-commit.ts';
import { createSimFileSystem, createSimSink, SimDisk, SimProcess, SimTable } from '../../../src/testing/index.ts';

const root = mkdtempSync(join(tmpdir(), 'millrace-sink-'));
afterAll(() => rmSync(root, { recursive: true }));

type Row = readonly [string, number];
const session = (epoch: number, parts: Partial<SinkSession> = {}): SinkSession => ({
  app: 'app',
  sink: 'totals',
  storeId: 's',
  epoch,
  incarnation: `i${epoch}`,
  partitions: [],
  ...parts,
});
const key = (batchTime: number, partitionId = 0) => ({ app: 'app', sink: 'totals', batchTime: toBatchTime(batchTime), partitionId });

describe('judgeCommit()', () => {
  const fence = { epoch: 2, incarnation: 'i2', storeId: 's' };
  const row = (batchTime: number, planId = 'p', fingerprint = 'f'): LedgerRow => ({
    batchTime: toBatchTime(batchTime),
    planId,
    epoch: 1,
    fingerprint,
    rows: 1,
  });
  const record = (previous?: number) => ({ planId: 'p', fingerprint: 'f', ...(previous === undefined ? {} : { previous: toBatchTime(previous) }) });
  it.each([
    ['first commit', fence, undefined, undefined, 'commit'],
    ['follows the expected row', fence, row(100, 'old'), 100, 'commit'],
    ['follows an expected row many batches back', fence, row(50, 'old'), 50, 'commit'],
    ['stands already', fence, row(200), 100, 'duplicate'],
    ['stands with other rows', fence, row(200, 'p', 'other'), 100, 'conflict'],
    ['stands under another plan', fence, row(200, 'other'), 100, 'conflict'],
    ['a row where none is expected', fence, row(100, 'old'), undefined, 'conflict'],
    ['no row where one is expected', fence, undefined, 100, 'conflict'],
    ['an older row than expected', fence, row(50, 'old'), 100, 'conflict'],
    ['a newer row than this batch', fence, row(300, 'old'), 100, 'conflict'],
    ['no fence', undefined, undefined, undefined, 'fenced'],
    ['a newer fence', { ...fence, epoch: 3 }, undefined, undefined, 'fenced'],
    ['an older fence', { ...fence, epoch: 1 }, undefined, undefined, 'fenced'],
    ["a twin's fence", { ...fence, incarnation: 'x' }, undefined, undefined, 'fenced'],
    ["another store's fence", { ...fence, storeId: 'x' }, undefined, undefined, 'fenced'],
  ] as const)('%s', (_name, found, held, previous, verdict) =>
    expect(judgeCommit({ session: session(2), fence: found, row: held }, key(200), record(previous)).kind).toBe(verdict),
  );
});

/** A file sink in the simulated world; every one opened is another process over the same disk. */
function simulatedFiles(): () => Sink<Row> {
  const disk = new SimDisk();
  return () => createFileSink<Row>(createSimFileSystem(disk, new SimProcess()), { directory: '/out', format: 'ndjson' });
}

const SINKS: readonly (readonly [string, (name: string) => () => Sink<Row>])[] = [
  ['level', (name) => () => levelSink({ directory: join(root, name), key: ([word]: Row) => word, value: ([, count]) => count })],
  ['file', (name) => () => fileSink<Row>({ directory: join(root, name), format: 'ndjson' })],
  ['simulated file', simulatedFiles],
  [
    'simulated',
    () => {
      const table = new SimTable<Row>();
      return () => createSimSink(table, new SimProcess());
    },
  ],
];

describe.each(SINKS)('the %s sink', (name, create) => {
  async function commit(
    sink: Sink<Row>,
    batchTime: number,
    rows: readonly Row[],
    parts: { readonly previous?: number; readonly partitionId?: number; readonly planId?: string } = {},
  ) {
    const prepared = sink.prepare(rows);
    const previous = parts.previous === undefined ? {} : { previous: toBatchTime(parts.previous) };
    return sink.commit(key(batchTime, parts.partitionId), prepared, { planId: parts.planId ?? 'p', fingerprint: prepared.fingerprint, ...previous });
  }
  it('is empty before its first commit', async () => expect(await create(`${name}-empty`)().look(session(1))).toEqual({ rows: new Map() }));
  it('commits once, and says so the second time, over a restart', async () => {
    const open = create(`${name}-once`);
    const first = open();
    await first.open(session(1));
    expect(await commit(first, 100, [['a', 1]])).toBe('committed');
    expect(await commit(first, 100, [['a', 1]])).toBe('duplicate');
    await first.close();
    const second = open();
    expect((await second.open(session(2))).rows.get(0)).toMatchObject({ batchTime: 100, planId: 'p', epoch: 1, rows: 1 });
    expect(await commit(second, 100, [['a', 1]])).toBe('duplicate');
    expect(await commit(second, 200, [['a', 2]], { previous: 100 })).toBe('committed');
    await second.close();
  });
  it('refuses other rows, another plan, and a row it does not expect', async () => {
    const sink = create(`${name}-conflict`)();
    await sink.open(session(1));
    await commit(sink, 100, [['a', 1]]);
    await expect(commit(sink, 100, [['a', 2]])).rejects.toMatchObject({ code: 'STREAM_BATCH_DIFFERS', exitCode: 78 });
    await expect(commit(sink, 100, [['a', 1]], { planId: 'q' })).rejects.toMatchObject({ code: 'STREAM_SINK_CONFLICT', exitCode: 78 });
    await expect(commit(sink, 300, [['a', 1]], { previous: 200 })).rejects.toMatchObject({ code: 'STREAM_SINK_CONFLICT' });
    await expect(commit(sink, 300, [['a', 1]])).rejects.toMatchObject({ code: 'STREAM_SINK_CONFLICT' });
    await sink.close();
  });
  it('lets a newer driver in and an older, equal or foreign one not', async () => {
    const open = create(`${name}-fence`);
    const old = open();
    await old.open(session(2));
    if (name === 'level') await old.close();
    for (const claim of [session(2, { incarnation: 'twin' }), session(1), session(3, { storeId: 'other' })]) {
      const sink = open();
      await expect(sink.open(claim)).rejects.toMatchObject({ code: 'STREAM_FENCED', exitCode: 73 });
      await sink.close();
    }
    const newer = open();
    await newer.open(session(3));
    await newer.open(session(3));
    if (name !== 'level') await expect(commit(old, 100, [['a', 1]])).rejects.toMatchObject({ code: 'STREAM_FENCED' });
    await newer.close();
  });
  it('keeps outputs apart', async () => {
    const sink = create(`${name}-outputs`)();
    await sink.open(session(1));
    await commit(sink, 100, [['a', 1]], { partitionId: 3 });
    expect([...(await sink.look(session(1))).rows.keys()]).toEqual([3]);
    expect((await sink.look(session(1, { sink: 'other' }))).rows.size).toBe(0);
    await sink.close();
  });
});

describe('levelSink()', () => {
  const open = (name: string) => levelSink({ directory: join(root, name), key: ([word]: Row) => word, value: ([, count]) => count });
  it('makes nothing when it is only looked at', async () => {
    await open('untouched').look(session(1));
    expect(existsSync(join(root, 'untouched'))).toBe(false);
  });
  it('can be read, while it is open and afterwards', async () => {
    await using sink = open('read');
    await sink.open(session(1));
    const prepared = sink.prepare([
      ['b', 2],
      ['a', 1],
      ['b', 3],
    ]);
    await sink.commit(key(100), prepared, { planId: 'p', fingerprint: prepared.fingerprint });
    expect([await sink.get('b'), await sink.get('none')]).toEqual([3, undefined]);
    await sink.close();
    await using again = open('read');
    const rows: (readonly [string, number])[] = [];
    for await (const row of again.entries()) rows.push(row);
    expect(rows).toEqual([
      ['a', 1],
      ['b', 3],
    ]);
  });
  it('is locked for other processes while it is open', async () => {
    const sink = open('locked');
    const holder = spawn(process.execPath, [
      '--input-type=module',
      '-e',
      `import { Level } from 'level'; const db = new Level(process.argv[1]); await db.open(); process.stdout.write('open'); setInterval(() => {}, 1000);`,
      join(root, 'locked'),
    ]);
    await new Promise((resolve) => holder.stdout.once('data', resolve));
    const closed = new Promise((resolve) => holder.once('close', resolve));
    try {
      await expect(sink.look(session(1))).rejects.toMatchObject({ code: 'STREAM_LOCKED', exitCode: 73 });
    } finally {
      holder.kill('SIGKILL');
      await closed;
    }
    expect((await sink.look(session(1))).rows.size).toBe(0);
    await sink.close();
  });
  it('says which row cannot be stored', () => {
    const sink = levelSink({ directory: join(root, 'codec'), key: (row: Row) => row[0], value: () => /x/ });
    expect(() => sink.prepare([['a', 1]])).toThrow(expect.objectContaining({ code: 'STREAM_CODEC', message: expect.stringContaining('row 0') }) as Error);
  });
  it.each([
    { directory: '', key: String, value: String },
    { directory: 'x', key: 1, value: String },
    { directory: 'x', key: String, value: String, table: 't' },
  ])('refuses the options %o', (options) =>
    expect(() => levelSink(options as never)).toThrow(expect.objectContaining({ code: 'STREAM_OPTION', exitCode: 64 }) as Error),
  );
  it('does not take a directory that cannot be one', async () => {
    await expect(levelSink({ directory: '/dev/null/x', key: String, value: String }).open(session(1))).rejects.toMatchObject({
      code: 'STREAM_SINK',
      exitCode: 1,
    });
  });
});
