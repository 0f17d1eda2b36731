// Runs a small program over scripted batches in the simulated world and gives back what its stream holds in each.
import { toError } from '../../src/core/errors.ts';
import { milliseconds, StreamingContext, type DStream, type Rec, type StreamingContextOptions } from '../../src/index.ts';
import { settle } from '../../src/testing/index.ts';
import { World } from './world.ts';

/** The records of each batch of each input stream. */
export type Script<T> = readonly (readonly T[])[];

/** Runs `program` over queues that give one item per batch; resolves to the partitions of its stream in each batch. */
export async function runPartitions<T extends Rec, U>(
  scripts: readonly Script<T>[],
  program: (streams: readonly DStream<T>[], context: StreamingContext) => DStream<U>,
  options: Partial<StreamingContextOptions> = {},
): Promise<U[][][]> {
  const world = new World();
  const { clock } = world;
  const batches: U[][][] = [];
  const length = Math.max(...scripts.map((script) => script.length));
  const create = (): StreamingContext => {
    const context = new StreamingContext({ appName: 'batches', batchInterval: milliseconds(100), taskAttemptsMax: 1, ...options });
    const streams = scripts.map((script) => context.queueStream<T>(script.map((batch) => [...batch])));
    program(streams, context).foreachRDD(async (rdd) => {
      const parts: U[][] = [];
      await rdd.foreachPartition((rows) => void parts.push([...rows]));
      batches.push(parts);
    });
    return context;
  };
  const context = await StreamingContext.getOrCreate('/store', create, world.options());
  let failure: Error | undefined;
  context.awaitTermination().catch((error: unknown) => {
    failure = toError(error);
  });
  await world.drive(context.start());
  for (let turn = 0; turn < 20_000 && batches.length < length && failure === undefined; turn++) {
    await settle();
    clock.advance(clock.nextTimerMs ?? 10);
  }
  if (failure !== undefined) throw failure as Error;
  await world.drive(context.stop());
  return batches.slice(0, length);
}

/** As `runPartitions`, without partitions. */
export async function runBatches<T extends Rec, U>(...parameters: Parameters<typeof runPartitions<T, U>>): Promise<U[][]> {
  return (await runPartitions<T, U>(...parameters)).map((parts) => parts.flat());
}
