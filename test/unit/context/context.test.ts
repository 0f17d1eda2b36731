// Goal: every rule of a context's life, and every refusal with what was expected and found. Method: the simulated world; real files and sockets are in test/chaos/process.
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { describe, expect, it } from 'vitest';
import { keySlot, partitionOfSlot } from '../../../src/core/key-slot.ts';
import { LIFE_CYCLE } from '../../../src/context/life-cycle.ts';
import { milliseconds, seconds, StreamingContext, type Receiver, type RecoveryFound, type Sink, type StreamingContextOptions } from '../../../src/index.ts';
import { createSimSink, ScriptedSource, SimProcess, SimTable } from '../../../src/testing/index.ts';
import { World } from '../../support/world.ts';

type Pair = readonly [string, number];

/** A world with a table and the usual program. */
class Bench extends World {
  table = new SimTable<Pair>();
  source: ScriptedSource<string>;

  constructor(...records: readonly string[]) {
    super();
    this.source = new ScriptedSource({ records, window: 2 });
  }

  context(options: Partial<StreamingContextOptions> = {}): StreamingContext {
    return new StreamingContext({
      appName: 'bench',
      batchInterval: milliseconds(100),
      blockInterval: milliseconds(20),
      checkpointInterval: milliseconds(100_000),
      taskAttemptsMax: 3,
      ...options,
    });
  }

  /** The usual program: counts words into the table. */
  words(count: (values: readonly number[], sum: number | undefined) => number, options: Partial<StreamingContextOptions> = {}): StreamingContext {
    const context = this.context(options);
    context
      .receiverStream(this.source.receiver(this.process), { uid: 'source' })
      .map((word) => [word, 1])
      .updateStateByKey<number>(count, { uid: 'counts' })
      .saveTo(this.sink(), { uid: 'totals' });
    return context;
  }

  sink(): Sink<Pair> {
    return createSimSink(this.table, this.process);
  }

  async open(create: () => StreamingContext): Promise<StreamingContext> {
    return StreamingContext.getOrCreate('/store', create, this.options());
  }

  counts(): Record<string, number> {
    return Object.fromEntries(this.table.commits.flatMap(({ rows }) => rows));
  }
}

const sum = (values: readonly number[], before = 0): number => values.reduce((a, b) => a + b, before);
const error = (code: string, message: string) => expect.objectContaining({ code, message: expect.stringContaining(message) }) as Error;

