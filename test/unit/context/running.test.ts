// Goal: what a running program tells, how it is stopped from anywhere, and that it takes no more than it may. Method: programs in the simulated world.
import { describe, expect, it } from 'vitest';
import {
  milliseconds,
  RddContext,
  StreamingContext,
  type DStream,
  type QueueItem,
  type Receiver,
  type ReceiverContext,
  type StreamingContextOptions,
  type StreamingListener,
} from '../../../src/index.ts';
import { createSimSink, settle, SimTable } from '../../../src/testing/index.ts';
import { World } from '../../support/world.ts';

const code = (name: string, message: string) => expect.objectContaining({ code: name, message: expect.stringContaining(message) as string }) as Error;

/** A receiver that a test stores by. */
class Hand implements Receiver<string> {
  readonly codec = 'lines';
  context: ReceiverContext<string> | undefined;
  runs = 0;
  fail: (error: Error) => void = () => undefined;

  run(context: ReceiverContext<string>): Promise<void> {
    this.context = context;
    this.runs += 1;
    return new Promise((resolve, reject) => {
      this.fail = reject;
      context.signal.addEventListener('abort', () => resolve());
    });
  }
}

class Desk extends World {
  make(options: Partial<StreamingContextOptions> = {}): StreamingContext {
    return new StreamingContext({ appName: 'desk', batchInterval: milliseconds(100), blockInterval: milliseconds(10), taskAttemptsMax: 1, ...options });
  }

  async open(build: (context: StreamingContext) => void, options: Partial<StreamingContextOptions> = {}): Promise<StreamingContext> {
    const create = (): StreamingContext => {
      const context = this.make(options);
      build(context);
      return context;
    };
    const context = await StreamingContext.getOrCreate('/store', create, this.options());
    context.awaitTermination().catch(() => undefined);
    return context;
  }

  async start(...parameters: Parameters<Desk['open']>): Promise<StreamingContext> {
    const context = await this.open(...parameters);
    await this.drive(context.start());
    return context;
  }

  /** A program over a queue whose output is a function. */
  queue(queue: QueueItem<number>[], f: (rdd: Parameters<Parameters<DStream<number>['foreachRDD']>[0]>[0]) => void | Promise<void>): Promise<StreamingContext> {
    return this.start((context) => context.queueStream(queue).foreachRDD(f, { uid: 'out' }));
  }
}

function recorder(): { readonly listener: StreamingListener; readonly events: [string, Record<string, unknown>][] } {
  const events: [string, Record<string, unknown>][] = [];
  const names = [
    'onStreamingStarted',
    'onBatchSubmitted',
    'onBatchStarted',
    'onBatchCompleted',
    'onOutputOperationStarted',
    'onOutputOperationCompleted',
    'onReceiverStarted',
    'onReceiverError',
    'onReceiverStopped',
  ];
  const listener = Object.fromEntries(names.map((name) => [name, (event: object) => void events.push([name, { ...event }])])) as StreamingListener;
  return { listener, events };
}

