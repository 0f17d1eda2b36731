import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keySlot } from '../../../src/core/key-slot.ts';
import { toBatchTime } from '../../../src/core/time.ts';
import { createTaskRunner } from '../../../src/executor/task-runner.ts';
import { RDD } from '../../../src/rdd/rdd.ts';
import { leaf, type RddNode } from '../../../src/rdd/node.ts';
import { gathering } from '../../../src/rdd/aggregators.ts';
import { shuffle } from '../../../src/rdd/shuffle.ts';
import { createSimFileSystem, ManualClock, SimDisk, SimProcess } from '../../../src/testing/index.ts';

const tasks = createTaskRunner(new ManualClock(0), new AbortController().signal, { attemptsMax: 1, backoffMs: 1 });

function nodeOf<T>(...partitions: readonly (readonly T[])[]): RddNode<T> {
  return {
    lineage: leaf('rows'),
    partitionCount: partitions.length,
    prepare: (index) => Promise.resolve((push) => partitions[index]?.forEach((value) => push(value))),
  };
}

function rddOf<T>(...partitions: readonly (readonly T[])[]): RDD<T> {
  return new RDD(nodeOf(...partitions), {
    tasks,
    files: createSimFileSystem(new SimDisk(), new SimProcess()),
    defaultParallelism: 1,
    name: 'test',
    commit: { app: 'app', sink: 'out', batchTime: toBatchTime(100) },
  });
}

describe('narrow operators', () => {
  it('keep the order of the partition', async () => {
    const words = rddOf(['b a', 'c'], ['d']).flatMap((line) => line.split(' '));
    expect(await words.map((word) => word.toUpperCase()).collect()).toEqual(['B', 'A', 'C', 'D']);
    expect(await words.filter((word) => word > 'a').collect()).toEqual(['b', 'c', 'd']);
    expect(await words.flatMap((word) => new Set([word, word])).count()).toBe(4);
    expect(await words.take(3)).toEqual(['b', 'a', 'c']);
  });
});

describe('reduceByKey()', () => {
  const pairs = fc.array(fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c', '', 'é'), fc.integer())), { maxLength: 5 });
  it('is the sum of a naive model, for any partitions', () =>
    fc.assert(
      fc.asyncProperty(pairs, fc.integer({ min: 1, max: 5 }), async (partitions, numPartitions) => {
        const model = new Map<string, number>();
        for (const [key, value] of partitions.flat()) model.set(key, (model.get(key) ?? 0) + value);
        const reduced = await rddOf(...partitions)
          .reduceByKey((left, right) => left + right, { numPartitions })
          .collect();
        expect(new Map(reduced)).toEqual(model);
        expect(reduced).toHaveLength(model.size);
      }),
    ));
  it('gives rows by slot, then first seen', async () => {
    const keys = Array.from({ length: 50 }, (_unused, index) => `key-${index}`);
    const rows = await rddOf(keys.map((key): [string, number] => [key, 1]))
      .reduceByKey((left, right) => left + right, { numPartitions: 3 })
      .collect();
    expect(rows.map(([key]) => key)).toEqual(keys.toSorted((left, right) => keySlot(left) - keySlot(right)));
  });
});

describe('shuffle()', () => {
  it('gives the same over several outputs of a map partition, which more keys need than a Map takes', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd', 'e'), fc.nat(9)))),
        fc.integer({ min: 1, max: 4 }),
        async (parts, outputKeysMax) => {
          const settings = { name: 's', partitions: 1, tasks };
          const read = async (more: object): Promise<unknown> =>
            Array.from(await shuffle(nodeOf(...parts), gathering<number>(), { ...settings, ...more }).read(0), ([slot, groups]) => [slot, [...groups]]);
          expect(await read({ outputKeysMax })).toEqual(await read({}));
        },
      ),
    ));
  it('computes its map side once, and gives a retry the same rows whatever the first attempt did to them', async () => {
    let computed = 0;
    const parent: RddNode<readonly [string, { n: number }]> = {
      lineage: leaf('rows'),
      partitionCount: 2,
      prepare: () => {
        computed += 1;
        return Promise.resolve((push) => push(['a', { n: computed }]));
      },
    };
    const shuffled = shuffle(parent, gathering<{ n: number }>(), { name: 's', partitions: 1, tasks });
    const values = async () => [...(await shuffled.read(0)).values()].flatMap((groups) => [...groups.values()].flatMap(({ value }) => value));
    const first = await values();
    expect(first).toEqual([{ n: 1 }, { n: 2 }]);
    for (const value of first) value.n = 99;
    expect(await values()).toEqual([{ n: 1 }, { n: 2 }]);
    expect(computed).toBe(2);
  });
});

describe('foreachPartition()', () => {
  it('gives each partition its commit key', async () => {
    const seen: unknown[] = [];
    await rddOf(['a'], ['b', 'c']).foreachPartition((rows, { commitKey }) => void seen.push([rows, commitKey]));
    expect(seen).toEqual([
      [['a'], { app: 'app', sink: 'out', batchTime: 100, partitionId: 0 }],
      [['b', 'c'], { app: 'app', sink: 'out', batchTime: 100, partitionId: 1 }],
    ]);
  });
});

describe('tasks', () => {
  async function attempt(clock: ManualClock, attemptsMax: number, failures: number): Promise<string> {
    let attempts = 0;
    const runner = createTaskRunner(clock, new AbortController().signal, { attemptsMax, backoffMs: 100 });
    return runner.run('the task', () => {
      attempts += 1;
      return attempts <= failures ? Promise.reject(new Error(`failure ${attempts}`)) : Promise.resolve(`done at ${clock.monotonic()} ms`);
    });
  }
  it('are tried again after a pause that doubles', async () => {
    const clock = new ManualClock(0);
    const done = attempt(clock, 4, 3);
    for (let turn = 0; turn < 40; turn++) {
      await Promise.resolve();
      await Promise.resolve();
      await Promise.resolve();
      const next = clock.nextTimerMs;
      if (next !== undefined) clock.advance(next);
    }
    expect(await done).toBe('done at 700 ms');
  });
  it('fail with what the last attempt threw', async () => {
    await expect(attempt(new ManualClock(0), 1, 9)).rejects.toMatchObject({ code: 'STREAM_TASK', exitCode: 1, cause: { message: 'failure 1' } });
  });
  it('end when the context stops', async () => {
    const stopped = new AbortController();
    stopped.abort();
    await expect(createTaskRunner(new ManualClock(0), stopped.signal).run('t', () => Promise.resolve(1))).rejects.toMatchObject({ code: 'STREAM_ABORTED' });
  });
});
