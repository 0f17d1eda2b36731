// Goal: files appear whole, once, and as the manifest says, whatever fails while they are written. Method: the simulated disk, with a death, a power cut or an error at each step.
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { sha256Hex } from '../../../src/core/checksum.ts';
import { toBatchTime } from '../../../src/core/time.ts';
import { fileSink, type FileSinkOptions, type Sink, type SinkSession, type SinkView } from '../../../src/index.ts';
import { csvFormat } from '../../../src/sinks/csv-format.ts';
import { createFileSink } from '../../../src/sinks/file-sink.ts';
import { createSimFileSystem, SeededRandom, settle, SimDisk, SimProcess, type SimProcessOptions } from '../../../src/testing/index.ts';

const root = mkdtempSync(join(tmpdir(), 'millrace-files-'));
afterAll(() => rmSync(root, { recursive: true }));
const code = (name: string, message: string) => expect.objectContaining({ code: name, message: expect.stringContaining(message) as string }) as Error;

type Row = readonly [string, number];
const session = (epoch: number): SinkSession => ({ app: 'an app', sink: 'to/files', storeId: 's', epoch, incarnation: `i${epoch}`, partitions: [0, 1] });
const key = (batchTime: number, partitionId: number) => ({ app: 'an app', sink: 'to/files', batchTime: toBatchTime(batchTime), partitionId });
const RECORDS = '_millrace/an%20app/to%2Ffiles';

async function commit<T>(sink: Sink<T>, at: { readonly batchTime: number; readonly partitionId?: number; readonly previous?: number }, rows: readonly T[]) {
  const prepared = sink.prepare(rows);
  const previous = at.previous === undefined ? {} : { previous: toBatchTime(at.previous) };
  return sink.commit(key(at.batchTime, at.partitionId ?? 0), prepared, { planId: `p${at.batchTime}`, fingerprint: prepared.fingerprint, ...previous });
}

/** Three batches of two partitions, as the driver commits them: what the view holds of a batch is not committed again. */
async function commitAll(sink: Sink<Row>, view: SinkView): Promise<void> {
  for (const batchTime of [100, 200, 300]) {
    for (const partitionId of [0, 1]) {
      const held = view.rows.get(partitionId)?.batchTime ?? 0;
      if (held > batchTime) continue;
      const previous = batchTime === 100 ? {} : { previous: batchTime - 100 };
      await commit(sink, { batchTime, partitionId, ...previous }, [[`row of ${batchTime}`, partitionId]]);
    }
  }
}

/** What a reader finds who knows nothing of the engine: every file once, whole, and in the manifest. */
function findings(disk: SimDisk): readonly string[] {
  const wrong: string[] = [];
  const files = disk.list('/out').filter((name) => !name.startsWith('_'));
  const expected = [100, 200, 300].flatMap((time) => [0, 1].map((partition) => [`part-${time}-${partition}`, `["row of ${time}",${partition}]\n`] as const));
  if (files.join() !== expected.map(([name]) => `${name}.ndjson`).join()) wrong.push(`files are ${files.join()}`);
  for (const [name, text] of expected) {
    const bytes = disk.readVolatile(`/out/${name}.ndjson`);
    if (bytes.toString() !== text) wrong.push(`${name} holds ${bytes.toString()}`);
    const [line = '', checksum] = disk.readVolatile(`/out/${RECORDS}/manifest/${name}.json`).toString().split('\n');
    const record = JSON.parse(line) as { file: string; bytes: number; sha256: string; rows: number };
    if (sha256Hex(line) !== checksum || record.sha256 !== sha256Hex(bytes) || record.bytes !== bytes.length || record.rows !== 1)
      wrong.push(`${name}: ${line}`);
  }
  for (const place of ['pending', 'scratch']) if (disk.list(`/out/${RECORDS}/${place}`).length > 0) wrong.push(`${place} is not empty`);
  return wrong;
}

async function life(
  disk: SimDisk,
  epoch: number,
  options: SimProcessOptions = {},
): Promise<{ readonly process: SimProcess; readonly end: 'done' | 'died' | Error }> {
  const process = new SimProcess(options);
  const sink = createFileSink<Row>(createSimFileSystem(disk, process), { directory: '/out', format: 'ndjson' });
  let end: 'done' | Error | undefined;
  void (async () => {
    try {
      await commitAll(sink, await sink.open(session(epoch)));
      end = 'done';
    } catch (error) {
      end = error as Error;
    }
  })();
  for (let turn = 0; turn < 5000 && end === undefined && process.isAlive; turn++) await settle();
  return { process, end: process.isAlive ? (end ?? new Error('hangs')) : 'died' };
}