describe('listeners', () => {
  it('hear what happens, in order, with numbers', async () => {
    const desk = new Desk();
    const { listener, events } = recorder();
    const hand = new Hand();
    const context = await desk.open((c) => {
      c.addListener(listener);
      c.receiverStream(hand, { uid: 'in' }).foreachRDD(() => new Promise((resolve) => desk.clock.setTimer(30, resolve)), { uid: 'out' });
    });
    await desk.drive(context.start());
    void hand.context?.store('a');
    await desk.pass(150);
    await desk.drive(context.stop());
    const [started, submitted, begun] = ['onStreamingStarted', 'onBatchSubmitted', 'onBatchStarted'].map((name) => events.find(([each]) => each === name)?.[1]);
    expect(started).toEqual({ time: 1_000_000 });
    expect(events.map(([name]) => name).slice(0, 7)).toEqual([
      'onStreamingStarted',
      'onReceiverStarted',
      'onBatchSubmitted',
      'onBatchStarted',
      'onOutputOperationStarted',
      'onOutputOperationCompleted',
      'onBatchCompleted',
    ]);
    expect(submitted).toEqual({ batchTime: 1_000_100, recordCounts: new Map([['in', 1]]), fileCounts: new Map(), isRerun: false, submittedMs: 1_000_100 });
    expect(begun).toMatchObject({ startedMs: 1_000_100, schedulingDelayMs: 0 });
    expect(events.find(([name]) => name === 'onOutputOperationCompleted')?.[1]).toEqual({
      batchTime: 1_000_100,
      output: 'out',
      kind: 'foreachRDD',
      durationMs: 30,
      error: undefined,
    });
    expect(events.find(([name]) => name === 'onBatchCompleted')?.[1]).toMatchObject({ processingDelayMs: 30, totalDelayMs: 30, completedMs: 1_000_130 });
    expect(events.at(-1)).toEqual(['onReceiverStopped', { stream: 'in' }]);
  });
  it('hear of a receiver that fails, and of an output that does', async () => {
    const desk = new Desk();
    const { listener, events } = recorder();
    const hand = new Hand();
    const context = await desk.start((c) => {
      c.addListener(listener);
      c.receiverStream(hand, { uid: 'in' }).foreachRDD(() => {
        throw new Error('no');
      });
    });
    hand.fail(new Error('line is down'));
    await desk.pass(50);
    expect(events.slice(-2)).toEqual([
      ['onReceiverError', { stream: 'in', error: new Error('line is down') }],
      ['onReceiverStopped', { stream: 'in' }],
    ]);
    await desk.pass(100);
    const failed = events.find(([name]) => name === 'onOutputOperationCompleted')?.[1];
    expect(failed?.['error']).toEqual(code('STREAM_TASK', 'the last threw no'));
    expect(events.some(([name]) => name === 'onBatchCompleted')).toBe(false);
    await expect(context.awaitTermination()).rejects.toEqual(failed?.['error']);
  });
  it('that throw change nothing, and are heard no more when they are removed', async () => {
    const desk = new Desk();
    let calls = 0;
    const listener = {
      onBatchStarted(): void {
        calls += 1;
        throw new Error('listener');
      },
    };
    const context = await desk.start((c) => {
      c.addListener(listener);
      c.queueStream([]).foreachRDD(() => undefined);
    });
    await desk.pass(200);
    context.removeListener(listener);
    await desk.pass(200);
    expect([calls, context.state]).toEqual([2, 'running']);
  });
  it('are told that a batch runs again', async () => {
    const desk = new Desk();
    const { listener, events } = recorder();
    const build = (c: StreamingContext): void => {
      c.addListener(listener);
      c.queueStream([], { uid: 'in' }).foreachRDD(() => desk.process.kill(), { uid: 'out' });
    };
    await desk.start(build);
    await desk.pass(100);
    desk.die();
    events.length = 0;
    const context = await desk.start((c) => {
      c.addListener(listener);
      c.queueStream([], { uid: 'in' }).foreachRDD(() => undefined, { uid: 'out' });
    });
    expect(events.map(([name, { isRerun }]) => [name, isRerun]).slice(0, 2)).toEqual([
      ['onBatchStarted', true],
      ['onOutputOperationStarted', undefined],
    ]);
    await desk.drive(context.stop());
  });
});

describe('stop() from inside a batch', () => {
  it.each(['foreachRDD', 'foreachPartition', 'transform'])('in %s begins the stop, and the batch is completed', async (where) => {
    const desk = new Desk();
    let done = 0;
    const create = (c: StreamingContext): void => {
      const stream = c.queueStream([[1], [2], [3]]);
      const stop = async (): Promise<void> => {
        await c.stop();
        done += 1;
      };
      if (where === 'transform') {
        stream
          .transform(async (rdd) => {
            await stop();
            return rdd;
          })
          .foreachRDD(async (rdd) => void (await rdd.collect()));
      } else stream.foreachRDD(async (rdd) => (where === 'foreachRDD' ? stop() : rdd.foreachPartition(stop)));
    };
    const context = await desk.start(create);
    await desk.pass(300);
    expect([context.state, done]).toEqual(['stopped', 1]);
    await context.awaitTermination();
    expect(context.rddContext.isStopped).toBe(true);
  });
  it('in mapAsync too', async () => {
    const desk = new Desk();
    const context: StreamingContext = await desk.start((c) =>
      c
        .queueStream([[1], [2]])
        .mapAsync(async (n) => {
          await c.stop();
          return n;
        })
        .saveTo(createSimSink(new SimTable<number>(), desk.process)),
    );
    await desk.pass(300);
    expect(context.state).toBe('stopped');
  });
  it('waits where it may: for another context, and in a callback that outlives the batch', async () => {
    const [desk, other] = [new Desk(), new Desk()];
    const inner = await other.queue([], () => undefined);
    const outcomes: string[] = [];
    let late: Promise<void> = Promise.resolve();
    const context: StreamingContext = await desk.queue([[1]], async (rdd) => {
      if (await rdd.isEmpty()) return;
      const stopped = inner.stop().then(() => outcomes.push(`inner is ${inner.state}`));
      await other.drive(stopped);
      late = new Promise<void>((resolve) => desk.clock.setTimer(500, resolve)).then(async () => {
        await context.stop();
        outcomes.push(`outer is ${context.state}`);
      });
    });
    await desk.pass(1500);
    await desk.drive(late);
    expect(outcomes).toEqual(['inner is stopped', 'outer is stopped']);
  });
  it('a listener may call it, and await it', async () => {
    const desk = new Desk();
    let isStopped = false;
    const context: StreamingContext = await desk.queue([], () => undefined);
    context.addListener({
      onBatchCompleted: () =>
        void context.stop().then(() => {
          isStopped = true;
        }),
    });
    await desk.pass(300);
    expect([isStopped, context.state]).toEqual([true, 'stopped']);
  });
  it('and awaitTermination there is an error that says where to call it', async () => {
    const desk = new Desk();
    const context: StreamingContext = await desk.queue([[1]], () => context.awaitTermination());
    await desk.pass(200);
    await expect(context.awaitTermination()).rejects.toEqual(code('STREAM_ILLEGAL_STATE', 'it would wait for itself'));
    const other: StreamingContext = await new Desk().queue([], () => undefined);
    expect(await Promise.race([other.awaitTermination(), settle().then(() => 'waits')])).toBe('waits');
  });
});

