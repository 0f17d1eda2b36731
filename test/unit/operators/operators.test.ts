// Goal: each operator gives what Spark gives, empty batches included. Method: Spark's published test vectors as tables (JavaAPISuite, BasicOperationsSuite), through the engine.
import { describe, expect, it } from 'vitest';
import { RddContext, StreamingContext, milliseconds, type DStream, type RDD } from '../../../src/index.ts';
import { runBatches, runPartitions } from '../../support/batches.ts';

type Pair = [string, string];
const pairs = (value: string, ...batches: readonly string[][]): Pair[][] => batches.map((keys) => keys.map((key): Pair => [key, value]));
const sorted = <T>(batch: readonly T[]): T[] => batch.toSorted((left, right) => (JSON.stringify(left) < JSON.stringify(right) ? -1 : 1));
const sum = (left: number, right: number): number => left + right;

describe('narrow operators', () => {
  it.each([
    ['mapPartitions', (s: DStream<number>) => s.mapPartitions((rows) => [rows.reduce(sum, 0), rows.length]), [[10, 4], [26, 4], []]],
    ['glom', (s: DStream<number>) => s.glom(), [[[1, 2, 3, 4]], [[5, 6, 7, 8]], []]],
    ['filter', (s: DStream<number>) => s.filter((n) => n % 2 === 0), [[2, 4], [6, 8], []]],
    ['flatMap', (s: DStream<number>) => s.flatMap((n) => (n < 3 ? [n, n] : [])), [[1, 1, 2, 2], [], []]],
    ['map', (s: DStream<number>) => s.map((n) => String(n)), [['1', '2', '3', '4'], ['5', '6', '7', '8'], []]],
  ])('%s', async (_name, program, expected) => {
    expect(await runBatches([[[1, 2, 3, 4], [5, 6, 7, 8], []]], ([stream]) => program(stream as DStream<number>) as DStream<unknown>)).toEqual(expected);
  });
  it('mapValues and flatMapValues keep the keys', async () => {
    const script = pairs('x', ['a', 'a', 'b'], ['', ''], []);
    expect(await runBatches([script], ([s]) => (s as DStream<Pair>).mapValues((v) => v.length + 9))).toEqual([
      [
        ['a', 10],
        ['a', 10],
        ['b', 10],
      ],
      [
        ['', 10],
        ['', 10],
      ],
      [],
    ]);
    expect(await runBatches([script], ([s]) => (s as DStream<Pair>).flatMapValues((v) => new Set([v, 'y'])))).toEqual([
      [
        ['a', 'x'],
        ['a', 'y'],
        ['a', 'x'],
        ['a', 'y'],
        ['b', 'x'],
        ['b', 'y'],
      ],
      [
        ['', 'x'],
        ['', 'y'],
        ['', 'x'],
        ['', 'y'],
      ],
      [],
    ]);
  });
  it('filter narrows by a type guard', async () => {
    const isNumber = (value: number | string): value is number => typeof value === 'number';
    const doubled = await runBatches<number | string, number>([[[1, 'a', 2]]], ([s]) => (s as DStream<number | string>).filter(isNumber).map((n) => n * 2));
    expect(doubled).toEqual([[2, 4]]);
  });
});

describe('totals', () => {
  it('count gives 0 for an empty batch', async () => {
    expect(await runBatches([[[1, 2, 3], [], [4, 5]]], ([s]) => (s as DStream<number>).count())).toEqual([[3], [0], [2]]);
  });
  it('reduce gives nothing for an empty batch', async () => {
    expect(await runBatches([[[1, 2, 3], [], [4, 5]]], ([s]) => (s as DStream<number>).reduce(sum))).toEqual([[6], [], [9]]);
  });
  it('countByValue counts equal records, whatever their type', async () => {
    const program = ([s]: readonly DStream<unknown[]>[]): DStream<[unknown[], number]> => (s as DStream<unknown[]>).countByValue({ numPartitions: 2 });
    expect((await runBatches<unknown[], [unknown[], number]>([[[[1], [1], ['1']], []]], program)).map(sorted)).toEqual([
      [
        [['1'], 1],
        [[1], 2],
      ],
      [],
    ]);
  });
  it('count sees all partitions of a union', async () => {
    expect(await runPartitions([[[1, 2]], [[3]]], ([a, b]) => (a as DStream<number>).union(b as DStream<number>).count())).toEqual([[[3]]]);
  });
});