describe('the life cycle', () => {
  it('has a cell for every state and event', () => {
    expect(Object.values(LIFE_CYCLE).flatMap((events) => Object.keys(events))).toHaveLength(6 * 5);
    expect(
      Object.entries(LIFE_CYCLE.stopped)
        .filter(([event]) => event !== 'start' && event !== 'started')
        .every(([, next]) => next === 'ignored'),
    ).toBe(true);
  });
  it('goes from created over running to stopped, and not back', async () => {
    const bench = new Bench('a', 'b');
    const context = await bench.open(() => bench.words(sum));
    expect(context.state).toBe('created');
    await bench.drive(context.start());
    expect(context.state).toBe('running');
    await expect(context.start()).rejects.toEqual(error('STREAM_ILLEGAL_STATE', 'must be new: it is running'));
    expect(() => context.socketTextStream('h', 1)).toThrow(error('STREAM_ILLEGAL_STATE', 'it was started'));
    await bench.pass(500);
    await bench.drive(context.stop());
    await context.awaitTermination();
    await context.stop();
    await expect(context.start()).rejects.toEqual(error('STREAM_ILLEGAL_STATE', 'it is stopped'));
    expect(() => context.socketTextStream('h', 1)).toThrow(error('STREAM_ILLEGAL_STATE', 'it was stopped'));
    expect(bench.counts()).toEqual({ a: 1, b: 1 });
  });
  it('needs an output, and a directory for state and commits', async () => {
    const bench = new Bench();
    const idle = await bench.open(() => bench.context());
    await expect(idle.start()).rejects.toEqual(error('STREAM_INVALID_GRAPH', 'must have an output'));
    expect(idle.state).toBe('failed');
    const state = bench.context();
    state
      .receiverStream(bench.source.receiver(bench.process))
      .map((word) => [word, 1])
      .updateStateByKey(sum, { uid: 'counts' })
      .print();
    await expect(state.start()).rejects.toEqual(error('STREAM_DIRECTORY', '"counts" must have a store directory for its state'));
    const commits = bench.context();
    commits
      .receiverStream(bench.source.receiver(bench.process))
      .map((word): Pair => [word, 1])
      .saveTo(bench.sink(), { uid: 'totals' });
    await expect(commits.start()).rejects.toEqual(error('STREAM_DIRECTORY', '"totals" must have a store directory for its commits'));
  });
  it('frees the directory when it is stopped before it was started, or its start failed', async () => {
    const bench = new Bench('a');
    const first = await bench.open(() => bench.words(sum));
    await expect(bench.open(() => bench.words(sum))).rejects.toMatchObject({ code: 'STREAM_LOCKED', exitCode: 73 });
    await first.stop();
    const second = await bench.open(() => bench.context());
    await second.start().catch(() => undefined);
    const third = await bench.open(() => bench.words(sum));
    await bench.drive(third.start());
    await bench.drive(third[Symbol.asyncDispose]());
    expect(third.state).toBe('stopped');
  });
  it('says who has the directory', async () => {
    const bench = new Bench('a');
    const context = await bench.open(() => bench.words(sum));
    await bench.drive(context.start());
    await expect(bench.open(() => bench.words(sum))).rejects.toEqual(error('STREAM_LOCKED', 'process 1, started at 1970-01-01T00:16:40.000Z has it'));
    await bench.drive(context.stop());
  });
  it('hears a stop during a start once the start is through', async () => {
    const bench = new Bench('a', 'b');
    const context = await bench.open(() => bench.words(sum));
    const started = context.start();
    const stopped = context.stop();
    await bench.drive(started);
    await bench.drive(stopped);
    expect(context.state).toBe('stopped');
  });
  it('wants a new context from create each time, and a context at all', async () => {
    const bench = new Bench('a');
    const context = bench.words(sum);
    await bench.open(() => context);
    await expect(bench.open(() => context)).rejects.toMatchObject({ code: 'STREAM_ILLEGAL_STATE' });
    await expect(bench.open(() => null as never)).rejects.toEqual(error('STREAM_INVALID_GRAPH', 'it returned null'));
  });
});

