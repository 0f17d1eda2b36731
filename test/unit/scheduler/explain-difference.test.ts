// Goal: who reads that a rerun differs finds out in what. Method: a table of pairs of runs; then a program with a file sink that is killed and comes back as another one.
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { describe, expect, it } from 'vitest';
import { milliseconds, StreamingContext } from '../../../src/index.ts';
import { explainDifference } from '../../../src/scheduler/explain-difference.ts';
import { createFileSink } from '../../../src/sinks/file-sink.ts';
import { createSimFileSystem, ScriptedSource } from '../../../src/testing/index.ts';
import { World } from '../../support/world.ts';

describe('explainDifference()', () => {
  it.each([
    ['another order', ['a', 'b', 'c'], ['a', 'c', 'b'], 'number 1: the first run had "b", now it is "c"', 'the same in another order'],
    ['a time in ISO form', ['x 2026-11-29T10:00:00.000Z'], ['x 2026-11-29T10:00:07.120Z'], 'number 0', 'does it read a clock?'],
    ['a time in milliseconds', ['{"at":1795622837200,"n":1}'], ['{"at":1795622841733,"n":1}'], 'number 0', 'does it read a clock?'],
    ['a time in seconds', ['[1795622837]'], ['[1795622841]'], 'number 0', 'does it read a clock?'],
    ['a fraction of Math.random()', ['0.8444218515250481'], ['0.7579544029403025'], 'number 0', 'looks random'],
    ['a UUID', ['id 9b2b6c3e-6f0e-4a5c-9a5e-0d3f7d1f2a10'], ['id 1c0ffee0-6f0e-4a5c-9a5e-0d3f7d1f2a11'], 'number 0', 'looks random'],
    ['a hash of something', ['k 911169ddaaf146af'], ['k 73cb3858a687a849'], 'number 0', 'looks random'],
    ['a time and a count', ['1795622837200 1'], ['1795622841733 2'], 'number 0', 'changed without a new version?'],
    ['a small number', ['a 1'], ['a 2'], 'the first run had "a 1", now it is "a 2"', 'changed without a new version?'],
    ['a row more', ['a'], ['a', 'b'], 'number 1: the first run had none, now it is "b"', 'changed without a new version?'],
    ['no rows', ['a'], [], 'number 0: the first run had "a", now it is none', 'changed without a new version?'],
  ])('%s', (_name, before, now, where, cause) => {
    const text = explainDifference({ before, now });
    expect(text).toContain(where);
    expect(text).toContain(cause);
  });
  it('shows no more of a row than a message can take', () => expect(explainDifference({ before: ['a'.repeat(10_000)], now: ['b'] }).length).toBeLessThan(500));
});

class Bench extends World {
  readonly source = new ScriptedSource<string>({ records: ['a', 'b'], window: 2 });

  async open(map: (word: string) => string): Promise<StreamingContext> {
    const create = (): StreamingContext => {
      const context = new StreamingContext({ appName: 'lines', batchInterval: milliseconds(100), blockInterval: milliseconds(20), ballastBytes: 0 });
      const sink = createFileSink<string>(createSimFileSystem(this.disk, this.process), { directory: '/out', format: 'text' });
      context.receiverStream(this.source.receiver(this.process), { uid: 'source' }).repartition(1, { uid: 'one' }).map(map).saveTo(sink, { uid: 'lines' });
      return context;
    };
    const context = await StreamingContext.getOrCreate('/store', create, this.options());
    context.awaitTermination().catch(() => undefined);
    return context;
  }

  files(): readonly string[] {
    return this.disk.list('/out').filter((name) => name.startsWith('part-'));
  }
}

describe('a rerun that differs', () => {
  async function killed(): Promise<Bench> {
    const bench = new Bench();
    const first = await bench.open((word) => `${word} 1`);
    // Behind the commit, before the batch is complete.
    const kill = (): void => bench.process.kill();
    subscribe('millrace:partition-committed', kill);
    void first.start();
    await bench.pass(300);
    unsubscribe('millrace:partition-committed', kill);
    bench.die();
    return bench;
  }
  it('names the first row that does, which the file sink reads back', async () => {
    const bench = await killed();
    const other = await bench.open((word) => `${word} 2`);
    await expect(bench.drive(other.start())).rejects.toMatchObject({
      code: 'STREAM_BATCH_DIFFERS',
      message: expect.stringContaining('is number 0: the first run had "a 1", now it is "a 2"') as string,
    });
  });
  it('is refused as well where a reader has taken the file away', async () => {
    const bench = await killed();
    await createSimFileSystem(bench.disk, bench.process).remove(`/out/${bench.files()[0]}`);
    const other = await bench.open((word) => `${word} 2`);
    await expect(bench.drive(other.start())).rejects.toMatchObject({
      code: 'STREAM_BATCH_DIFFERS',
      message: expect.stringContaining('is not deterministic. Does it use a clock') as string,
    });
  });
});
