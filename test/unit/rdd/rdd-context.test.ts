// Goal: datasets without a stream: lazy, recomputable, with Spark's actions. Method: real files in a directory of their own.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { RddContext } from '../../../src/index.ts';
import { PIECE_BYTES } from '../../../src/rdd/file-pieces.ts';

const root = mkdtempSync(join(tmpdir(), 'millrace-rdd-'));
afterAll(() => rmSync(root, { recursive: true }));
let directories = 0;
function directory(files: Readonly<Record<string, string | Buffer>> = {}): string {
  const path = join(root, String((directories += 1)));
  mkdirSync(path);
  for (const [name, content] of Object.entries(files)) writeFileSync(join(path, name), content);
  return path;
}
const code = (name: string, message: string) => expect.objectContaining({ code: name, message: expect.stringContaining(message) as string }) as Error;

const context = new RddContext();

describe('parallelize()', () => {
  it('cuts rows into partitions of nearly equal size, in order', () =>
    fc.assert(
      fc.asyncProperty(fc.array(fc.integer()), fc.integer({ min: 1, max: 9 }), async (rows, numPartitions) => {
        const parts = await context.parallelize(rows, { numPartitions }).glom().collect();
        expect(parts.flat()).toEqual(rows);
        expect(parts).toHaveLength(numPartitions);
        const sizes = parts.map((part) => part.length);
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
      }),
    ));
  it('is lazy, and computed again by each action', async () => {
    let calls = 0;
    const mapped = context.parallelize([1, 2, 3]).map((n) => {
      calls += 1;
      return n;
    });
    expect(calls).toBe(0);
    await mapped.count();
    await mapped.collect();
    expect(calls).toBe(6);
  });
});

describe('actions', () => {
  const words = context.parallelize(['b', 'a', 'b', 'c'], { numPartitions: 3 });
  const none = context.parallelize<string>([], { numPartitions: 2 });
  it.each([
    ['collect', () => words.collect(), ['b', 'a', 'b', 'c']],
    ['count', () => words.count(), 4],
    ['reduce', () => words.reduce((left, right) => left + right), 'babc'],
    ['first', () => words.first(), 'b'],
    ['take', () => words.take(2), ['b', 'a']],
    ['take more than there is', () => words.take(9), ['b', 'a', 'b', 'c']],
    ['isEmpty', () => words.isEmpty(), false],
    ['isEmpty of nothing', () => none.isEmpty(), true],
    ['count of nothing', () => none.count(), 0],
    ['take of nothing', () => none.take(3), []],
    [
      'countByValue',
      async () => [...(await words.countByValue())],
      [
        ['b', 2],
        ['a', 1],
        ['c', 1],
      ],
    ],
    [
      'countByKey',
      async () => [...(await words.map((w) => [w, 1]).countByKey())],
      [
        ['b', 2],
        ['a', 1],
        ['c', 1],
      ],
    ],
    ['union', () => words.union(none).union(words).count(), 8],
    ['context.union', () => context.union([none, words]).collect(), ['b', 'a', 'b', 'c']],
    [
      'repartition',
      () => words.repartition(2).glom().collect(),
      [
        ['b', 'b'],
        ['a', 'c'],
      ],
    ],
    [
      'join',
      () =>
        words
          .map((w) => [w, 1])
          .join(words.map((w) => [w, 2]))
          .count(),
      6,
    ],
    [
      'groupByKey',
      () =>
        words
          .map((w) => [w, 1])
          .groupByKey({ numPartitions: 1 })
          .count(),
      3,
    ],
  ] as const)('%s', async (_name, action, expected) => expect(await action()).toEqual(expected));
  it('foreach and foreachPartition see every record, partition by partition', async () => {
    const seen: unknown[] = [];
    await words.foreach((word) => void seen.push(word));
    await words.foreachPartition(async (rows, { partitionId }) => {
      await Promise.resolve();
      seen.push([partitionId, ...rows]);
    });
    expect(seen).toEqual(['b', 'a', 'b', 'c', [0, 'b'], [1, 'a'], [2, 'b', 'c']]);
  });
  it('take computes no more partitions than it needs', async () => {
    const computed: number[] = [];
    const traced = words.mapPartitions((rows) => {
      computed.push(rows.length);
      return rows;
    });
    await traced.take(1);
    expect(computed).toEqual([1]);
  });
  it('reduce and first of nothing are errors that say what to ask', async () => {
    await expect(none.reduce((left) => left)).rejects.toEqual(code('STREAM_EMPTY_RDD', 'Cannot call reduce'));
    await expect(none.first()).rejects.toEqual(code('STREAM_EMPTY_RDD', 'Ask isEmpty() before'));
  });
  it('have no commit key outside a batch', async () => {
    const asked = words.foreachPartition((_rows, partition) => void partition.commitKey);
    await expect(new RddContext({ taskAttemptsMax: 1 }).parallelize([1]).foreachPartition((_rows, p) => void p.commitKey)).rejects.toEqual(
      code('STREAM_ILLEGAL_STATE', 'must belong to a batch'),
    );
    await expect(asked).rejects.toEqual(code('STREAM_ILLEGAL_STATE', 'must belong to a batch'));
  });
  it('try a task again, and nothing of the failed attempt shows', async () => {
    let failures = 2;
    const flaky = context.parallelize([1, 2, 3]).map((n) => {
      if (n === 3 && failures-- > 0) throw new Error('flaky');
      return n;
    });
    expect(await flaky.count()).toBe(3);
    expect(failures).toBe(-1);
  });
});