describe('options', () => {
  it.each([
    [{ appname: 'x' }, 'appname'],
    [{ batchInterval: 0 }, 'batchInterval'],
    [{ batchInterval: undefined }, 'batchInterval'],
    [{ appName: '' }, 'appName'],
    [{ checkpointInterval: milliseconds(150) }, 'a multiple of the batch interval of 100 ms: found 150'],
    [{ blockInterval: -1 }, 'blockInterval'],
    [{ blockBytesMax: 0 }, 'blockBytesMax'],
    [{ blockRecordsMax: 1.5 }, 'blockRecordsMax'],
    [{ receiverBufferBytesMax: 0 }, 'receiverBufferBytesMax'],
    [{ receiverRestartDelay: 'soon' }, 'receiverRestartDelay'],
    [{ taskAttemptsMax: 0 }, 'taskAttemptsMax'],
    [{ blockCacheBytesMax: -1 }, 'blockCacheBytesMax'],
    [{ segmentBytesMax: 100 }, 'segmentBytesMax'],
    [{ version: '' }, 'version'],
    [{ applicationId: 7 }, 'applicationId'],
  ])('%o is refused by name', (options, name) => expect(() => new Bench().context(options as never)).toThrow(error('STREAM_OPTION', name)));
  it.each([
    (context: StreamingContext) => context.socketTextStream('', 1),
    (context: StreamingContext) => context.socketTextStream('h', 0),
    (context: StreamingContext) => context.socketTextStream('h', 1, { acknowledge: true } as never),
    (context: StreamingContext) => context.socketTextStream('h', 1, { acknowledged: 1 } as never),
    (context: StreamingContext) => context.socketTextStream('h', 1, { lineBytesMax: 0 }),
    (context: StreamingContext) => context.socketTextStream('h', 1).map((line) => line, { name: 'x' } as never),
    (context: StreamingContext) =>
      context
        .socketTextStream('h', 1)
        .map((line) => [line, 1])
        .reduceByKey((a) => a, { numPartitions: 0 }),
    (context: StreamingContext) => context.socketTextStream('h', 1).print(-1),
  ])('of streams and operators are refused: %#', (call) => expect(() => call(new Bench().context())).toThrow(error('STREAM_OPTION', 'Cannot use the option')));
  it('of getOrCreate and stop are refused', async () => {
    const bench = new Bench();
    await expect(StreamingContext.getOrCreate('/store', () => bench.context(), { dir: 'x' } as never)).rejects.toMatchObject({ code: 'STREAM_OPTION' });
    await expect(StreamingContext.getOrCreate('/store', () => bench.context(), { ...bench.options(), logger: console as never })).rejects.toMatchObject({
      code: 'STREAM_OPTION',
    });
    await expect(bench.context().stop({ gracefully: true } as never)).rejects.toMatchObject({ code: 'STREAM_OPTION' });
  });
  it('give a default checkpoint interval of at least 10 s', async () => {
    const { resolveContextOptions } = await import('../../../src/context/options.ts');
    const intervals = [0.5, 1, 2, 3, 4, 7, 15].map(
      (interval) => resolveContextOptions({ appName: 'a', batchInterval: seconds(interval) }).checkpointInterval / 1000,
    );
    expect(intervals).toEqual([10, 10, 10, 12, 12, 14, 15]);
  });
});

describe('each option does what it says', () => {
  /** Runs six words with the options; what the process did. */
  async function run(
    options: Partial<StreamingContextOptions>,
  ): Promise<{ readonly blocks: number; readonly blockReads: number; readonly segments: number; readonly heads: number; readonly app: string }> {
    const bench = new Bench('a', 'b', 'c', 'd', 'e', 'f');
    let blocks = 0;
    let app = '';
    const onBlock = (message: unknown): void => {
      blocks += 1;
      app = (message as { app: string }).app;
    };
    subscribe('millrace:block-added', onBlock);
    const context = await bench.open(() => bench.words(sum, options));
    await bench.drive(context.start());
    const before = bench.process.names.length;
    await bench.pass(1000);
    unsubscribe('millrace:block-added', onBlock);
    const during = bench.process.names.slice(before);
    await bench.drive(context.stop());
    expect(bench.counts()).toEqual({ a: 1, b: 1, c: 1, d: 1, e: 1, f: 1 });
    return {
      blocks,
      app,
      blockReads: during.filter((name) => name.startsWith('file.read ')).length,
      segments: during.filter((name) => name.startsWith('file.link ')).length,
      heads: during.filter((name) => name === 'store.written').length,
    };
  }
  it('by default two records make a block here, blocks are read from memory, one segment and no checkpoint', async () => {
    expect(await run({})).toEqual({ blocks: 3, blockReads: 0, segments: 0, heads: 0, app: 'bench' });
  });
  it('blockRecordsMax', async () => expect((await run({ blockRecordsMax: 1 })).blocks).toBe(6));
  it('blockBytesMax', async () => expect((await run({ blockBytesMax: 4 })).blocks).toBe(6));
  it('blockInterval', async () => expect((await run({ blockInterval: milliseconds(400) })).blocks).toBe(2));
  it('blockCacheBytesMax', async () => expect((await run({ blockCacheBytesMax: 1 })).blockReads).toBe(3));
  it('segmentBytesMax', async () => expect((await run({ segmentBytesMax: 8192 })).segments).toBeGreaterThan(0));
  it('checkpointInterval', async () => expect((await run({ checkpointInterval: milliseconds(300) })).heads).toBeGreaterThan(3));
  it('applicationId', async () => expect((await run({ applicationId: 'other' })).app).toBe('other'));
  it('receiverBufferBytesMax', async () => {
    const bench = new Bench();
    let refusal: unknown;
    const context = await bench.open(() => {
      const made = bench.context({ receiverBufferBytesMax: 4 });
      const receiver: Receiver<string> = {
        codec: 'lines',
        run: async (hand) => {
          const first = hand.store('abc');
          refusal = await hand.store('d').catch((thrown: unknown) => thrown);
          await first;
        },
      };
      made.receiverStream(receiver).print();
      return made;
    });
    await bench.drive(context.start());
    await bench.pass(100);
    await bench.drive(context.stop());
    expect(refusal).toMatchObject({ code: 'STREAM_RECEIVER_BUFFER_FULL' });
  });
  it('receiverRestartDelay', async () => {
    for (const [delay, starts] of [
      [100, 5],
      [450, 2],
    ] as const) {
      const bench = new Bench();
      let count = 0;
      const receiver: Receiver<string> = {
        codec: 'lines',
        run: () => {
          count += 1;
          return Promise.resolve();
        },
      };
      const context = await bench.open(() => {
        const made = bench.context({ receiverRestartDelay: milliseconds(delay) });
        made.receiverStream(receiver).print();
        return made;
      });
      await bench.drive(context.start());
      await bench.pass(499);
      await bench.drive(context.stop());
      expect(count).toBe(starts);
    }
  });
});

