// Goal: what the options of the log do to a program: a log that is limited, records that are not logged, a disk that is full. Method: programs in the simulated world.
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { describe, expect, it } from 'vitest';
import { milliseconds, StreamingContext, type Receiver, type StreamingContextOptions } from '../../../src/index.ts';
import { createSimSink, SimProcess, SimTable } from '../../../src/testing/index.ts';
import { World } from '../../support/world.ts';

type Pair = readonly [string, number];

const KIB = 1024;
const SEGMENT_BYTES = 16 * KIB;

/** A receiver that stores as long as there is room, a record of a kibibyte at a time, up to a number of them. */
function greedyReceiver(records: number): { readonly receiver: Receiver<string>; readonly stored: () => number } {
  let stored = 0;
  return {
    stored: () => stored,
    receiver: {
      codec: 'lines',
      async run(context) {
        while (stored < records && !context.signal.aborted) {
          await context.ready();
          if (context.signal.aborted) break;
          context.store(`${String(stored).padStart(8, '0')}${'x'.repeat(KIB)}`).catch(() => undefined);
          stored += 1;
        }
        if (!context.signal.aborted) await new Promise<void>((resolve) => context.signal.addEventListener('abort', () => resolve(), { once: true }));
      },
    },
  };
}

/** A receiver that stores what a test gives it. */
class HandReceiver implements Receiver<string> {
  readonly codec = 'lines';
  store: (record: string) => Promise<void> = () => Promise.reject(new Error('not running'));

  async run(context: Parameters<Receiver<string>['run']>[0]): Promise<void> {
    this.store = (record) => context.store(record);
    await new Promise<void>((resolve) => context.signal.addEventListener('abort', () => resolve(), { once: true }));
  }
}

class Bench extends World {
  readonly table = new SimTable<Pair>();
  readonly others = new SimTable<Pair>();
  hand = new HandReceiver();
  other = new HandReceiver();

  context(options: Partial<StreamingContextOptions> = {}): StreamingContext {
    return new StreamingContext({
      appName: 'bench',
      batchInterval: milliseconds(100),
      blockInterval: milliseconds(20),
      checkpointInterval: milliseconds(100_000),
      segmentBytesMax: SEGMENT_BYTES,
      ballastBytes: 0,
      ...options,
    });
  }

  /** Counts two streams, one of which is not logged, into a table each. */
  counting(): StreamingContext {
    const context = this.context();
    const count = (receiver: Receiver<string>, isLogged: boolean, table: SimTable<Pair>): void => {
      const uid = isLogged ? 'logged' : 'unlogged';
      context
        .receiverStream(receiver, { uid, writeAheadLog: isLogged })
        .map((word) => [word, 1])
        .updateStateByKey<number>((values, before = 0) => values.reduce((a, b) => a + b, before), { uid: `${uid}-counts` })
        .saveTo(createSimSink(table, this.process), { uid: `${uid}-totals` });
    };
    count(this.hand, false, this.table);
    count(this.other, true, this.others);
    return context;
  }

  async open(create: () => StreamingContext): Promise<StreamingContext> {
    this.hand = new HandReceiver();
    this.other = new HandReceiver();
    const context = await StreamingContext.getOrCreate('/store', create, this.options());
    context.awaitTermination().catch(() => undefined);
    await this.drive(context.start());
    await this.pass(10);
    return context;
  }

  logText(): string {
    return this.disk
      .list('/store/journal')
      .map((name) => this.disk.readVolatile(`/store/journal/${name}`).toString('latin1'))
      .join('');
  }
}

const counts = (table: SimTable<Pair>): Record<string, number> => Object.fromEntries(table.commits.flatMap(({ rows }) => rows));

/** Kills the program behind the first commit of a batch into a table, before its completion is durable. */
async function dieAfterCommit(bench: Bench, table: SimTable<Pair>, process: SimProcess): Promise<void> {
  const before = table.commits.length;
  for (let turn = 0; turn < 1000 && table.commits.length === before; turn++) {
    await bench.pass(1);
    if (process.names.at(-1) === 'sink.committed') break;
  }
}