describe('awaitTerminationOrTimeout()', () => {
  it('says whether the context has stopped, and throws what stopped it', async () => {
    const desk = new Desk();
    const queue: QueueItem<number>[] = [];
    const context = await desk.queue(queue, async (rdd) => {
      if (!(await rdd.isEmpty())) throw new Error('poison');
    });
    expect(await desk.drive(context.awaitTerminationOrTimeout(milliseconds(250)))).toBe(false);
    queue.push([1]);
    await expect(desk.drive(context.awaitTerminationOrTimeout(milliseconds(1000)))).rejects.toEqual(code('STREAM_TASK', 'poison'));
    const stopped = await new Desk().queue([], () => undefined);
    const waited = stopped.awaitTerminationOrTimeout(milliseconds(60_000));
    await stopped.stop();
    expect(await waited).toBe(true);
    await expect(stopped.awaitTerminationOrTimeout(0 as never)).rejects.toEqual(code('STREAM_OPTION', 'timeout'));
  });
});

describe('an RddContext', () => {
  it('serves several contexts one after another, and is stopped with the last', async () => {
    const desk = new Desk();
    const rddContext = new RddContext({ defaultParallelism: 2 });
    const names = rddContext.parallelize(['a', 'b']);
    for (const isLast of [false, true]) {
      const found: string[] = [];
      const context = await desk.start((c) => c.queueStream([[1]]).foreachRDD(async () => void found.push(...(await names.collect()))), { rddContext });
      expect(context.rddContext).toBe(rddContext);
      await desk.pass(100);
      expect(found).toEqual(['a', 'b']);
      await desk.drive(context.stop({ rddContext: isLast }));
      expect(rddContext.isStopped).toBe(isLast);
    }
    expect(() => desk.make({ rddContext })).toThrow(code('STREAM_OPTION', 'an RddContext that was not stopped'));
    expect(() => desk.make({ rddContext: {} as never })).toThrow(code('STREAM_OPTION', 'an RddContext: found an object'));
  });
  it('outlives a context that fails', async () => {
    const desk = new Desk();
    const context: StreamingContext = await desk.queue([[1]], () => {
      throw new Error('no');
    });
    await desk.pass(200);
    expect([context.state, context.rddContext.isStopped]).toEqual(['failed', false]);
  });
});

describe('explain()', () => {
  it('gives each path its guarantee and the reasons', () => {
    const desk = new Desk();
    const context = desk.make();
    const lines = context.socketTextStream('h', 1, { uid: 'acked', acknowledged: true });
    const plain = context.socketTextStream('h', 1, { uid: 'plain' });
    const files = context.textFileStream('/in', { uid: 'files' });
    const own = context.receiverStream(new Hand(), { uid: 'own' });
    const positioned = context.fromAsyncIterable(['a'], { uid: 'positioned', position: () => 0 });
    const bare = context.fromAsyncIterable(['a'], { uid: 'bare' });
    const queue = context.queueStream<string>([], { uid: 'queue' });
    lines.union(plain, { uid: 'both' }).saveTo(createSimSink(new SimTable<string>(), desk.process), { uid: 'table' });
    context.union([files, own, positioned, bare, queue]).print({ uid: 'shown' });
    const explained = context.explain();
    expect(explained.paths.map(({ source, output, guarantee }) => `${source} ${output} ${guarantee}`)).toEqual([
      'acked table exactly-once',
      'plain table best-effort',
      'files shown at-least-once',
      'own shown best-effort',
      'positioned shown at-least-once',
      'bare shown best-effort',
      'queue shown best-effort',
    ]);
    expect(String(explained).split('\n').slice(0, 3)).toEqual([
      'acked -> table: exactly-once',
      '  "acked": lines are numbered, and sent again from the first that is not durable',
      '  the sink of "table" commits each partition once',
    ]);
    expect(String(explained)).toContain('fromAsyncIterable has no position');
    expect(String(explained)).toContain(
      '  for exactly-once: "bare": give it a position\n  for exactly-once: "shown": write with saveTo into a transactional sink\n',
    );
    expect(explained.paths[0]?.remedies).toEqual([]);
    expect(String(explained)).toContain('"shown" runs again after a crash');
  });
});