describe('operators by key', () => {
  const script = pairs('x', ['a', 'a', 'b'], ['', ''], []);
  it('reduceByKey', async () => {
    const counted = await runBatches([script], ([s]) => (s as DStream<Pair>).mapValues(() => 1).reduceByKey(sum));
    expect(counted.map(sorted)).toEqual([
      [
        ['a', 2],
        ['b', 1],
      ],
      [['', 2]],
      [],
    ]);
  });
  it('groupByKey', async () => {
    expect((await runBatches([script], ([s]) => (s as DStream<Pair>).groupByKey({ numPartitions: 3 }))).map(sorted)).toEqual([
      [
        ['a', ['x', 'x']],
        ['b', ['x']],
      ],
      [['', ['x', 'x']]],
      [],
    ]);
  });
  it.each([true, false])('combineByKey with mapSideCombine %s', async (mapSideCombine) => {
    const combiner = {
      create: (v: string) => [v.length, 1],
      mergeValue: (c: number[], v: string) => [(c[0] ?? 0) + v.length, (c[1] ?? 0) + 1],
      mergeCombiners: (l: number[], r: number[]) => [(l[0] ?? 0) + (r[0] ?? 0), (l[1] ?? 0) + (r[1] ?? 0)],
    };
    const program = ([a, b]: readonly DStream<Pair>[]): DStream<[string, number[]]> =>
      (a as DStream<Pair>).union(b as DStream<Pair>).combineByKey<number[]>(combiner, { mapSideCombine });
    expect((await runBatches([script, pairs('yy', ['a'])], program)).map(sorted)).toEqual([
      [
        ['a', [4, 3]],
        ['b', [1, 1]],
      ],
      [['', [2, 2]]],
      [],
    ]);
  });
  it('without mapSideCombine never merges combined values', async () => {
    const combiner = {
      create: (v: string) => v,
      mergeValue: (c: string, v: string) => c + v,
      mergeCombiners: (): string => {
        throw new Error('merged');
      },
    };
    const run = (mapSideCombine: boolean) =>
      runBatches([pairs('x', ['a']), pairs('y', ['a'])], ([a, b]) => (a as DStream<Pair>).union(b as DStream<Pair>).combineByKey(combiner, { mapSideCombine }));
    expect(await run(false)).toEqual([[['a', 'xy']]]);
    await expect(run(true)).rejects.toThrow('merged');
  });
});

describe('joins (Spark J4, J5)', () => {
  const left = pairs('1', ['a', 'b'], ['', 'a'], [''], []);
  const right = pairs('x', ['a', 'b'], ['', 'b'], [], ['']);
  const join = (kind: 'join' | 'leftOuterJoin' | 'rightOuterJoin' | 'fullOuterJoin') =>
    runBatches<Pair, unknown>([left, right], ([l, r]) => (l as DStream<Pair>)[kind](r as DStream<Pair>, { numPartitions: 2 })).then((batches) =>
      batches.map(sorted),
    );
  const both = [
    ['a', ['1', 'x']],
    ['b', ['1', 'x']],
  ];
  const empty = ['', ['1', 'x']];
  it.each([
    ['join', [both, [empty], [], []]],
    ['leftOuterJoin', [both, [empty, ['a', ['1', null]]], [['', ['1', null]]], []]],
    ['rightOuterJoin', [both, [empty, ['b', [null, 'x']]], [], [['', [null, 'x']]]]],
    ['fullOuterJoin', [both, [empty, ['a', ['1', null]], ['b', [null, 'x']]], [['', ['1', null]]], [['', [null, 'x']]]]],
  ] as const)('%s', async (kind, expected) => expect(await join(kind)).toEqual(expected.map((batch) => sorted(batch as readonly unknown[]))));
  it('cogroup', async () => {
    const one = pairs('1', ['a', 'a', 'b'], ['a', ''], [''], []);
    const two = pairs('x', ['a', 'a', 'b'], ['b', ''], [], []);
    expect((await runBatches<Pair, unknown>([one, two], ([l, r]) => (l as DStream<Pair>).cogroup(r as DStream<Pair>))).map(sorted)).toEqual(
      [
        [
          [
            'a',
            [
              ['1', '1'],
              ['x', 'x'],
            ],
          ],
          ['b', [['1'], ['x']]],
        ],
        [
          ['a', [['1'], []]],
          ['b', [[], ['x']]],
          ['', [['1'], ['x']]],
        ],
        [['', [['1'], []]]],
        [],
      ].map(sorted),
    );
  });
  it('pairs each value with each', async () => {
    const joined = await runBatches<Pair, unknown>([pairs('1', ['k', 'k']), pairs('x', ['k', 'k', 'k'])], ([l, r]) =>
      (l as DStream<Pair>).join(r as DStream<Pair>),
    );
    expect(joined).toEqual([Array.from({ length: 6 }, () => ['k', ['1', 'x']])]);
  });
});

