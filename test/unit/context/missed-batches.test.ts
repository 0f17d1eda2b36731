// Goal: which batches a program makes when clocks jump, drivers are down or stand still, in its own words: batch times, calls, counts. Method: programs in the simulated world.
import { describe, expect, it } from 'vitest';
import {
  milliseconds,
  minutes,
  StreamingContext,
  type QueueItem,
  type Receiver,
  type ReceiverContext,
  type Sink,
  type StreamingContextOptions,
} from '../../../src/index.ts';
import { toBatchTime } from '../../../src/core/time.ts';
import { createSimSink, ScriptedSource, SimTable } from '../../../src/testing/index.ts';
import { World } from '../../support/world.ts';

type Pair = readonly [string, number];

const HOUR_MS = 3_600_000;
const YEAR_MS = 365 * 24 * HOUR_MS;

/** A program that counts words and how often its function was called, in lives one after another. */
class Lives extends World {
  readonly table = new SimTable<Pair>();
  readonly queue: QueueItem<string>[] = [];
  readonly source = new ScriptedSource<string>({ records: ['a', 'b', 'a'], window: 3 });
  hand: ReceiverContext<string> | undefined;
  /** Batch times of all lives, and how many records each had. */
  readonly batches: [number, number][] = [];
  calls = 0;
  context: StreamingContext | undefined;

  build(options: Partial<StreamingContextOptions>): StreamingContext {
    const context = new StreamingContext({
      appName: 'lives',
      batchInterval: milliseconds(100),
      blockInterval: milliseconds(20),
      checkpointInterval: milliseconds(500),
      ...options,
    });
    const count = (values: readonly number[], before = 0): number => {
      this.calls += 1;
      return values.reduce((a, b) => a + b, before);
    };
    const receiver: Receiver<string> = {
      codec: 'lines',
      run: (hand) => {
        this.hand = hand;
        return new Promise((resolve) => hand.signal.addEventListener('abort', () => resolve()));
      },
    };
    context
      .receiverStream(this.source.receiver(this.process), { uid: 'source' })
      .union(context.receiverStream(receiver, { uid: 'hand' }))
      .union(context.queueStream(this.queue, { uid: 'queue' }))
      .map((word) => [word, 1])
      .updateStateByKey<number>(count, { uid: 'counts' })
      .saveTo(createSimSink(this.table, this.process), { uid: 'totals' });
    context.addListener({
      onBatchCompleted: ({ batchTime, recordCounts }) => void this.batches.push([batchTime, [...recordCounts.values()].reduce((a, b) => a + b, 0)]),
    });
    return context;
  }

  async live(options: Partial<StreamingContextOptions> = {}): Promise<void> {
    this.context = await StreamingContext.getOrCreate('/store', () => this.build(options), this.options());
    this.context.awaitTermination().catch(() => undefined);
    await this.drive(this.context.start());
  }

  async stop(): Promise<void> {
    if (this.context !== undefined) await this.drive(this.context.stop());
  }

  /** Has a receiver store records in one block. */
  send(...records: readonly string[]): void {
    for (const record of records) void this.hand?.store(record);
  }

  times(): number[] {
    return this.batches.map(([time]) => time);
  }

  counts(): Record<string, number> {
    return Object.fromEntries(this.table.commits.flatMap(({ rows }) => rows));
  }
}

const steps = (times: readonly number[]): number[] => times.slice(1).map((time, index) => time - (times[index] ?? 0));

describe('intervals that pass while no driver runs', () => {
  it('make no batch by default', async () => {
    const lives = new Lives();
    await lives.live();
    await lives.pass(1000);
    await lives.stop();
    const [calls, last = 0] = [lives.calls, lives.times().at(-1)];
    lives.clock.advance(2000);
    lives.die();
    await lives.live();
    await lives.pass(100);
    expect(lives.times().find((time) => time > last)).toBe(last + 2100);
    expect(lives.calls - calls).toBe(2);
  });
  it("make one each with missedBatches: 'run', and the function is called for each", async () => {
    const lives = new Lives();
    await lives.live({ missedBatches: 'run' });
    await lives.pass(1000);
    lives.die();
    const [calls, times] = [lives.calls, lives.times()];
    lives.clock.advance(2000);
    await lives.live({ missedBatches: 'run' });
    await lives.pass(50);
    await lives.stop();
    expect(steps(lives.times()).every((step) => step === 100)).toBe(true);
    expect(lives.times().length - times.length).toBeGreaterThanOrEqual(20);
    expect(lives.calls - calls).toBe(2 * (lives.times().length - times.length));
    expect(lives.counts()).toEqual({ a: 2, b: 1 });
  });
  it('are run from where they were when the driver dies among them, each once', async () => {
    const lives = new Lives();
    await lives.live({ missedBatches: 'run' });
    await lives.pass(500);
    for (let life = 0; life < 5; life++) {
      lives.die();
      lives.clock.advance(700);
      await lives.live({ missedBatches: 'run' });
      for (const until = lives.batches.length + 3; lives.batches.length < until;) await lives.pass(1);
    }
    await lives.pass(500);
    await lives.stop();
    const completed = new Set(lives.times());
    expect(steps([...completed].sort((a, b) => a - b)).every((step) => step === 100)).toBe(true);
    expect(lives.counts()).toEqual({ a: 2, b: 1 });
  });
  it('give what waits to the first of them; what is asked at each batch waits for the first of this life', async () => {
    const lives = new Lives();
    await lives.live({ missedBatches: 'run', batchInterval: milliseconds(1000), checkpointInterval: milliseconds(5000) });
    await lives.pass(1000);
    lives.send('c', 'c');
    await lives.pass(500);
    lives.die();
    const before = lives.batches.length;
    lives.queue.push(['q']);
    lives.clock.advance(3000);
    await lives.live({ missedBatches: 'run', batchInterval: milliseconds(1000), checkpointInterval: milliseconds(5000) });
    await lives.pass(1000);
    expect(lives.batches.slice(before).map(([, records]) => records)).toEqual([2, 0, 0, 1]);
    await lives.stop();
    expect(lives.counts()).toEqual({ a: 2, b: 1, c: 2, q: 1 });
  });
  it('are none before the first start', async () => {
    const lives = new Lives();
    await lives.live({ missedBatches: 'run' });
    await lives.pass(300);
    expect(lives.times()).toEqual([1_000_100, 1_000_200, 1_000_300]);
  });
});