describe('toDebugString()', () => {
  it('shows a line per dataset, its stages by indentation', () => {
    const counts = context
      .parallelize(['a'], { numPartitions: 2 })
      .map((word) => [word, 1])
      .reduceByKey((left, right) => left + right, { numPartitions: 3 });
    expect(counts.filter(() => true).toDebugString()).toBe(['(3) filter', ' |  reduceByKey', ' +-(2) map', '    |  parallelize'].join('\n'));
  });
});

describe('textFile()', () => {
  it('reads a file, a compressed file, a directory in the order of the names', async () => {
    const path = directory({ b: '3\r\n4', 'a.gz': gzipSync('1\n2\n'), _SUCCESS: '', '.hidden': 'x' });
    const lines = await context.textFile(path);
    expect(await lines.glom().collect()).toEqual([
      ['1', '2'],
      ['3', '4'],
    ]);
    expect(await (await context.textFile(join(path, 'b'))).collect()).toEqual(['3', '4']);
  });
  it('gives each line of a large file once, wherever the pieces are cut', async () => {
    const lines = Array.from({ length: 3 }, (_, index) => String(index).repeat(PIECE_BYTES / 40 - index * 7));
    const text = Array.from({ length: 100 }, (_, index) => lines[index % 3] as string);
    const path = join(directory({ large: `${text.join('\n')}\n` }), 'large');
    const read = await context.textFile(path);
    expect(read.partitionCount).toBe(3);
    expect(await read.collect()).toEqual(text);
  });
  it('gives nothing for an empty file', async () => expect(await (await context.textFile(directory({ empty: '' }))).collect()).toEqual([]));
  it('refuses a path where nothing is', async () => {
    await expect(context.textFile(join(root, 'nowhere'))).rejects.toEqual(code('STREAM_OPTION', 'the path of a file or directory that is there'));
  });
  it('fails when the file is not what it was', async () => {
    const path = directory({ grown: 'a\n', gone: 'b\n', edited: 'c\n' });
    const open = (name: string) => new RddContext().textFile(join(path, name));
    const [grown, gone, edited] = await Promise.all(['grown', 'gone', 'edited'].map(open));
    writeFileSync(join(path, 'grown'), 'a\nb\n');
    rmSync(join(path, 'gone'));
    writeFileSync(join(path, 'edited'), 'x\n');
    await expect(grown?.count()).rejects.toEqual(code('STREAM_SOURCE_FILE_CHANGED', 'grown" as a file must stay as it was'));
    await expect(gone?.count()).rejects.toEqual(code('STREAM_SOURCE_FILE_CHANGED', 'it is gone'));
    await expect(edited?.count()).rejects.toEqual(code('STREAM_SOURCE_FILE_CHANGED', 'its bytes from 0 to 2 are others'));
  });
  it.each([
    ['no gzip', { 'x.gz': 'plain' }, 'STREAM_SOURCE_FILE', 'must be a gzip file'],
    ['no UTF-8', { x: Buffer.from([0xff, 10]) }, 'STREAM_SOURCE_NOT_UTF8', 'must be valid UTF-8'],
    ['a line that is too long', { x: 'y'.repeat(1024 * 1024 + 1) }, 'STREAM_SOURCE_LINE_TOO_LONG', 'at most 1048576 bytes'],
  ])('refuses %s', async (_name, files, name, message) => {
    const read = await new RddContext({ taskAttemptsMax: 1 }).textFile(directory(files));
    await expect(read.count()).rejects.toMatchObject({ cause: code(name, message) });
  });
});

