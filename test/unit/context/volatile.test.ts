// Goal: a context made by new alone runs, keeps nothing, and grows with nothing. Method: real time, real files where it reads some; memory where a store would be.
import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createMemoryCheckpointStore } from '../../../src/checkpoint/memory-checkpoint-store.ts';
import { createMemoryFileSystem } from '../../../src/env/memory-file-system.ts';
import { milliseconds, StreamingContext } from '../../../src/index.ts';

/** Resolves when `isSo`, or after a while. */
async function until(isSo: () => boolean): Promise<void> {
  for (let turn = 0; turn < 1000 && !isSo(); turn++) await new Promise((resolve) => setTimeout(resolve, 5));
}

describe('a context without a directory', () => {
  it('runs what needs none, and several after each other', async () => {
    for (const expected of [['a', 'b'], ['c']]) {
      const context = new StreamingContext({ appName: 'volatile', batchInterval: milliseconds(10) });
      const found: string[] = [];
      context
        .queueStream([expected])
        .map((word) => [word, 1])
        .reduceByKey((left, right) => left + right)
        .foreachRDD(async (rdd) => void found.push(...(await rdd.collect()).map(([word]) => word)));
      await context.start();
      await until(() => found.length === expected.length);
      await context.stop();
      expect(found.toSorted()).toEqual(expected);
      expect(existsSync('/memory')).toBe(false);
    }
  });
  it('cuts its log as it goes', async () => {
    const context = new StreamingContext({ appName: 'volatile', batchInterval: milliseconds(5), backlogBytesMax: 16 * 1024 * 1024 });
    const record = 'x'.repeat(1000);
    let records = 0;
    let heap = 0;
    context
      .fromAsyncIterable(() => Array.from({ length: 200_000 }, () => record))
      .foreachRDD(async (rdd) => {
        records += await rdd.count();
        heap = Math.max(heap, process.memoryUsage().arrayBuffers);
      });
    await context.start();
    await until(() => records === 200_000);
    await context.stop();
    expect(records).toBe(200_000);
    // 200 MB went through.
    expect(heap).toBeLessThan(150 * 1024 * 1024);
  });
});

describe('files in memory', () => {
  const code = (name: string): Error => expect.objectContaining({ code: name }) as Error;
  it('behave as files do', async () => {
    const files = createMemoryFileSystem();
    await files.makeDirectory('/a');
    await files.makeDirectory('/a');
    const handle = await files.open('/a/f', 'create');
    expect(handle.write([Buffer.from('he'), Buffer.from('llo')], 0)).toBe(5);
    await handle.sync();
    await expect(files.open('/a/f', 'create')).rejects.toEqual(code('EEXIST'));
    await expect(files.open('/a/none', 'read')).rejects.toEqual(code('ENOENT'));
    await expect(files.open('/a', 'read')).rejects.toEqual(code('EISDIR'));
    await expect(files.open('/none/f', 'create')).rejects.toEqual(code('ENOENT'));
    await expect(files.list('/none')).rejects.toEqual(code('ENOENT'));
    await files.link('/a/f', '/a/g');
    await expect(files.link('/a/f', '/a/g')).rejects.toEqual(code('EEXIST'));
    await files.rename('/a/f', '/a/h');
    expect(await files.entries('/a')).toEqual([
      { name: 'g', kind: 'file' },
      { name: 'h', kind: 'file' },
    ]);
    expect([(await files.stat('/a/g'))?.inode, (await files.stat('/a/g'))?.size]).toEqual([(await files.stat('/a/h'))?.inode, 5]);
    expect(Buffer.from(await (await files.open('/a/h', 'read')).read(1, 9)).toString()).toBe('ello');
    await files.remove('/a/g');
    await files.remove('/a/g');
    await files.removeTree('/a');
    expect([await files.stat('/a'), await files.list('/')]).toEqual([undefined, []]);
    const lock = await files.lock('/');
    expect(await files.lock('/')).toBeUndefined();
    await lock?.release();
    expect(await files.lock('/')).toBeDefined();
  });
  it('a checkpoint store in memory holds what was written, and nothing of another', async () => {
    const store = createMemoryCheckpointStore();
    await expect(store.open('existing')).rejects.toEqual(code('STREAM_CHECKPOINT_STORE'));
    await store.open('create');
    await store.write([
      { kind: 'put', key: 'a/1', value: Buffer.from('x') },
      { kind: 'put', key: 'b/1', value: Buffer.from('y') },
      { kind: 'delete', key: 'a/1' },
    ]);
    expect([await store.keys('a/'), await store.keys('b/'), await store.read(['b/1', 'none'])]).toEqual([[], ['b/1'], [Buffer.from('y'), undefined]]);
  });
});