const FAULTS: readonly (readonly [string, (at: number) => SimProcessOptions])[] = [
  ['death', (at) => ({ killAt: at })],
  ['power cut', (at) => ({ killAt: at })],
  ['EIO once', (at) => ({ fail: { at, code: 'EIO' } })],
  ['EIO for ever', (at) => ({ fail: { at, code: 'EIO', forever: true } })],
  ['ENOSPC once', (at) => ({ fail: { at, code: 'ENOSPC' } })],
];

describe('a file sink', () => {
  it.each(FAULTS)('survives %s at every step', async (name, options) => {
    let ends = 0;
    for (let at = 1; ; at++) {
      const disk = new SimDisk();
      const first = await life(disk, 1, options(at));
      if (first.process.steps < at) break;
      if (first.end !== 'done') {
        ends += 1;
        if (first.end instanceof Error) expect(first.end).toEqual(expect.objectContaining({ code: 'STREAM_SINK' }));
        first.process.kill();
      }
      if (name === 'power cut') disk.cutPower(new SeededRandom(at));
      const second = await life(disk, 2);
      expect({ at, step: first.process.names.at(-1), end: second.end, wrong: second.end === 'done' ? findings(disk) : [] }).toEqual({
        at,
        step: first.process.names.at(-1),
        end: 'done',
        wrong: [],
      });
    }
    expect(ends).toBeGreaterThan(50);
  });
  it('does not go on after a failed sync: nobody knows what is durable', async () => {
    const disk = new SimDisk();
    const process = new SimProcess();
    const files = createSimFileSystem(disk, process);
    let isFailing = false;
    const failing = {
      ...files,
      syncDirectory: (path: string) => (isFailing ? Promise.reject(Object.assign(new Error('EIO'), { code: 'EIO' })) : files.syncDirectory(path)),
    };
    const sink = createFileSink<Row>(failing, { directory: '/out', format: 'ndjson' });
    await sink.open(session(1));
    isFailing = true;
    await expect(commit(sink, { batchTime: 100 }, [['a', 1]])).rejects.toMatchObject({ code: 'STREAM_SINK', exitCode: 74 });
    isFailing = false;
    await expect(commit(sink, { batchTime: 100 }, [['a', 1]])).rejects.toMatchObject({ exitCode: 74 });
    await sink.open(session(2));
    expect(await commit(sink, { batchTime: 100 }, [['a', 1]])).toBe('committed');
  });
  it('lets two drivers of one epoch not both in', async () => {
    const disk = new SimDisk();
    const open = () => createFileSink<Row>(createSimFileSystem(disk, new SimProcess()), { directory: '/out', format: 'ndjson' });
    await open().open(session(1));
    const claims = await Promise.allSettled([open().open(session(2)), open().open({ ...session(2), incarnation: 'twin' })]);
    expect(claims.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(claims.find((claim) => claim.status === 'rejected')?.reason).toEqual(code('STREAM_FENCED', 'must be older'));
    expect(disk.list(`/out/${RECORDS}/fence`)).toEqual(['0000000000000002']);
  });
  it('refuses a file of somebody else under its name, and takes its own', async () => {
    const disk = new SimDisk();
    const sink = createFileSink<Row>(createSimFileSystem(disk, new SimProcess()), { directory: '/out', format: 'ndjson' });
    await sink.open(session(1));
    disk.create('/out/part-100-0.ndjson');
    await expect(commit(sink, { batchTime: 100 }, [['a', 1]])).rejects.toEqual(code('STREAM_SINK_CONFLICT', 'a file with other bytes is there'));
    disk.overwrite('/out/part-100-0.ndjson', Buffer.from('["a",1]\n'));
    expect(await commit(sink, { batchTime: 100 }, [['a', 1]])).toBe('committed');
  });
  it('goes on when readers took files away, but for the newest record of each partition', async () => {
    const disk = new SimDisk();
    const open = () => createFileSink<Row>(createSimFileSystem(disk, new SimProcess()), { directory: '/out', format: 'ndjson' });
    const sink = open();
    await commitAll(sink, await sink.open(session(1)));
    for (const name of disk.list('/out')) if (name.startsWith('part-')) disk.remove(`/out/${name}`);
    const view = await open().open(session(2));
    expect([...view.rows].map(([partitionId, { batchTime }]) => [partitionId, batchTime])).toEqual([
      [0, 300],
      [1, 300],
    ]);
  });
  it.each([
    ['a byte of a manifest record', `${RECORDS}/manifest/part-100-0.json`],
    ['a byte of the fence', `${RECORDS}/fence/0000000000000001`],
  ])('refuses %s that is damaged', async (_name, path) => {
    const disk = new SimDisk();
    const open = () => createFileSink<Row>(createSimFileSystem(disk, new SimProcess()), { directory: '/out', format: 'ndjson' });
    const sink = open();
    await sink.open(session(1));
    await commit(sink, { batchTime: 100 }, [['a', 1]]);
    const bytes = disk.readVolatile(`/out/${path}`);
    for (let at = 0; at < bytes.length - 1; at++) {
      const damaged = Buffer.from(bytes);
      damaged[at] = (damaged[at] ?? 0) ^ 1;
      disk.overwrite(`/out/${path}`, damaged);
      await expect(open().look(session(2))).rejects.toEqual(code('STREAM_SINK', 'must be a whole record'));
    }
  });
});

/** An independent reader of RFC 4180, written from its grammar. */
function parseCsv(text: string): readonly (readonly string[])[] {
  const rows: string[][] = [[]];
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\n]*))(,|\n)/g)) {
    rows.at(-1)?.push(quoted?.replaceAll('""', '"') ?? plain ?? '');
    if (end === '\n') rows.push([]);
  }
  return rows;
}