describe('saveAsTextFile()', () => {
  it('writes a file per partition, _SUCCESS last, and reads back the same', async () => {
    const path = join(directory(), 'out');
    await context.parallelize(['a', { b: 1 }, 'c'], { numPartitions: 2 }).saveAsTextFile(path);
    expect(readdirSync(path).sort()).toEqual(['_SUCCESS', 'part-00000', 'part-00001']);
    expect(readFileSync(join(path, 'part-00001'), 'utf8')).toBe('{"b":1}\nc\n');
    expect(await (await context.textFile(path)).collect()).toEqual(['a', '{"b":1}', 'c']);
  });
  it('has no _SUCCESS while it replaces files', async () => {
    const path = join(directory(), 'again');
    await context.parallelize(['a']).saveAsTextFile(path);
    const failing = new RddContext({ taskAttemptsMax: 1 }).parallelize(['b']).map((): string => {
      throw new Error('half way');
    });
    await expect(failing.saveAsTextFile(path, { overwrite: true })).rejects.toEqual(code('STREAM_TASK', 'half way'));
    expect(readdirSync(path).filter((name) => !name.startsWith('.'))).toEqual(['part-00000']);
  });
  it('refuses a directory that is there, unless it may overwrite', async () => {
    const path = directory();
    await expect(context.parallelize(['a']).saveAsTextFile(path)).rejects.toEqual(code('STREAM_OUTPUT_EXISTS', 'it is a directory'));
    await context.parallelize(['a']).saveAsTextFile(path, { overwrite: true });
    await context.parallelize(['b']).saveAsTextFile(path, { overwrite: true });
    expect(readFileSync(join(path, 'part-00000'), 'utf8')).toBe('b\n');
    await expect(context.parallelize(['a']).saveAsTextFile(join(path, 'part-00000'), { overwrite: true })).rejects.toEqual(
      code('STREAM_OUTPUT_EXISTS', 'it is a file'),
    );
  });
});

describe('an RddContext', () => {
  it('that was stopped makes nothing', async () => {
    const stopped = new RddContext();
    await using _disposed = stopped;
    const rdd = stopped.parallelize([1]);
    await stopped.stop();
    expect(stopped.isStopped).toBe(true);
    expect(() => stopped.parallelize([1])).toThrow(code('STREAM_ILLEGAL_STATE', 'must not be stopped'));
    await expect(rdd.count()).rejects.toEqual(code('STREAM_ABORTED', 'it stops'));
  });
  it('refuses options it does not know', () => expect(() => new RddContext({ cores: 2 } as never)).toThrow(code('STREAM_OPTION', 'cores')));
});