describe('exactlyOnce', () => {
  const position = (): number => 0;
  it('lets a path start that is, and refuses one that is not, saying why and what would mend it, before the sink is asked', async () => {
    const desk = new Desk();
    const sink = createSimSink(new SimTable<string>(), desk.process);
    const calls: string[] = [];
    const watched = { ...sink, look: (...given: Parameters<typeof sink.look>) => (calls.push('look'), sink.look(...given)) };
    const weak = await desk.open((context) => {
      const acked = context.socketTextStream('h', 1, { uid: 'acked', acknowledged: true });
      acked.union(context.socketTextStream('h', 1, { uid: 'plain' })).saveTo(watched, { uid: 'table', exactlyOnce: true });
    });
    await expect(weak.start()).rejects.toMatchObject({
      code: 'STREAM_GUARANTEE',
      message: expect.stringMatching(
        /in "table" \(exactlyOnce is true\): from "plain" it is best-effort\. .* For exactly-once: "plain": let the server speak acknowledged lines/,
      ) as string,
    });
    const shown = await desk.open((context) => context.fromAsyncIterable(['a'], { position }).print({ uid: 'shown', exactlyOnce: true }));
    await expect(shown.start()).rejects.toThrow('write with saveTo into a transactional sink');
    expect(calls).toEqual([]);
    const whole = await desk.start((context) => context.fromAsyncIterable(['a'], { position }).saveTo(watched, { uid: 'table', exactlyOnce: true }));
    expect([whole.state, calls]).toEqual(['running', ['look']]);
  });
  it('needs a store directory', async () => {
    const context = new Desk().make();
    const sink = { ...createSimSink(new SimTable<string>(), new Desk().process), guarantee: 'idempotent' as const };
    context.fromAsyncIterable(['a'], { position }).saveTo(sink, { uid: 'table', exactlyOnce: true });
    await expect(context.start()).rejects.toEqual(code('STREAM_DIRECTORY', '"table" must have a store directory'));
  });
});