describe('a stream that is not logged', () => {
  it('is counted all the same, and its records are not in the log', async () => {
    const bench = new Bench();
    const context = await bench.open(() => bench.counting());
    const stored = [bench.hand.store('secret'), bench.hand.store('secret'), bench.other.store('open')];
    await bench.pass(300);
    await Promise.all(stored);
    expect([counts(bench.table), counts(bench.others)]).toEqual([{ secret: 2 }, { open: 1 }]);
    expect(bench.logText()).toContain('open\n');
    expect(bench.logText()).not.toContain('secret\n');
    await bench.drive(context.stop());
  });
  it('loses by a crash what waited, and nothing of the streams that are logged', async () => {
    const bench = new Bench();
    await bench.open(() => bench.counting());
    const stored = [bench.hand.store('a'), bench.other.store('b')];
    await bench.pass(25);
    await Promise.all(stored);
    expect(bench.table.commits).toHaveLength(0);
    bench.die();
    const context = await bench.open(() => bench.counting());
    await bench.pass(300);
    const again = bench.hand.store('a');
    await bench.pass(300);
    await again;
    expect([counts(bench.table), counts(bench.others)]).toEqual([{ a: 1 }, { b: 1 }]);
    await bench.drive(context.stop());
  });
  it('keeps what a sink holds of a batch that a crash interrupted, though it cannot be computed again', async () => {
    const bench = new Bench();
    await bench.open(() => bench.counting());
    const stored = [bench.hand.store('a'), bench.other.store('b')];
    await bench.pass(25);
    await Promise.all(stored);
    await dieAfterCommit(bench, bench.table, bench.process);
    expect(counts(bench.table)).toEqual({ a: 1 });
    bench.die();
    const context = await bench.open(() => bench.counting());
    await bench.pass(500);
    expect([counts(bench.table), counts(bench.others)]).toEqual([{ a: 1 }, { b: 1 }]);
    expect(bench.table.commits.filter(({ rows }) => rows.length > 0)).toHaveLength(1);
    await bench.drive(context.stop());
    expect(context.state).toBe('stopped');
  });
  it('takes nothing from the comparison of outputs that are not made of it', async () => {
    const bench = new Bench();
    let order: readonly string[] = ['x', 'y'];
    const create = (): StreamingContext => {
      const context = bench.context();
      context
        .receiverStream(bench.hand, { uid: 'unlogged', writeAheadLog: false })
        .map((word): Pair => [word, 1])
        .saveTo(createSimSink(bench.table, bench.process), { uid: 'lossy' });
      context
        .receiverStream(bench.other, { uid: 'logged' })
        .flatMap((word) => order.map((each): Pair => [`${word}${each}`, 1]))
        .repartition(2, { uid: 'two' })
        .saveTo(createSimSink(bench.others, bench.process), { uid: 'whole' });
      return context;
    };
    await bench.open(create);
    const stored = [bench.hand.store('a'), bench.other.store('b')];
    await bench.pass(25);
    await Promise.all(stored);
    // Behind the first of its two partitions.
    const kill = (message: unknown): void => {
      if ((message as { readonly sink: string }).sink === 'whole') bench.process.kill();
    };
    subscribe('millrace:partition-committed', kill);
    await bench.pass(300);
    unsubscribe('millrace:partition-committed', kill);
    bench.die();
    const before = bench.others.commits.length;
    expect(before).toBe(1);
    order = ['y', 'x'];
    await expect(bench.open(create)).rejects.toMatchObject({ code: 'STREAM_BATCH_DIFFERS', message: expect.stringContaining('"whole"') as string });
    expect(bench.others.commits).toHaveLength(before);
    bench.die();
    order = ['x', 'y'];
    const context = await bench.open(create);
    await bench.pass(300);
    expect(bench.others.commits.flatMap(({ rows }) => rows.map(([key]) => key)).toSorted()).toEqual(['bx', 'by']);
    await bench.drive(context.stop());
  });
  it('weakens the others of an output that is made of both', () => {
    const context = new Bench().context();
    const logged = context.fromAsyncIterable(['x'], { uid: 'logged', position: () => 0 });
    const unlogged = context.fromAsyncIterable(['y'], { uid: 'unlogged', position: () => 0, writeAheadLog: false });
    logged.union(unlogged).saveTo(createSimSink(new SimTable<string>(), new SimProcess()), { uid: 'both' });
    logged.saveTo(createSimSink(new SimTable<string>(), new SimProcess()), { uid: 'alone' });
    const { paths } = context.explain();
    expect(paths.map(({ source, output, guarantee }) => `${source} ${output} ${guarantee}`)).toEqual([
      'logged both best-effort',
      'unlogged both best-effort',
      'logged alone exactly-once',
    ]);
    expect(paths[0]?.because[0]).toBe(
      '"logged": it meets "unlogged", whose records are not logged: without them a batch that runs again may put out other rows',
    );
    expect(paths[0]?.remedies).toEqual(['"unlogged": leave writeAheadLog at true']);
  });
  it('loses from state what came since the last checkpoint, and starts all the same', async () => {
    const bench = new Bench();
    await bench.open(() => bench.counting());
    const stored = [bench.hand.store('a'), bench.other.store('b')];
    await bench.pass(400);
    await Promise.all(stored);
    bench.die();
    const context = await bench.open(() => bench.counting());
    const again = [bench.hand.store('a'), bench.other.store('b')];
    await bench.pass(400);
    await Promise.all(again);
    expect([counts(bench.table), counts(bench.others)]).toEqual([{ a: 1 }, { b: 2 }]);
    await bench.drive(context.stop());
  });
  it('is what explain() says', () => {
    const bench = new Bench();
    const [unlogged, logged] = bench.counting().explain().paths;
    expect(unlogged).toMatchObject({ source: 'unlogged', guarantee: 'best-effort' });
    expect(unlogged?.because[0]).toContain('a crash loses those that were in no completed batch, and state loses all since the last checkpoint');
    expect(logged?.because[0]).not.toContain('writeAheadLog');
  });
  it('is every stream of a context that says so, but for those that say otherwise', () => {
    const context = new Bench().context({ writeAheadLog: false });
    context.receiverStream(new HandReceiver(), { uid: 'a' }).print();
    context.receiverStream(new HandReceiver(), { uid: 'b', writeAheadLog: true }).print();
    context.queueStream<string>([], { uid: 'c' }).print();
    context.fromAsyncIterable(['x'], { uid: 'd', writeAheadLog: true }).print();
    context.socketTextStream('localhost', 1, { uid: 'e' }).print();
    const unlogged = context.explain().paths.filter(({ because }) => because[0]?.includes('writeAheadLog'));
    expect(unlogged.map(({ source }) => source)).toEqual(['a', 'c', 'e']);
  });
});