describe('graphs', () => {
  it('refuse a uid that stands for two things, one sink for two outputs, and what is no sink', () => {
    const bench = new Bench();
    const stream = bench.context().receiverStream(bench.source.receiver(bench.process), { uid: 'a' });
    expect(() => stream.map((word) => word, { uid: 'a' })).toThrow(error('STREAM_INVALID_GRAPH', 'receiverStream has it already'));
    const sink = bench.sink();
    const pairs = stream.map((word) => [word, 1]);
    pairs.saveTo(sink);
    expect(() => pairs.saveTo(sink)).toThrow(error('STREAM_INVALID_GRAPH', 'one sink must serve one output'));
    expect(() => pairs.saveTo({} as never)).toThrow(error('STREAM_INVALID_GRAPH', 'look, open, prepare, commit, close'));
  });
});

describe('outputs', () => {
  it('print as Spark does', async () => {
    const bench = new Bench('a', 'b');
    const context = await bench.open(() => {
      const made = bench.context();
      const stream = made.receiverStream(bench.source.receiver(bench.process));
      stream.print(1, { uid: 'one' });
      stream.print({ uid: 'ten' });
      return made;
    });
    await bench.drive(context.start());
    await bench.pass(300);
    await bench.drive(context.stop());
    const rule = '-'.repeat(43);
    expect(bench.output.slice(0, 2)).toEqual([`${rule}\nTime: 1000100 ms\n${rule}\na\n...\n\n`, `${rule}\nTime: 1000100 ms\n${rule}\na\nb\n\n`]);
    expect(bench.output[2]).toBe(`${rule}\nTime: 1000200 ms\n${rule}\n\n`);
  });
  it('foreachRDD sees each batch with its records', async () => {
    const bench = new Bench('a', 'b', 'a');
    const seen: unknown[] = [];
    const context = await bench.open(() => {
      const made = bench.context();
      made
        .receiverStream(bench.source.receiver(bench.process))
        .map((word) => [word, 1])
        .reduceByKey((left, right) => left + right, { numPartitions: 2 })
        .foreachRDD(
          async (rdd, { time }) => void seen.push([time, rdd.partitionCount, (await rdd.collect()).toSorted(([left], [right]) => left.localeCompare(right))]),
        );
      return made;
    });
    await bench.drive(context.start());
    await bench.pass(250);
    await bench.drive(context.stop());
    expect(seen.slice(0, 2)).toEqual([
      [
        1_000_100,
        2,
        [
          ['a', 2],
          ['b', 1],
        ],
      ],
      [1_000_200, 2, []],
    ]);
  });
});