describe('a wall clock', () => {
  it.each([HOUR_MS, -HOUR_MS, 10 * YEAR_MS, -10 * YEAR_MS])('that jumps by %i ms while a program runs changes no batch', async (jumpMs) => {
    const lives = new Lives();
    await lives.live();
    await lives.pass(250);
    lives.clock.jump(jumpMs);
    await lives.pass(250);
    expect(lives.times()).toEqual([1_000_100, 1_000_200, 1_000_300, 1_000_400, 1_000_500]);
    expect(lives.counts()).toEqual({ a: 2, b: 1 });
  });
  it('that strobes while a program runs changes no batch', async () => {
    const lives = new Lives();
    await lives.live();
    for (let turn = 0; turn < 20; turn++) {
      lives.clock.jump(turn % 2 === 0 ? 10 * YEAR_MS : -10 * YEAR_MS);
      await lives.pass(50);
    }
    expect(lives.times()).toEqual(Array.from({ length: 10 }, (_unused, index) => 1_000_100 + 100 * index));
    expect(lives.counts()).toEqual({ a: 2, b: 1 });
  });
  it.each([HOUR_MS, 10 * YEAR_MS])(
    'that stands %i ms before the last batch at a start stalls nothing: batches go on behind it, one each interval',
    async (backMs) => {
      const lives = new Lives();
      await lives.live();
      await lives.pass(1000);
      lives.die();
      const last = lives.times().at(-1) ?? 0;
      lives.clock.jump(-backMs);
      await lives.live();
      lives.send('late');
      await lives.pass(500);
      expect(lives.times().filter((time) => time > last)).toEqual([100, 200, 300, 400, 500].map((step) => last + step));
      await lives.stop();
      expect(lives.counts()).toEqual({ a: 2, b: 1, late: 1 });
    },
  );
});

describe('a process that stands still', () => {
  it('runs the intervals of that time in turn, one at a time, and the first takes what waits', async () => {
    const lives = new Lives();
    await lives.live();
    await lives.pass(500);
    lives.send('x', 'y');
    await lives.pass(50);
    lives.clock.advance(3000);
    await lives.until(() => (lives.times().at(-1) ?? 0) >= 1_003_500);
    expect(steps(lives.times()).every((step) => step === 100)).toBe(true);
    expect(lives.batches.slice(5, 8).map(([, records]) => records)).toEqual([2, 0, 0]);
  });
});

it('a batch is later than the rows of a sink whose rows are not judged', async () => {
  const lives = new Lives();
  const ahead = 1_000_000 + HOUR_MS;
  const times: number[] = [];
  const sink: Sink<string> = {
    guarantee: 'idempotent',
    look: () => Promise.resolve({ rows: new Map() }),
    open: () => Promise.resolve({ rows: new Map([[0, { batchTime: toBatchTime(ahead), planId: 'p', epoch: 1, fingerprint: 'f', rows: 1 }]]) }),
    prepare: (rows) => ({ fingerprint: '00', rowCount: rows.length, payload: rows }),
    commit: ({ batchTime }) => Promise.resolve('committed' as const).finally(() => times.push(batchTime)),
    close: () => Promise.resolve(),
  };
  const create = (): StreamingContext => {
    const context = new StreamingContext({ appName: 'ahead', batchInterval: milliseconds(100) });
    context.queueStream([['a'], ['b']]).saveTo(sink, { uid: 'out' });
    return context;
  };
  const context = await StreamingContext.getOrCreate('/store', create, lives.options());
  await lives.drive(context.start());
  await lives.pass(250);
  expect(times).toEqual([ahead + 100, ahead + 200]);
});

it('an interval of 30 days makes a batch when it ends', async () => {
  const lives = new Lives();
  const month = minutes(30 * 24 * 60);
  await lives.live({ batchInterval: month, checkpointInterval: month });
  await lives.pass(1000);
  expect(lives.times()).toEqual([]);
  await lives.pass(month);
  expect(lives.times()).toEqual([month]);
  expect(lives.counts()).toEqual({ a: 2, b: 1 });
});

it("missedBatches is 'skip' or 'run'", () => {
  expect(() => new Lives().build({ missedBatches: 'coalesce' as 'run' })).toThrow(
    expect.objectContaining({ code: 'STREAM_OPTION', message: expect.stringContaining("'skip' or 'run'") as string }) as Error,
  );
});

it('explain() says that updateStateByKey is not called for missed intervals, unless they are run', () => {
  const reason = '"counts": its function is not called for intervals that pass while no driver runs';
  const [skip, run] = (['skip', 'run'] as const).map((missedBatches) => String(new Lives().build({ missedBatches }).explain()));
  expect(skip).toContain(reason);
  expect(run).not.toContain(reason);
});