describe('operators over several streams', () => {
  it('union keeps all, in the order of the streams', async () => {
    const three: readonly number[][][] = [
      [[1], []],
      [[2], []],
      [[1], [3]],
    ];
    expect(await runPartitions(three, (streams, context) => context.union(streams))).toEqual([[[1], [2], [1]], [[3]]]);
  });
  it('transform computes with the batch and its time', async () => {
    const batches = await runBatches([[[3, 1], []]], ([s], context) =>
      (s as DStream<number>).transform((rdd, { time }) => rdd.map((n) => n * 10).union(context.rddContext.parallelize([time % 100]))),
    );
    expect(batches).toEqual([[30, 10, 0], [0]]);
  });
  it('transformWith and context.transform see several datasets', async () => {
    const minus = await runBatches([[[1, 2, 3]], [[2]]], ([l, r], context) =>
      (l as DStream<number>).transformWith(r as DStream<number>, async (left, right) => {
        const without = new Set(await right.collect());
        return context.rddContext.parallelize((await left.collect()).filter((n) => !without.has(n)));
      }),
    );
    expect(minus).toEqual([[1, 3]]);
    const all = await runBatches([[[1]], [[2]], [[3]]], (streams, context) =>
      context.transform(streams, (rdds) => context.rddContext.union(rdds.toReversed() as readonly RDD<number>[])),
    );
    expect(all).toEqual([[3, 2, 1]]);
  });
  it('lays what transform returns over the planned partitions, in order', async () => {
    const laid = (numPartitions: number) =>
      runPartitions([[[0]]], ([s], context) =>
        (s as DStream<number>).transform(() => context.rddContext.parallelize([1, 2, 3, 4, 5], { numPartitions: 5 }), { numPartitions }),
      );
    expect(await laid(2)).toEqual([
      [
        [1, 2],
        [3, 4, 5],
      ],
    ]);
    expect(await laid(7)).toEqual([[[], [1], [2], [], [3], [4], [5]]]);
  });
  it('a transform that returns no dataset is an error that says so', async () => {
    const broken = runBatches([[[1]]], ([s]) => (s as DStream<number>).transform((() => null) as never));
    await expect(broken).rejects.toMatchObject({
      code: 'STREAM_INVALID_GRAPH',
      message: expect.stringContaining('must return a dataset: it returned null') as string,
    });
  });
  it('streams of two contexts, no stream, and what is no stream are refused', () => {
    const make = (): StreamingContext => new StreamingContext({ appName: 'a', batchInterval: milliseconds(100) });
    const [one, two] = [make(), make()];
    const a = one.queueStream<number>([]);
    const b = two.queueStream<number>([]);
    expect(() => a.union(b)).toThrow('its streams must be of one context: "queueStream-0" belongs to another');
    expect(() => one.union([a, b])).toThrow(expect.objectContaining({ code: 'STREAM_INVALID_GRAPH' }) as Error);
    expect(() => one.union([])).toThrow('at least one stream: the list is empty');
    expect(() => one.transform([], ([rdd]) => rdd as never)).toThrow('at least one stream');
    expect(() => a.union([1] as never)).toThrow('must be given streams: found object');
  });
});

describe('repartition', () => {
  it('deals records out evenly, the same way each time', async () => {
    const dealt = () => runPartitions([[[1, 2, 3, 4, 5], []]], ([s]) => (s as DStream<number>).repartition(3));
    expect(await dealt()).toEqual([
      [[1, 4], [2, 5], [3]],
      [[], [], []],
    ]);
    expect(await dealt()).toEqual(await dealt());
  });
  it('takes whole counts from 1 to 1,024', () => {
    const stream = new StreamingContext({ appName: 'a', batchInterval: milliseconds(100) }).queueStream<number>([]);
    for (const count of [0, 1025, 1.5, Number.NaN]) expect(() => stream.repartition(count)).toThrow('must be a whole number from 1 to 1024');
  });
});

describe('default parallelism', () => {
  it.each([
    [{}, 1],
    [{ defaultParallelism: 3 }, 3],
    [{ rddContext: new RddContext({ defaultParallelism: 2 }) }, 2],
    [{ rddContext: new RddContext({ defaultParallelism: 2 }), defaultParallelism: 4 }, 4],
  ])('%j', async (options, expected) => {
    const program = ([s]: readonly DStream<Pair>[]): DStream<[string, string[]]> => (s as DStream<Pair>).groupByKey();
    expect((await runPartitions([pairs('x', ['a'])], program, options))[0]).toHaveLength(expected);
  });
});

describe('mapAsync', () => {
  it('keeps the order and bounds the calls under way', async () => {
    let running = 0;
    let most = 0;
    const program = ([s]: readonly DStream<number>[]): DStream<number> =>
      (s as DStream<number>).mapAsync(
        async (n) => {
          running += 1;
          most = Math.max(most, running);
          for (let turn = 0; turn < 5 - n; turn++) await Promise.resolve();
          running -= 1;
          return n * 2;
        },
        { concurrency: 2 },
      );
    expect(await runBatches([[[1, 2, 3, 4], []]], program)).toEqual([[2, 4, 6, 8], []]);
    expect(most).toBe(2);
  });
  it('calls once per record for all who read it, and hands each a copy', async () => {
    let calls = 0;
    const program = ([s]: readonly DStream<number>[]): DStream<{ n: number }> => {
      const mapped = (s as DStream<number>).mapAsync((n) => {
        calls += 1;
        return Promise.resolve({ n });
      });
      return mapped.map((row) => Object.assign(row, { n: row.n + 1 })).union(mapped);
    };
    expect(await runBatches([[[1, 2]]], program)).toEqual([[{ n: 2 }, { n: 3 }, { n: 1 }, { n: 2 }]]);
    expect(calls).toBe(2);
  });
});