describe('a user function that throws', () => {
  it('is tried again, and what a failed attempt did to the state does not show', async () => {
    const bench = new Bench('a', 'a', 'b');
    let calls = 0;
    const flaky = (values: readonly number[], before = 0): number => {
      calls += 1;
      if (calls % 3 === 2) throw new Error('now and then');
      return sum(values, before);
    };
    const context = await bench.open(() => bench.words((values, before) => (values.length === 0 ? (before ?? 0) : flaky(values, before))));
    await bench.drive(context.start());
    await bench.pass(1500);
    await bench.drive(context.stop());
    expect(calls).toBeGreaterThan(2);
    expect(bench.counts()).toEqual({ a: 2, b: 1 });
  });
  it('stops the context after its attempts; its input is counted once when the program is mended', async () => {
    const bench = new Bench('a', 'b');
    const broken = (): never => {
      throw new Error('division by cucumber');
    };
    const context = await bench.open(() => bench.words(broken));
    await bench.drive(context.start());
    await expect(bench.drive(context.awaitTermination())).rejects.toEqual(
      error('STREAM_TASK', 'one of 3 attempts must succeed: the last threw division by cucumber'),
    );
    expect(context.state).toBe('failed');
    expect(bench.table.commits).toEqual([]);
    const mended = await bench.open(() => bench.words(sum));
    await bench.drive(mended.start());
    await bench.pass(300);
    await bench.drive(mended.stop());
    expect(bench.counts()).toEqual({ a: 1, b: 1 });
  });
});