describe('limits', () => {
  const blocks = async (hand: Hand, desk: Desk, count: number): Promise<void> => {
    for (let n = 0; n < count; n++) {
      void hand.context?.store(`${n}`.padEnd(100, 'x'));
      await desk.pass(10);
    }
  };
  it.each([
    [{ batchRecordsMax: 2 }, [2, 2, 1]],
    [{ batchRecordsMax: 1 }, [1, 1, 1, 1, 1]],
    [{ batchBytesMax: 600 }, [2, 2, 1]],
    [{ batchBytesMax: 1 }, [1, 1, 1, 1, 1]],
    [{}, [5]],
  ])('%j of a batch', async (options, expected) => {
    const desk = new Desk();
    const hand = new Hand();
    const counts: number[] = [];
    const context = await desk.start(
      (c) =>
        c.receiverStream(hand).foreachRDD(async (rdd) => {
          const count = await rdd.count();
          if (count > 0) counts.push(count);
        }),
      options,
    );
    await blocks(hand, desk, 5);
    // A graceful stop takes as many batches as it needs.
    await desk.drive(context.stop());
    expect(counts).toEqual(expected);
  });
  it('backlogBytesMax holds receivers back until a batch takes what waits', async () => {
    const desk = new Desk();
    const hand = new Hand();
    let release = (): void => undefined;
    const hanging = new Promise<void>((resolve) => (release = resolve));
    await desk.start((c) => c.receiverStream(hand).foreachRDD(() => hanging), { backlogBytesMax: 500 });
    await desk.pass(100);
    await blocks(hand, desk, 4);
    let isReady = false;
    void hand.context?.ready().then(() => (isReady = true));
    await desk.pass(300);
    expect(isReady).toBe(false);
    release();
    await desk.pass(100);
    expect(isReady).toBe(true);
  });
  it('receiverRateMax makes ready() wait', async () => {
    const desk = new Desk();
    const hand = new Hand();
    await desk.start((c) => c.receiverStream(hand).print(), { receiverRateMax: 10 });
    for (let n = 0; n < 20; n++) void hand.context?.store('x');
    const from = desk.clock.monotonic();
    await desk.drive(hand.context?.ready() ?? Promise.reject(new Error('none')));
    expect(desk.clock.monotonic() - from).toBe(1001);
  });
  it('backpressure sets the rate by how batches go', async () => {
    const desk = new Desk();
    const hand = new Hand();
    // 10 records take 1 s: the rate comes down from 1,000 to the 10 per second that batches can do.
    const slow = (): Promise<void> => new Promise((resolve) => desk.clock.setTimer(1000, resolve));
    await desk.start((c) => c.receiverStream(hand).foreachRDD(async (rdd) => ((await rdd.isEmpty()) ? undefined : slow())), {
      backpressure: { initialRate: 1000, rateMin: 1, integral: 0 },
    });
    const store = (): void => {
      for (let n = 0; n < 10; n++) void hand.context?.store('x');
    };
    const waitOf = async (): Promise<number> => {
      const from = desk.clock.monotonic();
      await desk.drive(hand.context?.ready() ?? Promise.reject(new Error('none')));
      return desk.clock.monotonic() - from;
    };
    store();
    await desk.pass(1200);
    store();
    expect(await waitOf()).toBe(0);
    await desk.pass(1200);
    store();
    expect(await waitOf()).toBeGreaterThanOrEqual(1);
    store();
    expect(await waitOf()).toBeGreaterThanOrEqual(900);
  });
  it.each([
    [{ batchRecordsMax: 0 }, 'batchRecordsMax'],
    [{ receiverRateMax: -1 }, 'receiverRateMax'],
    [{ backlogBytesMax: 0 }, 'backlogBytesMax'],
    [{ batchBytesMax: 1.5 }, 'batchBytesMax'],
    [{ backpressure: 1 }, 'backpressure'],
    [{ backpressure: { rateMin: 0 } }, 'rateMin'],
    [{ backpressure: { proportional: -1 } }, 'proportional'],
    [{ backpressure: { gain: 1 } }, 'gain'],
    [{ defaultParallelism: 0 }, 'defaultParallelism'],
  ])('refuses %j', (options, name) => expect(() => new Desk().make(options as never)).toThrow(code('STREAM_OPTION', name)));
});

describe('saveAsTextFiles()', () => {
  const files = (desk: Desk, directory: string): readonly string[] => desk.disk.list(directory);
  const text = (desk: Desk, path: string): string => desk.disk.open(path).read(0, 1000).toString();
  it('writes a directory per batch, also for an empty one', async () => {
    const desk = new Desk();
    const context = await desk.start((c) => c.queueStream([[1, 2]]).saveAsTextFiles('/out/deep/n', 'txt'));
    await desk.pass(200);
    await desk.drive(context.stop());
    expect(files(desk, '/out/deep')).toEqual(['n-1000100.txt', 'n-1000200.txt']);
    expect(files(desk, '/out/deep/n-1000100.txt')).toEqual(['_SUCCESS', 'part-00000']);
    expect(text(desk, '/out/deep/n-1000100.txt/part-00000')).toBe('1\n2\n');
    expect(files(desk, '/out/deep/n-1000200.txt')).toEqual(['_SUCCESS']);
  });
  it('writes the same files again when the batch runs again', async () => {
    const desk = new Desk();
    const run = (queue: number[][], isDeadly: boolean) =>
      desk.start((c) => {
        const numbers = c.queueStream(queue, { uid: 'in' });
        numbers.saveAsTextFiles('/out/', { uid: 'text' });
        numbers.foreachRDD(() => (isDeadly ? desk.process.kill() : undefined), { uid: 'kill' });
      });
    await run([[1, 2]], true);
    await desk.pass(100);
    const before = text(desk, '/out/1000100/part-00000');
    desk.disk.open('/out/1000100/part-00000').write(Buffer.from('torn'), 0);
    desk.die();
    const context = await run([], false);
    await desk.drive(context.stop());
    expect([before, text(desk, '/out/1000100/part-00000')]).toEqual(['1\n2\n', '1\n2\n']);
  });
  it.each([
    [['a\0'], 'prefix'],
    [['a', 'b/c'], 'suffix'],
    [['a', ''], 'suffix'],
  ])('refuses %j', (names, name) => {
    const stream = new Desk().make().queueStream<number>([]);
    expect(() => stream.saveAsTextFiles(...(names as [string, string]))).toThrow(code('STREAM_OPTION', name));
  });
});