describe('formats', () => {
  const text = <T>(format: FileSinkOptions<T>['format'], rows: readonly T[]): string => {
    const directory = mkdtempSync(join(root, 'f'));
    const { payload } = fileSink<T>({ directory, format }).prepare(rows);
    return Buffer.from((payload as { bytes: Uint8Array }).bytes).toString();
  };
  it.each([
    ['text', ['a', 'é', ''], 'a\né\n\n'],
    ['ndjson', ['a', { b: [1, null] }, 2], '"a"\n{"b":[1,null]}\n2\n'],
  ] as const)('%s', (format, rows, expected) => expect(text<unknown>(format, rows)).toBe(expected));
  it.each([
    ['text', [1]],
    ['text', ['a\nb']],
    ['text', ['\ud800']],
    ['ndjson', [Number.NaN]],
  ] as const)('%s refuses %j and says which row', (format, rows) => {
    expect(() => text<unknown>(format, ['ok', ...rows])).toThrow(code('STREAM_CODEC', 'Cannot prepare row 1'));
  });
  it('CSV quotes what must be, and is read back by an independent reader', () => {
    const rows = [
      { word: 'plain', count: 1, on: true },
      { word: 'with "quotes", commas\nand lines', count: 2, more: 'left out' },
      { word: 'é', on: false, count: null },
    ];
    const csv = text(csvFormat({ columns: ['word', 'count', 'on'] }), rows);
    expect(csv).toBe('word,count,on\nplain,1,true\n"with ""quotes"", commas\nand lines",2,\né,,false\n');
    expect(parseCsv(csv)[2]).toEqual(['with "quotes", commas\nand lines', '2', '']);
    expect(text(csvFormat({ columns: ['count', 'word'], header: false, delimiter: ';' }), rows.slice(0, 1))).toBe('1;plain\n');
  });
  it.each([{ columns: [] }, { columns: 'a' }, { columns: ['a'], delimiter: '"' }, { columns: ['a'], quote: "'" }])('CSV refuses %j', (options) =>
    expect(() => csvFormat(options as never)).toThrow(expect.objectContaining({ code: 'STREAM_OPTION' }) as Error),
  );
  it.each([{ directory: '' }, { directory: 'x' }, { directory: 'x', format: 'xml' }, { directory: 'x', format: 'text', mode: 1 }])(
    'refuses the options %j',
    (options) => expect(() => fileSink(options as never)).toThrow(expect.objectContaining({ code: 'STREAM_OPTION' }) as Error),
  );
});

describe('on real files', () => {
  it('writes what others may read, and says where it cannot write', async () => {
    const directory = join(root, 'deep', 'real');
    const sink = fileSink<string>({ directory, format: 'text' });
    await sink.open(session(1));
    await commit(sink, { batchTime: 100 }, ['a', 'b']);
    expect(readdirSync(directory)).toEqual(['_millrace', 'part-100-0.txt']);
    expect(readFileSync(join(directory, 'part-100-0.txt'), 'utf8')).toBe('a\nb\n');
    expect(statSync(join(directory, 'part-100-0.txt')).mode & 0o777).toBe(0o666 & ~process.umask());
    expect(statSync(directory).mode & 0o777).toBe(0o777 & ~process.umask());
    writeFileSync(join(root, 'file'), '');
    await expect(fileSink({ directory: join(root, 'file'), format: 'text' }).open(session(1))).rejects.toEqual(code('STREAM_DIRECTORY', 'it is a file'));
    await expect(fileSink({ directory: join(root, 'file', 'below'), format: 'text' }).open(session(1))).rejects.toEqual(code('STREAM_SINK', 'ENOTDIR'));
  });
});
