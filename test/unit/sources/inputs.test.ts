// Goal: queues and iterables give each record once, and say what they cannot promise. Method: programs in the simulated world, killed in between.
import { describe, expect, it } from 'vitest';
import {
  milliseconds,
  StreamingContext,
  type AsyncSource,
  type IterableStreamOptions,
  type QueueItem,
  type QueueStreamOptions,
  type Rec,
} from '../../../src/index.ts';
import { World } from '../../support/world.ts';

const code = (name: string, message: string) => expect.objectContaining({ code: name, message: expect.stringContaining(message) as string }) as Error;

class Desk extends World {
  readonly batches: unknown[][] = [];

  async #start(add: (context: StreamingContext) => ReturnType<StreamingContext['queueStream']>): Promise<StreamingContext> {
    const create = (): StreamingContext => {
      const context = new StreamingContext({ appName: 'desk', batchInterval: milliseconds(100), blockInterval: milliseconds(20), taskAttemptsMax: 1 });
      add(context).foreachRDD(async (rdd) => void this.batches.push(await rdd.collect()), { uid: 'out' });
      return context;
    };
    const context = await StreamingContext.getOrCreate('/store', create, this.options());
    context.awaitTermination().catch(() => undefined);
    await this.drive(context.start());
    return context;
  }

  queue<T extends Rec>(queue: QueueItem<T>[], options: QueueStreamOptions<T> = {}): Promise<StreamingContext> {
    return this.#start((context) => context.queueStream(queue, { uid: 'in', ...options }) as never);
  }

  iterate<T extends Rec>(source: AsyncSource<T>, options: IterableStreamOptions<T> = {}): Promise<StreamingContext> {
    return this.#start((context) => context.fromAsyncIterable(source, { uid: 'in', ...options }) as never);
  }

  get records(): readonly unknown[] {
    return this.batches.flat();
  }
}

describe('queueStream()', () => {
  it('gives a batch one item, or all', async () => {
    const one = new Desk();
    await one.queue([[1, 2], [], [3]]);
    await one.pass(400);
    expect(one.batches).toEqual([[1, 2], [], [3], []]);
    const all = new Desk();
    await all.queue([[1, 2], [3]], { oneAtATime: false });
    await all.pass(200);
    expect(all.batches).toEqual([[1, 2, 3], []]);
  });
  it('gives what is pushed while it runs, datasets too, and a default when it is empty', async () => {
    const desk = new Desk();
    const queue: QueueItem<number>[] = [];
    const context = await desk.queue(queue, { default: [0] });
    queue.push(context.rddContext.parallelize([1, 2], { numPartitions: 2 }).map((n) => n * 10));
    await desk.pass(200);
    expect(desk.batches).toEqual([[10, 20], [0]]);
    expect(queue).toEqual([]);
  });
  it('has what a batch took in the log: a crash in the batch does not lose it', async () => {
    const desk = new Desk();
    await desk.queue([[1], [2]]);
    desk.batches.push = () => {
      desk.process.kill();
      return 0;
    };
    await desk.pass(100);
    Reflect.deleteProperty(desk.batches, 'push');
    desk.die();
    await desk.queue<number>([]);
    await desk.pass(100);
    expect(desk.records).toEqual([1]);
  });
  it('cuts a large item into blocks', async () => {
    const desk = new Desk();
    const rows = Array.from({ length: 3 }, (_, n) => String(n).repeat(700_000));
    await desk.queue([rows]);
    await desk.pass(100);
    expect(desk.records).toEqual(rows);
  });
  it('stops the context when a record cannot be encoded, and says which', async () => {
    const desk = new Desk();
    const context = await desk.queue<unknown[]>([[[1, () => 1]]] as never);
    await desk.pass(100);
    await expect(context.awaitTermination()).rejects.toEqual(code('STREAM_CODEC', 'function'));
  });
  it.each([
    ['a queue that is no array', {}, {}],
    ['oneAtATime', [], { oneAtATime: 1 }],
    ['an unknown option', [], { all: true }],
  ])('refuses %s', (_name, queue, options) => {
    const context = new StreamingContext({ appName: 'a', batchInterval: milliseconds(100) });
    expect(() => context.queueStream(queue as never, options as never)).toThrow(expect.objectContaining({ code: 'STREAM_OPTION' }) as Error);
  });
});