describe('logBytesMax', () => {
  async function storedAfter(
    ms: number,
    options: Partial<StreamingContextOptions>,
  ): Promise<{ readonly stored: number; readonly context: StreamingContext; readonly bench: Bench }> {
    const bench = new Bench();
    const { receiver, stored } = greedyReceiver(400);
    const context = await bench.open(() => {
      const made = bench.context({ receiverBufferBytesMax: 4 * KIB, blockBytesMax: 2 * KIB, ...options });
      made.receiverStream(receiver).foreachRDD(() => undefined);
      return made;
    });
    await bench.pass(ms);
    return { stored: stored(), context, bench };
  }

  it('holds receivers back in ready() while no checkpoint lets the log be cut', async () => {
    const limited = await storedAfter(3000, { logBytesMax: 4 * SEGMENT_BYTES });
    expect(limited.context.logStatus?.bytes).toBeGreaterThan(0);
    const free = await storedAfter(3000, {});
    expect(free.stored).toBeGreaterThan(limited.stored);
    await limited.bench.drive(limited.context.stop());
    await free.bench.drive(free.context.stop());
  });
  it('lets them go on when the log is cut', async () => {
    const stuck = await storedAfter(6000, { logBytesMax: 4 * SEGMENT_BYTES });
    const cut = await storedAfter(6000, { logBytesMax: 4 * SEGMENT_BYTES, checkpointInterval: milliseconds(200) });
    expect(cut.stored).toBeGreaterThan(stuck.stored);
    expect(cut.context.logStatus?.bytes ?? 0).toBeLessThan(6 * SEGMENT_BYTES);
    await stuck.bench.drive(stuck.context.stop());
    await cut.bench.drive(cut.context.stop());
  });
  it('must be four segments at least', () => {
    expect(() => new Bench().context({ logBytesMax: 4 * SEGMENT_BYTES - 1 })).toThrow(`${4 * SEGMENT_BYTES}`);
  });
});

describe('logStatus', () => {
  it('says how large the log is, how far it is durable, and how long its syncs take', async () => {
    const bench = new Bench();
    const unopened = bench.context();
    expect(unopened.logStatus).toBeUndefined();
    const context = await bench.open(() => bench.counting());
    const status = context.logStatus;
    expect(status).toMatchObject({ isDiskFull: false, syncMs: { max: 0.001 } });
    expect(status?.durableLsn).toBeGreaterThan(0);
    expect(status?.syncMs.count).toBeGreaterThan(0);
    expect(status?.bytes).toBe(SEGMENT_BYTES);
    await bench.drive(context.stop());
  });
});

describe('a program whose disk is full', () => {
  it('takes nothing in, and goes on without a restart when there is room', async () => {
    const bench = new Bench();
    const context = await bench.open(() => bench.counting());
    bench.disk.capacityBytes = bench.disk.usedBytes;
    const words = Array.from({ length: 40 }, (_unused, index) => `${index}`.padStart(1000, '0'));
    const stored = Promise.all(words.map((word) => bench.other.store(word)));
    await bench.pass(3000);
    expect(context.logStatus?.isDiskFull).toBe(true);
    expect(context.state).toBe('running');
    bench.disk.capacityBytes = Number.MAX_SAFE_INTEGER;
    await bench.pass(3000);
    await stored;
    expect(Object.keys(counts(bench.others))).toHaveLength(words.length);
    expect(context.logStatus?.isDiskFull).toBe(false);
    await bench.drive(context.stop());
  });
  it('stops gracefully while it waits: what was not taken is refused, and its source was told nothing', async () => {
    const bench = new Bench();
    const context = await bench.open(() => bench.counting());
    bench.disk.capacityBytes = bench.disk.usedBytes;
    const stored = Promise.allSettled(Array.from({ length: 40 }, (_unused, index) => bench.other.store(`${index}`.padStart(1000, '0'))));
    await bench.pass(3000);
    const stopped = context.stop();
    bench.disk.capacityBytes += 200 * KIB;
    await bench.drive(stopped);
    const refused = (await stored).filter(({ status }) => status === 'rejected');
    expect(refused.length).toBeGreaterThan(0);
    const kept = Object.keys(counts(bench.others)).length;
    expect(kept + refused.length).toBe(40);
  });
});
