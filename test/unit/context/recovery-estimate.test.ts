// Goal: a context says what its next start would take, and each start says what it took. Method: programs in the simulated world, where a user function makes the clock go on.
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { milliseconds, StreamingContext, type DiagnosticEvents, type QueueItem } from '../../../src/index.ts';
import { createSimSink, SimTable } from '../../../src/testing/index.ts';
import { World } from '../../support/world.ts';

const completed: DiagnosticEvents['recovery-completed'][] = [];
const estimated: DiagnosticEvents['recovery-estimated'][] = [];
const onCompleted = (message: unknown): void => void completed.push(message as DiagnosticEvents['recovery-completed']);
const onEstimated = (message: unknown): void => void estimated.push(message as DiagnosticEvents['recovery-estimated']);

beforeEach(() => {
  completed.length = 0;
  estimated.length = 0;
  subscribe('millrace:recovery-completed', onCompleted);
  subscribe('millrace:recovery-estimated', onEstimated);
});
afterEach(() => {
  unsubscribe('millrace:recovery-completed', onCompleted);
  unsubscribe('millrace:recovery-estimated', onEstimated);
});

/** A program whose function takes 7 ms for each record. */
class Slow extends World {
  readonly table = new SimTable<readonly [string, number]>();
  readonly queue: QueueItem<string>[] = [];
  context!: StreamingContext;

  async open(checkpointMs = 100_000): Promise<void> {
    const create = (): StreamingContext => {
      const context = new StreamingContext({ appName: 'slow', batchInterval: milliseconds(100), checkpointInterval: milliseconds(checkpointMs) });
      context
        .queueStream(this.queue, { uid: 'queue' })
        .map((word) => {
          this.clock.advance(7);
          return [word, 1];
        })
        .updateStateByKey<number>((values, sum = 0) => values.reduce((a, b) => a + b, sum), { uid: 'counts' })
        .saveTo(createSimSink(this.table, this.process), { uid: 'totals' });
      return context;
    };
    this.context = await StreamingContext.getOrCreate('/store', create, this.options());
  }

  async start(checkpointMs?: number): Promise<void> {
    await this.open(checkpointMs);
    await this.drive(this.context.start());
  }

  /** Runs batches with so many records each. */
  async run(...counts: readonly number[]): Promise<void> {
    for (const count of counts) {
      const before = estimated.length;
      this.queue.push(Array.from({ length: count }, () => 'word'));
      await this.until(() => estimated.length > before && this.queue.length === 0);
    }
  }
}

describe('context.recoveryEstimate', () => {
  it('is there while the context runs', async () => {
    const world = new Slow();
    await world.open();
    expect(world.context.recoveryEstimate).toBeUndefined();
    await world.drive(world.context.start());
    expect(world.context.recoveryEstimate).toMatchObject({ batches: 0 });
    await world.drive(world.context.stop());
    expect(world.context.recoveryEstimate).toBeUndefined();
  });
  it('counts the batches that no checkpoint covers with the time they took, and the next start takes it', async () => {
    const world = new Slow();
    await world.start();
    await world.run(3, 3, 3);
    const said = world.context.recoveryEstimate;
    expect(said).toMatchObject({ ms: 63, batches: estimated.at(-1)?.batches });
    expect(estimated.at(-1)).toMatchObject({ app: 'slow', ms: 63 });
    world.die();
    await world.start();
    expect(completed.at(-1)).toMatchObject({ app: 'slow', epoch: 2, batchesRerun: said?.batches, durationMs: 63 });
  });
  it('counts a batch that ran again with the time it took again', async () => {
    const world = new Slow();
    await world.start();
    await world.run(3, 3);
    world.die();
    await world.start();
    expect(world.context.recoveryEstimate).toMatchObject({ ms: 42 });
    await world.run(1);
    expect(world.context.recoveryEstimate).toMatchObject({ ms: 49 });
  });
  it('counts no batch that a checkpoint covers', async () => {
    const world = new Slow();
    await world.start(300);
    await world.run(3, 3, 3, 3);
    await world.pass(400);
    expect(world.context.recoveryEstimate?.ms).toBeLessThanOrEqual(7 * 3);
    // It says so at once: not only the next batch does.
    expect(estimated.some(({ batches }) => batches === 0)).toBe(true);
  });
  it('is undefined where nothing outlives the process', async () => {
    const context = new StreamingContext({ appName: 'volatile', batchInterval: milliseconds(100) });
    context.queueStream<string>([]).foreachRDD(() => undefined);
    await context.start();
    expect(context.recoveryEstimate).toBeUndefined();
    await context.stop({ graceful: false });
  });
});