/** Numbers from a position on, with a pause of some promises between them. */
async function* numbers(from: number, until: number): AsyncGenerator<number> {
  for (let n = from; n < until; n++) {
    for (let turn = 0; turn < 5; turn++) await Promise.resolve();
    yield n;
  }
}
const position = (n: number): number => n;

describe('fromAsyncIterable()', () => {
  it('takes iterables of both kinds, and ends quietly with them', async () => {
    for (const source of [[1, 2, 3], numbers(1, 4), () => numbers(1, 4), new Set([1, 2, 3])]) {
      const desk = new Desk();
      const context = await desk.iterate<number>(source);
      await desk.pass(500);
      expect(desk.records).toEqual([1, 2, 3]);
      await desk.drive(context.stop());
    }
  });
  it('with positions goes on behind what is in the log, however often it dies', async () => {
    const desk = new Desk();
    const begun: number[] = [];
    let seen: readonly unknown[] = [];
    for (let life = 0; life < 8; life++) {
      await desk.iterate((from: number) => (begun.push(from), numbers(Math.max(0, from - 2), 60)), { position });
      await desk.pass(60 + 37 * life);
      desk.die();
      seen = desk.records;
    }
    const context = await desk.iterate((from: number) => numbers(from, 60), { position });
    await desk.pass(500);
    await desk.drive(context.stop());
    expect(begun[0]).toBe(0);
    expect(Math.max(...begun)).toBeGreaterThan(0);
    // foreachRDD is at least once: the set is complete, and a record comes again only with its whole batch.
    expect([...new Set(desk.records)]).toEqual(Array.from({ length: 60 }, (_, n) => n));
    expect(seen.length).toBeGreaterThan(0);
  });
  it('allows gaps and refuses to go back', async () => {
    const desk = new Desk();
    await desk.iterate([1, 5, 9], { position });
    await desk.pass(200);
    expect(desk.records).toEqual([1, 5, 9]);
    for (const [records, found] of [
      [[1, 5, 3], 'whole number of 6 or more, since positions grow: found 3'],
      [[1, 1], 'found 1'],
      [[1.5], 'found 1.5'],
    ] as const) {
      const other = new Desk();
      const context = await other.iterate(records, { position });
      await other.pass(200);
      await expect(context.awaitTermination()).rejects.toEqual(code('STREAM_SOURCE_PROTOCOL', found));
    }
  });
  it('calls a function again when its iterable throws; an iterable alone stops the context', async () => {
    const desk = new Desk();
    let calls = 0;
    async function* failing(from: number): AsyncGenerator<number> {
      calls += 1;
      yield* numbers(from, from + 2);
      if (calls < 3) throw new Error('line is down');
    }
    await desk.iterate((from: number) => failing(from), { position });
    await desk.pass(6000);
    expect([calls, desk.records]).toEqual([3, [0, 1, 2, 3, 4, 5]]);
    const alone = new Desk();
    calls = 0;
    const context = await alone.iterate(failing(0));
    await alone.pass(200);
    await expect(context.awaitTermination()).rejects.toEqual(code('STREAM_RECEIVER', 'must not throw, unless a function makes it: line is down'));
  });
  it('stops while the iterable waits for ever, and lets go of it', async () => {
    const desk = new Desk();
    let isReturned = false;
    const iterator = {
      next: () => new Promise<never>(() => undefined),
      return: () => ((isReturned = true), Promise.resolve({ done: true as const, value: undefined })),
    };
    const context = await desk.iterate<number>({ [Symbol.asyncIterator]: () => iterator });
    await desk.pass(100);
    await desk.drive(context.stop());
    expect([context.state, isReturned]).toEqual(['stopped', true]);
  });
  it.each([
    [1, {}],
    ['text', { position: 1 }],
    [[], { from: 1 }],
  ])('refuses %j with %j', (source, options) => {
    const context = new StreamingContext({ appName: 'a', batchInterval: milliseconds(100) });
    expect(() => context.fromAsyncIterable(source as never, options as never)).toThrow(expect.objectContaining({ code: 'STREAM_OPTION' }) as Error);
  });
});