describe('recovery', () => {
  /** Runs the usual program and kills it, some batches completed and none in a checkpoint. */
  async function crashed(options: Partial<StreamingContextOptions> = {}): Promise<Bench> {
    const bench = new Bench('a', 'b', 'a', 'c');
    const context = await bench.open(() => bench.words(sum, options));
    await bench.drive(context.start());
    await bench.pass(450);
    bench.die();
    return bench;
  }
  async function finish(bench: Bench, create: () => StreamingContext): Promise<void> {
    const context = await bench.open(create);
    await bench.drive(context.start());
    await bench.pass(250);
    await bench.drive(context.stop());
  }
  it('refuses a store of another application, its name given', async () => {
    const bench = await crashed();
    await expect(bench.open(() => bench.words(sum, { appName: 'other' }))).rejects.toEqual(
      error('STREAM_IDENTITY', 'must belong to the application "other": it belongs to "bench"'),
    );
    await finish(bench, () => bench.words(sum, { appName: 'renamed', applicationId: 'bench' }));
  });
  it('refuses a graph that gives something up at start, with the difference, also after the log was cut', async () => {
    for (const options of [{}, { checkpointInterval: milliseconds(100), segmentBytesMax: 8192 }]) {
      const bench = await crashed(options);
      const context = await bench.open(() => {
        const made = bench.context(options);
        made
          .receiverStream(bench.source.receiver(bench.process), { uid: 'source' })
          .map((word): Pair => [word, 1])
          .saveTo(bench.sink(), { uid: 'totals' });
        return made;
      });
      await expect(context.start()).rejects.toEqual(error('STREAM_GRAPH_CHANGED', '[consent] updateStateByKey "counts" is gone: '));
      expect(context.state).toBe('failed');
      await finish(bench, () => bench.words(sum, options));
      expect(bench.counts()).toEqual({ a: 2, b: 1, c: 1 });
    }
  });
  it('refuses another version of the program over batches that must run again, and takes it after a clean stop', async () => {
    const bench = await crashed();
    const next = await bench.open(() => bench.words(sum, { version: '2' }));
    await expect(bench.drive(next.start())).rejects.toEqual(error('STREAM_CODE_VERSION', 'version "0" planned it, this is version "2"'));
    await finish(bench, () => bench.words(sum));
    await finish(bench, () => bench.words(sum, { version: '2' }));
    expect(bench.counts()).toEqual({ a: 2, b: 1, c: 1 });
  });
  it('refuses a program that gives other results, before it commits anything', async () => {
    const bench = await crashed();
    const commits = bench.table.commits.length;
    const other = await bench.open(() => bench.words((values, before) => sum(values, before) + 1));
    await expect(bench.drive(other.start())).rejects.toMatchObject({ code: 'STREAM_BATCH_DIFFERS', exitCode: 78 });
    expect(bench.table.commits).toHaveLength(commits);
  });
  it('compares every partition before it commits one: rows that moved to another partition are not there twice', async () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
    const inPartition = (partition: number) => names.find((name) => partitionOfSlot(keySlot(name), 2) === partition) ?? '';
    const bench = new Bench('word');
    let key = inPartition(1);
    const create = (): StreamingContext => {
      const made = bench.context();
      made
        .receiverStream(bench.source.receiver(bench.process), { uid: 'source' })
        .map(() => [key, 1])
        .reduceByKey((left, right) => left + right, { uid: 'sums', numPartitions: 2 })
        .saveTo(bench.sink(), { uid: 'totals' });
      return made;
    };
    const kill = (): void => bench.process.kill();
    subscribe('millrace:partition-committed', kill);
    const first = await bench.open(create);
    void first.start();
    await bench.pass(300);
    unsubscribe('millrace:partition-committed', kill);
    bench.die();
    expect(bench.table.commits).toHaveLength(1);
    key = inPartition(0);
    const other = await bench.open(create);
    await expect(bench.drive(other.start())).rejects.toEqual(error('STREAM_BATCH_DIFFERS', 'partition 1 of "totals" has the fingerprint of no rows'));
    expect(bench.table.commits).toHaveLength(1);
    key = inPartition(1);
    await finish(bench, create);
    expect(bench.table.commits).toHaveLength(1);
  });
  it('refuses a sink that lost its rows, or another directory for a sink that has some', async () => {
    const bench = await crashed();
    const { table } = bench;
    bench.table = new SimTable();
    const lost = await bench.open(() => bench.words(sum));
    await expect(bench.drive(lost.start())).rejects.toEqual(error('STREAM_SINK_CONFLICT', 'the sink lost commits'));
    expect(bench.table.fences.size).toBe(0);
    const fresh = new Bench('z');
    fresh.table = table;
    const epochs = [...table.fences.values()].map(({ epoch }) => epoch);
    const wrong = await fresh.open(() => fresh.words(sum));
    await expect(fresh.drive(wrong.start())).rejects.toEqual(error('STREAM_SINK_CONFLICT', 'its fence is of the store'));
    expect([...table.fences.values()].map(({ epoch }) => epoch)).toEqual(epochs);
  });
  it('falls back to the older checkpoint when the newest is damaged, and to the whole log when both are', async () => {
    for (const damage of [1, 2]) {
      const bench = await crashed({ checkpointInterval: milliseconds(200) });
      const heads = [...bench.image.values.keys()].filter((key) => key.startsWith('head/')).toSorted();
      expect(heads).toHaveLength(2);
      for (const key of heads.slice(-damage)) bench.image.values.set(key, Buffer.from('nonsense'));
      await finish(bench, () => bench.words(sum, { checkpointInterval: milliseconds(200) }));
      expect(bench.counts()).toEqual({ a: 2, b: 1, c: 1 });
    }
  });
  it('falls back when a blob of the newest is missing', async () => {
    const bench = await crashed({ checkpointInterval: milliseconds(200) });
    const newest =
      [...bench.image.values.keys()]
        .filter((key) => key.startsWith('ledger/'))
        .toSorted()
        .at(-1) ?? '';
    bench.image.values.delete(newest);
    await finish(bench, () => bench.words(sum, { checkpointInterval: milliseconds(200) }));
    expect(bench.counts()).toEqual({ a: 2, b: 1, c: 1 });
  });
  it('refuses when the checkpoints are gone and the log was cut, and when the log is gone', async () => {
    const options = { checkpointInterval: milliseconds(100), segmentBytesMax: 8192 };
    const bench = new Bench(...'abcdefghijklmnop');
    const context = await bench.open(() => bench.words(sum, options));
    await bench.drive(context.start());
    await bench.pass(2500);
    bench.die();
    expect(bench.disk.list('/store/journal')).not.toContain('0000000000000001.wal');
    const values = new Map(bench.image.values);
    bench.image.values.clear();
    const emptied = await bench.open(() => bench.words(sum, options));
    await expect(bench.drive(emptied.start())).rejects.toMatchObject({ code: 'STREAM_CHECKPOINT_CORRUPT', exitCode: 78 });
    for (const [key, value] of values) bench.image.values.set(key, value);
    for (const name of bench.disk.list('/store/journal')) bench.disk.remove(`/store/journal/${name}`);
    const unlogged = await bench.open(() => bench.words(sum, options));
    await expect(bench.drive(unlogged.start())).rejects.toMatchObject({ code: 'STREAM_CHECKPOINT_AHEAD', exitCode: 78 });
  });
  it('refuses a log without its identity', async () => {
    const bench = await crashed();
    bench.disk.remove('/store/identity');
    await expect(bench.open(() => bench.words(sum))).rejects.toEqual(error('STREAM_IDENTITY', 'found 1 log segments and no identity'));
  });
  it('is refused by a sink that a newer driver has claimed', async () => {
    const bench = await crashed();
    for (const [owner, fence] of bench.table.fences) bench.table.fences.set(owner, { ...fence, epoch: 99 });
    const old = await bench.open(() => bench.words(sum));
    await expect(bench.drive(old.start())).rejects.toMatchObject({ code: 'STREAM_FENCED', exitCode: 73 });
  });
  it('leaves nothing to run again after a graceful stop, and says what it found', async () => {
    const bench = await crashed();
    const found: RecoveryFound[] = [];
    const listener = (message: unknown): void => void found.push(message as RecoveryFound);
    subscribe('millrace:recovery-found', listener);
    await finish(bench, () => bench.words(sum));
    await finish(bench, () => bench.words(sum));
    unsubscribe('millrace:recovery-found', listener);
    expect(found[0]).toMatchObject({ epoch: 2, isClean: false, diedInRecovery: false, batchesToReplay: 4 });
    expect(found[1]).toMatchObject({ epoch: 3, isClean: true, batchesToReplay: 0, batchesUnfinished: 0 });
  });
  it('makes no batch for the time it was down, and never one that is not later than the last', async () => {
    const bench = await crashed();
    const last = Math.max(...bench.table.commits.map(({ key }) => key.batchTime));
    bench.clock.jump(-500_000);
    await finish(bench, () => bench.words(sum));
    const times = [...new Set(bench.table.commits.map(({ key }) => key.batchTime))];
    expect(times).toEqual(times.toSorted((left, right) => left - right));
    expect(times.filter((time) => time > last).length).toBeGreaterThan(0);
    bench.clock.jump(5_000_000);
    const before = bench.table.commits.length;
    await finish(bench, () => bench.words(sum));
    expect(bench.table.commits.length - before).toBeLessThan(10);
  });
});

describe('storage that fails', () => {
  it('at any one step stops the start or the context, and the next start goes on', async () => {
    const probe = new Bench('a', 'b');
    await probe.drive((await probe.open(() => probe.words(sum))).start());
    await probe.pass(300);
    const { steps } = probe.process;
    let failures = 0;
    for (let at = 1; at < steps; at += 3) {
      const bench = new Bench('a', 'b');
      bench.process = new SimProcess({ fail: { at, code: 'EIO' } });
      const life = async (): Promise<void> => {
        const context = await bench.open(() => bench.words(sum, { taskAttemptsMax: 1 }));
        await context.start();
        await context.awaitTermination();
      };
      const lived = bench.drive(Promise.race([life(), bench.pass(400)]));
      await lived.catch(() => (failures += 1));
      bench.die();
      const context = await bench.open(() => bench.words(sum));
      await bench.drive(context.start());
      await bench.pass(400);
      await bench.drive(context.stop());
      expect({ at, counts: bench.counts() }).toEqual({ at, counts: { a: 1, b: 1 } });
    }
    expect(failures).toBeGreaterThan(10);
  });
});
