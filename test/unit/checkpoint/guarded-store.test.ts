// Goal: another process tries the store after a death while it was being opened, and only then. Method: a simulated store that says how the other process died; a death at every step.
import { describe, expect, it } from 'vitest';
import { guardStore } from '../../../src/checkpoint/guarded-store.ts';
import { StreamingContext, milliseconds, type CheckpointStore } from '../../../src/index.ts';
import { createSimCheckpointStore, createSimEnv, ManualClock, SeededRandom, SimCheckpointImage, SimDisk, SimProcess } from '../../../src/testing/index.ts';
import { World } from '../../support/world.ts';

/** A store directory with a store that exists, and processes on it one after another. */
class Place {
  readonly disk = new SimDisk();
  readonly image = new SimCheckpointImage();
  process = new SimProcess();
  probes = 0;
  death: string | undefined;

  constructor() {
    this.image.isCreated = true;
    this.disk.makeDirectory('/store');
    this.disk.syncDirectory('/');
  }

  /** The store of a new process; `refuses` has LevelDB report an error. */
  store({ refuses = false } = {}): ReturnType<typeof guardStore> {
    this.process.kill();
    this.process = new SimProcess();
    const { disk, process } = this;
    const { files } = createSimEnv({ disk, process, clock: new ManualClock(0), random: new SeededRandom(1) });
    const inner: CheckpointStore = {
      ...createSimCheckpointStore(this.image, process),
      ...(refuses ? { open: () => Promise.reject(new Error('refused')) } : {}),
      probe: () => {
        this.probes += 1;
        return Promise.resolve(this.death);
      },
    };
    return guardStore(inner, { files, directory: '/store' });
  }

  get isMarked(): boolean {
    return this.disk.stat('/store/opening') !== undefined;
  }
}

describe('guardStore()', () => {
  it('marks the store while it is opened and read, and asks nobody', async () => {
    const place = new Place();
    const store = place.store();
    await store.open('existing');
    expect(place.isMarked).toBe(true);
    await store.settle();
    expect([place.isMarked, place.probes]).toEqual([false, 0]);
    await store.close();
  });
  it('makes the mark durable before the store is opened', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const place = new Place();
      await expect(place.store({ refuses: true }).open('existing')).rejects.toThrow('refused');
      place.process.kill();
      place.disk.cutPower(new SeededRandom(seed));
      expect(place.isMarked).toBe(true);
    }
  });
  it('asks another process after a death, and goes on when that one lives', async () => {
    const place = new Place();
    await place.store().open('existing');
    const store = place.store();
    await store.open('existing');
    expect(place.probes).toBe(1);
    await store.settle();
    await store.close();
    await place.store().open('existing');
    expect(place.probes).toBe(1);
  });
  it('refuses when the other process dies too, as often as it is asked, and not once that is over', async () => {
    const place = new Place();
    await place.store().open('existing');
    place.death = 'SIGABRT, an assertion';
    for (let start = 0; start < 3; start++) {
      const store = place.store();
      const refused = await store.open('existing').catch((error: unknown) => error);
      expect(refused).toMatchObject({ code: 'STREAM_CHECKPOINT_CORRUPT', exitCode: 78 });
      expect(String(refused)).toContain('so did a process that tried it now: SIGABRT, an assertion');
      await store.close();
      expect(place.isMarked).toBe(true);
    }
    place.death = undefined;
    const store = place.store();
    await store.open('existing');
    await store.close();
    expect(place.isMarked).toBe(false);
  });
  it('takes the mark away when the store refuses by itself: nobody died', async () => {
    const place = new Place();
    const store = place.store({ refuses: true });
    await expect(store.open('existing')).rejects.toThrow('refused');
    await store.close();
    expect(place.isMarked).toBe(false);
  });
  it('does nothing for a store that is made, or one that cannot take its process with it', async () => {
    const place = new Place();
    const store = place.store();
    await store.open('create');
    expect(place.isMarked).toBe(false);
    const { disk, image } = place;
    place.process.kill();
    const process = new SimProcess();
    const { files } = createSimEnv({ disk, process, clock: new ManualClock(0), random: new SeededRandom(1) });
    await guardStore(createSimCheckpointStore(image, process), { files, directory: '/store' }).open('existing');
    expect(place.isMarked).toBe(false);
  });
});

/** Programs whose store can be probed. */
class Starts extends World {
  probes = 0;

  async start(): Promise<StreamingContext> {
    const { image, process } = this;
    const checkpointStore = (): CheckpointStore => ({
      ...createSimCheckpointStore(image, process),
      probe: () => process.run('store.probe', () => undefined).finally(() => (this.probes += 1)),
    });
    const create = (): StreamingContext => {
      const context = new StreamingContext({ appName: 'starts', batchInterval: milliseconds(100), ballastBytes: 0 });
      context.queueStream([['a']]).foreachRDD(() => undefined, { uid: 'out' });
      return context;
    };
    const context = await StreamingContext.getOrCreate('/store', create, { ...this.options(), checkpointStore });
    context.awaitTermination().catch(() => undefined);
    await context.start();
    return context;
  }

  get isMarked(): boolean {
    return this.disk.stat('/store/opening') !== undefined;
  }
}

describe('a start', () => {
  it('that dies at any step leaves a next one that asks if and only if the mark stands, and goes on', async () => {
    const counted = new Starts();
    await counted.drive(counted.start());
    counted.die();
    await counted.drive(counted.start());
    const steps = counted.process.steps;
    let asked = 0;
    for (let killAt = 1; killAt <= steps; killAt++) {
      const starts = new Starts();
      await starts.drive(starts.start());
      starts.die();
      starts.process = new SimProcess({ killAt });
      const { died } = starts.process;
      await starts.drive(Promise.race([died, starts.start().catch(() => undefined)]));
      starts.die();
      const { isMarked } = starts;
      const context = await starts.drive(starts.start());
      expect({ killAt, probes: starts.probes, isMarked: starts.isMarked }).toEqual({ killAt, probes: isMarked ? 1 : 0, isMarked: false });
      asked += starts.probes;
      await starts.drive(context.stop());
    }
    expect(asked).toBeGreaterThan(5);
    expect(asked).toBeLessThan(steps);
  });
  it('that does not come to a start takes its mark away', async () => {
    const starts = new Starts();
    await starts.drive(starts.start());
    starts.die();
    const context = await StreamingContext.getOrCreate(
      '/store',
      () => {
        const made = new StreamingContext({ appName: 'starts', batchInterval: milliseconds(100), ballastBytes: 0 });
        made.queueStream([['a']]).foreachRDD(() => undefined, { uid: 'out' });
        return made;
      },
      { ...starts.options(), checkpointStore: () => ({ ...createSimCheckpointStore(starts.image, starts.process), probe: () => Promise.resolve(undefined) }) },
    );
    expect(starts.isMarked).toBe(true);
    await starts.drive(context.stop());
    expect(starts.isMarked).toBe(false);
  });
});
