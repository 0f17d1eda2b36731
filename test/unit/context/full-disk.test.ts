// Goal: stops, starts and failures while the disk has no room end, with the right error, and leave nothing behind. Method: programs in the simulated world.
import { describe, expect, it } from 'vitest';
import { milliseconds, StreamingContext, type Receiver, type ReceiverContext, type Sink } from '../../../src/index.ts';
import type { FileHandle, FileSystem } from '../../../src/env/file-system.ts';
import { createSimSink, settle, SimProcess, SimTable } from '../../../src/testing/index.ts';
import { World } from '../../support/world.ts';

/** A receiver that a test stores into; it ends when `end` says so. */
class Hand implements Receiver<string> {
  readonly codec = 'lines';
  context: ReceiverContext<string> | undefined;
  /** How long it takes to end once it is asked to. */
  endMs = 0;
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  async run(context: ReceiverContext<string>): Promise<void> {
    this.context = context;
    await new Promise<void>((resolve) =>
      context.signal.addEventListener('abort', () => (this.endMs === 0 ? resolve() : void this.#world.clock.setTimer(this.endMs, resolve)), { once: true }),
    );
  }

  /** Stores a record at a position; resolves with what became of it. */
  store(record: string, from: number): Promise<string> {
    return (this.context?.store(record, { partition: 'p', from, until: from + 1 }) ?? Promise.reject(new Error('not running'))).then(
      () => 'taken',
      (error: { code?: string; message: string }) => error.code ?? error.message,
    );
  }
}

interface ProgramOptions {
  readonly intervalMs?: number;
  readonly sink?: Sink<string>;
}

async function open(world: World, hand: Hand, { intervalMs = 100, sink }: ProgramOptions = {}): Promise<StreamingContext> {
  const create = (): StreamingContext => {
    const context = new StreamingContext({
      appName: 'full',
      batchInterval: milliseconds(intervalMs),
      blockInterval: milliseconds(200),
      ballastBytes: 0,
      segmentBytesMax: 16_384,
    });
    context.receiverStream(hand, { uid: 'source' }).foreachRDD(() => undefined, { uid: 'seen' });
    if (sink !== undefined) context.queueStream<string>([], { uid: 'queue' }).saveTo(sink, { uid: 'sink' });
    return context;
  };
  const context = await StreamingContext.getOrCreate('/store', create, world.options());
  context.awaitTermination().catch(() => undefined);
  return context;
}

function fill(world: World, room = 0): void {
  world.disk.capacityBytes = world.disk.usedBytes + room;
}

function empty(world: World): void {
  world.disk.capacityBytes = Number.MAX_SAFE_INTEGER;
}

/** Resolves with how a promise ends, or `waits` if it has not ended when time has passed. */
async function outcomeOf(world: World, promise: Promise<unknown>, ms = 10_000): Promise<string> {
  let outcome = 'waits';
  promise.then(
    () => (outcome = 'ends'),
    (error: { code?: string; message: string }) => (outcome = error.code ?? error.message),
  );
  await world.pass(ms);
  return outcome;
}

describe('a graceful stop on a full disk', () => {
  it('lets nothing in behind what it refused, though there is room by then, and the next start goes on', async () => {
    const world = new World();
    const hand = new Hand(world);
    const context = await open(world, hand, { intervalMs: 100_000 });
    await world.drive(context.start());
    await world.pass(5);
    const first = hand.store('x', 0);
    await world.pass(250);
    expect(await first).toBe('taken');
    fill(world);
    const waiting = [1, 2, 3, 4, 5, 6, 7].map((from) => hand.store('y'.repeat(3000), from));
    await world.pass(1060);
    expect(context.logStatus?.isDiskFull).toBe(true);
    hand.endMs = 300;
    const late = hand.store('z', 8);
    const stopped = context.stop();
    empty(world);
    await world.drive(stopped);
    expect(new Set(await Promise.all([...waiting, late]))).toContain('STREAM_DISK_FULL');
    expect(await late).toBe('STREAM_DISK_FULL');
    world.die();
    const next = new Hand(world);
    const again = await open(world, next, { intervalMs: 100_000 });
    await world.drive(again.start());
    await world.drive(again.stop());
  });
  it('waits for room, and ends at once when it is hurried', async () => {
    const world = new World();
    const hand = new Hand(world);
    const context = await open(world, hand);
    await world.drive(context.start());
    await world.pass(5);
    fill(world);
    for (let from = 0; from < 6; from++) void hand.store('y'.repeat(5000), from);
    await world.pass(20_000);
    expect(await outcomeOf(world, context.stop())).toBe('waits');
    expect(await outcomeOf(world, context.stop({ graceful: false }))).not.toBe('waits');
  });
});

describe('a start on a full disk', () => {
  it('ends, whatever room there is, and so does a stop during it', async () => {
    const outcomes = new Set<string>();
    for (let room = 0; room < 12_000; room += 500) {
      const world = new World();
      const before = await open(world, new Hand(world));
      await world.drive(before.start());
      await world.pass(500);
      world.die();
      const context = await open(world, new Hand(world));
      fill(world, room);
      const started = context.start();
      started.catch(() => undefined);
      await world.pass(3000);
      expect({ room, stop: await outcomeOf(world, context.stop({ graceful: false })) }).not.toEqual({ room, stop: 'waits' });
      outcomes.add(await outcomeOf(world, started));
      world.die();
    }
    expect([...outcomes].sort()).toEqual(['STREAM_DIRECTORY', 'STREAM_DISK_FULL', 'ends']);
  });
});

describe('a start that does not come to its end', () => {
  /** Counts the files that a program has open. */
  function watchFiles(world: World) {
    const open = new Map<FileHandle, string>();
    const options = world.options();
    const { env } = options as { env: { readonly files: FileSystem } };
    const files: FileSystem = {
      ...env.files,
      open: async (path, mode) => {
        const real = await env.files.open(path, mode);
        const handle: FileHandle = {
          ...real,
          close: () => {
            open.delete(handle);
            return real.close();
          },
        };
        open.set(handle, path);
        return handle;
      },
    };
    world.options = () => ({ ...options, env: { ...options.env, files } as never });
    return open;
  }
  it('closes every file and ends every timer, wherever it was refused', async () => {
    const reasons = new Set<string>();
    for (let room = 0; room < 12_000; room += room > 3500 && room < 6000 ? 50 : 500) {
      const world = new World();
      const table = new SimTable<string>();
      const before = await open(world, new Hand(world), { sink: createSimSink(table, world.process) });
      await world.drive(before.start());
      await world.drive(before.stop());
      world.die();
      const files = watchFiles(world);
      const refusing: Sink<string> = { ...createSimSink(table, world.process), open: () => Promise.reject(new Error('the sink refuses')) };
      const context = await open(world, new Hand(world), { sink: refusing });
      fill(world, room);
      const reason = await outcomeOf(world, context.start(), 3000);
      expect({ room, isRefused: reason !== 'ends' && reason !== 'waits' }).toEqual({ room, isRefused: true });
      reasons.add(reason);
      const steps = world.process.steps;
      await world.pass(10_000);
      expect({ room, open: [...files.values()], steps: world.process.steps }).toEqual({ room, open: [], steps });
    }
    expect([...reasons].sort()).toEqual(['STREAM_DIRECTORY', 'STREAM_DISK_FULL', 'the sink refuses']);
  });
  it('says what failed in the background meanwhile, and starts no receiver', async () => {
    const life = async (failAt?: number) => {
      const world = new World();
      world.process = new SimProcess(failAt === undefined ? {} : { fail: { at: failAt, code: 'EIO' } });
      const hand = new Hand(world);
      const sink = createSimSink(new SimTable<string>(), world.process);
      const opening: (() => void)[] = [];
      const slow: Sink<string> = {
        ...sink,
        open: async (session) => {
          await new Promise<void>((resolve) => opening.push(resolve));
          return sink.open(session);
        },
      };
      const context = await open(world, hand, { sink: slow });
      const started = context.start();
      started.catch(() => undefined);
      for (let turn = 0; turn < 50 && opening.length === 0; turn++) await settle();
      const { steps } = world.process;
      // The claim of the sink takes so long that the idle mark is written.
      await world.pass(1500);
      const names = world.process.names.slice(steps);
      for (const open of opening) open();
      return { hand, steps, names, outcome: await outcomeOf(world, started, 1500), state: context.state };
    };
    const sound = await life();
    expect(sound.outcome).toBe('ends');
    const failed = await life(sound.steps + 1 + sound.names.findIndex((name) => name.startsWith('file.write')));
    expect(failed).toMatchObject({ outcome: 'STREAM_WAL_POISONED', state: 'failed' });
    expect(failed.hand.context).toBeUndefined();
  });
});

describe('getOrCreate on a full disk', () => {
  it('leaves a file "ballast" alone in a directory that is no store of its own', async () => {
    const world = new World();
    world.disk.makeDirectory('/store');
    for (const [name, text] of [
      ['ballast', 'of a ship'],
      ['identity', 'of somebody'],
    ] as const) {
      world.disk.create(`/store/${name}`);
      world.disk.open(`/store/${name}`).write(Buffer.from(text), 0);
    }
    fill(world, 1000);
    await expect(world.drive(open(world, new Hand(world)))).rejects.toMatchObject({ code: 'STREAM_IDENTITY' });
    expect(world.disk.stat('/store/ballast')?.size).toBe(9);
  });
});
