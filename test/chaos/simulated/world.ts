// A small fixed run in a simulated world: a source, a program with state and two sinks, and lives of that program that can be ended at any step.
import { StreamingContext } from '../../../src/index.ts';
import {
  createSimSink,
  ManualClock,
  ScriptedSource,
  SeededRandom,
  SimCheckpointImage,
  SimDisk,
  type SimProcess,
  SimTable,
  type SimProcessOptions,
} from '../../../src/testing/index.ts';
import { LIFE_SETTINGS, liveIn, type Life, type LifeProgram, type LifeWorld } from './life.ts';

const WORDS = 'to be or not to be that is the question whether tis nobler in the mind to suffer the slings'.split(' ');

/** The records of the run: a word and its position, so that each record is told from every other. */
export const RECORDS: readonly (readonly [string, number])[] = WORDS.map((word, index) => [word, index]);

/** Everything that survives a process. */
export interface World extends LifeWorld {
  readonly copies: SimTable<unknown>;
  readonly counts: SimTable<unknown>;
  readonly source: ScriptedSource<readonly [string, number]>;
  /** Batches that foreachRDD saw, in order. */
  readonly seen: number[];
}

/** Makes a world in which nothing has happened. */
export function createWorld(seed: number): World {
  return {
    disk: new SimDisk(),
    image: new SimCheckpointImage(),
    copies: new SimTable(),
    counts: new SimTable(),
    source: new ScriptedSource({ records: RECORDS, window: 2 }),
    clock: new ManualClock(1_700_000_000_000),
    random: new SeededRandom(seed),
    seen: [],
  };
}

function createProgram(world: World, process: SimProcess): StreamingContext {
  const context = new StreamingContext({
    appName: 'simulated',
    ...LIFE_SETTINGS,
  });
  const records = context.receiverStream(world.source.receiver(process), { uid: 'source' });
  records.saveTo(createSimSink(world.copies, process), { uid: 'copies' });
  records
    .map(([word]) => [word, 1])
    .updateStateByKey<number>((values, sum = 0) => values.reduce((a, b) => a + b, sum), { uid: 'state', numPartitions: 2 })
    .saveTo(createSimSink(world.counts, process), { uid: 'counts' });
  records.foreachRDD((_rdd, { time }) => void world.seen.push(time), { uid: 'seen' });
  return context;
}

/** Runs the program until its source is done and it has stopped, or it dies, or it fails. */
export function live(world: World, options: SimProcessOptions = {}, more: Pick<LifeProgram, 'storeDelayMs'> = {}): Promise<Life> {
  return liveIn(world, { create: (process) => createProgram(world, process), isDone: () => world.source.isDone, ...more }, options);
}

/** What is wrong in the sinks: records lost or doubled, counts that are not the true ones. Shares no code with the engine. */
export function findings(world: World): readonly string[] {
  const wrong: string[] = [];
  const seen = new Map<number, number>();
  for (const commit of world.copies.commits)
    for (const row of commit.rows) seen.set((row as [string, number])[1], (seen.get((row as [string, number])[1]) ?? 0) + 1);
  for (const [word, position] of RECORDS) {
    const times = seen.get(position) ?? 0;
    if (times !== 1) wrong.push(`record ${position} (${word}) is in the copies ${times} times`);
  }
  const truth = new Map<string, number>();
  for (const word of WORDS) truth.set(word, (truth.get(word) ?? 0) + 1);
  const counts = new Map<string, number>();
  for (const commit of world.counts.commits) {
    for (const row of commit.rows) {
      const [word, count] = row as [string, number];
      if (count < (counts.get(word) ?? 0)) wrong.push(`the count of "${word}" went back from ${String(counts.get(word))} to ${count}`);
      counts.set(word, count);
    }
  }
  for (const [word, count] of truth) if (counts.get(word) !== count) wrong.push(`the count of "${word}" is ${String(counts.get(word))}, not ${count}`);
  const keys = [...world.copies.commits, ...world.counts.commits].map(({ key }) => `${key.sink}/${key.batchTime}/${key.partitionId}`);
  if (new Set(keys).size !== keys.length) wrong.push('a partition of a batch was committed twice');
  return wrong;
}
