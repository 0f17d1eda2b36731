// Goal: partition counts may change between runs: state is kept by key slot, and a batch that runs again has the counts of its plan. Method: the simulated world; each life has another count, and
// dies between two commits of a batch.
import { describe, expect, it } from 'vitest';
import { milliseconds, StreamingContext, type Sink } from '../../../src/index.ts';
import { createSimSink, ScriptedSource, SeededRandom, SimTable } from '../../../src/testing/index.ts';
import { World } from '../../support/world.ts';

type Pair = readonly [string, number];
const WORDS = Array.from({ length: 240 }, (_, index) => `w${(index * 7) % 40}`);

class Place extends World {
  readonly table = new SimTable<Pair>();
  readonly source = new ScriptedSource<string>({ records: WORDS, window: 4 });

  /** A sink whose process dies behind a number of commits. */
  sink(commits: number): Sink<Pair> {
    const { process } = this;
    const sink = createSimSink<Pair>(this.table, process);
    let left = commits;
    return {
      ...sink,
      async commit(key, rows, record) {
        const result = await sink.commit(key, rows, record);
        left -= 1;
        if (left === 0) process.kill();
        return result;
      },
    };
  }

  async start(partitions: number, commits = Infinity): Promise<StreamingContext> {
    const create = (): StreamingContext => {
      const context = new StreamingContext({
        appName: 'partitions',
        defaultParallelism: partitions,
        batchInterval: milliseconds(100),
        blockInterval: milliseconds(20),
        checkpointInterval: milliseconds(400),
        taskAttemptsMax: 1,
      });
      context
        .receiverStream(this.source.receiver(this.process), { uid: 'words' })
        .map((word) => [word, 1])
        .updateStateByKey<number>((values, sum = 0) => values.length + sum, { uid: 'counts' })
        .mapWithState<number, Pair>(
          (word, count, state) => {
            state.update(count ?? 0);
            return [word, count ?? 0];
          },
          { uid: 'last' },
        )
        .saveTo(this.sink(commits), { uid: 'table' });
      return context;
    };
    const context = await StreamingContext.getOrCreate('/store', create, this.options());
    context.awaitTermination().catch(() => undefined);
    return context;
  }
}

function counted(words: readonly string[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const word of words) counts[word] = (counts[word] ?? 0) + 1;
  return counts;
}

describe('partition counts', () => {
  it.each([
    ['1, 16, 3', [1, 16, 3, 1, 5]],
    ['16, 1, 16', [16, 1, 16, 2]],
  ])('change from run to run: %s, each killed inside a batch', async (_name, lives) => {
    const place = new Place();
    const random = new SeededRandom(7);
    let deaths = 0;
    for (const partitions of [...lives, ...lives]) {
      const context = await place.start(partitions, 2 + random.integer(3 * partitions));
      context.start().catch(() => undefined);
      await place.until(() => !place.process.isAlive || place.source.isDone);
      if (!place.process.isAlive) deaths += 1;
      place.die();
    }
    const context = await place.start(3);
    await place.drive(context.start());
    await place.until(() => place.source.isDone);
    await place.drive(context.stop());
    expect(deaths).toBeGreaterThan(5);
    expect(Object.fromEntries(place.table.commits.flatMap(({ rows }) => rows))).toEqual(counted(WORDS));
    const keys = place.table.commits.map(({ key }) => `${key.batchTime}/${key.partitionId}`);
    expect(new Set(keys).size).toBe(keys.length);
    const partitionIds = new Set(place.table.commits.map(({ key }) => key.partitionId));
    expect(Math.max(...partitionIds)).toBeGreaterThan(9);
  });
});
