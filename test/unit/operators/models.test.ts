// Goal: each operator equals a naive model, for any batches, keys and partition counts. Method: fast-check; every case runs through the engine, log and all.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DStream } from '../../../src/index.ts';
import { runBatches, runPartitions } from '../../support/batches.ts';

type Key = string | number | null | readonly (string | number)[];
type Pair = [Key, number];
type Batch = readonly Pair[];
type Stream = DStream<Pair>;

const key = fc.constantFrom<Key>('a', 'b', '', 'é', '\0', 1, '1', null, ['a', 1], [1]);
const batch = fc.array(fc.tuple(key, fc.integer({ min: -9, max: 9 })), { maxLength: 12 });
const script = fc.array(batch, { minLength: 1, maxLength: 3 });
const partitions = fc.integer({ min: 1, max: 5 });

const text = (value: unknown): string => JSON.stringify(value);
const sorted = (rows: readonly unknown[]): readonly unknown[] => rows.map(text).sort();
const keysOf = (...batches: readonly Batch[]): readonly Key[] => [...new Map(batches.flat().map(([k]) => [text(k), k])).values()];
const valuesOf = (k: Key, rows: Batch): readonly number[] => rows.filter(([other]) => text(other) === text(k)).map(([, v]) => v);

/** An operator of one stream: what it makes, and what a batch must come to. */
interface Unary {
  readonly run: (stream: Stream, numPartitions: number) => DStream<unknown>;
  readonly model: (rows: Batch) => readonly unknown[];
}

const UNARY: Readonly<Record<string, Unary>> = {
  map: { run: (s) => s.map(([k, v]) => [v, k]), model: (rows) => rows.map(([k, v]) => [v, k]) },
  flatMap: { run: (s) => s.flatMap((pair) => [pair, pair]), model: (rows) => rows.flatMap((pair) => [pair, pair]) },
  filter: { run: (s) => s.filter(([, v]) => v > 0), model: (rows) => rows.filter(([, v]) => v > 0) },
  mapPartitions: { run: (s) => s.mapPartitions((rows) => rows.toReversed()), model: (rows) => rows },
  mapValues: { run: (s) => s.mapValues((v) => v * 2), model: (rows) => rows.map(([k, v]) => [k, v * 2]) },
  flatMapValues: {
    run: (s) => s.flatMapValues((v) => (v > 0 ? [v, -v] : [])),
    model: (rows) =>
      rows.flatMap(([k, v]) =>
        v > 0
          ? [
              [k, v],
              [k, -v],
            ]
          : [],
      ),
  },
  mapAsync: { run: (s) => s.mapAsync(([, v]) => Promise.resolve(v), { concurrency: 3 }), model: (rows) => rows.map(([, v]) => v) },
  repartition: { run: (s, n) => s.repartition(n), model: (rows) => rows },
  count: { run: (s) => s.count(), model: (rows) => [rows.length] },
  reduce: {
    run: (s) => s.map(([, v]) => v).reduce((a, b) => Math.max(a, b)),
    model: (rows) => (rows.length === 0 ? [] : [Math.max(...rows.map(([, v]) => v))]),
  },
  countByValue: {
    run: (s, numPartitions) => s.countByValue({ numPartitions }),
    model: (rows) => [...new Set(rows.map(text))].map((row) => [JSON.parse(row), rows.filter((other) => text(other) === row).length]),
  },
  reduceByKey: {
    run: (s, numPartitions) => s.reduceByKey((a, b) => a + b, { numPartitions }),
    model: (rows) => keysOf(rows).map((k) => [k, valuesOf(k, rows).reduce((a, b) => a + b)]),
  },
  groupByKey: { run: (s, numPartitions) => s.groupByKey({ numPartitions }), model: (rows) => keysOf(rows).map((k) => [k, valuesOf(k, rows)]) },
  combineByKey: {
    run: (s, numPartitions) =>
      s.combineByKey({ create: (v) => `${v}`, mergeValue: (c: string, v) => `${c},${v}`, mergeCombiners: (l, r) => `${l},${r}` }, { numPartitions }),
    model: (rows) => keysOf(rows).map((k) => [k, valuesOf(k, rows).join(',')]),
  },
};

describe('operators of one stream', () => {
  it.each(Object.entries(UNARY))('%s', (_name, { run, model }) =>
    fc.assert(
      fc.asyncProperty(script, partitions, async (batches, numPartitions) => {
        const found = await runBatches([batches], ([stream]) => run(stream as Stream, numPartitions));
        expect(found.map(sorted)).toEqual(batches.map((rows) => sorted(model(rows))));
      }),
      { numRuns: 30 },
    ),
  );
});

const orNull = (values: readonly number[]): readonly (number | null)[] => (values.length === 0 ? [null] : values);

function joined(left: Batch, right: Batch, keeps: { readonly left: boolean; readonly right: boolean }): readonly unknown[] {
  return keysOf(left, right).flatMap((k) => {
    const [ones, others] = [valuesOf(k, left), valuesOf(k, right)];
    const lefts = keeps.right ? orNull(ones) : ones;
    const rights = keeps.left ? orNull(others) : others;
    return lefts.flatMap((one) => rights.map((other) => [k, [one, other]]));
  });
}

const BINARY: Readonly<
  Record<string, { readonly run: (l: Stream, r: Stream, n: number) => DStream<unknown>; readonly model: (l: Batch, r: Batch) => readonly unknown[] }>
> = {
  union: { run: (l, r) => l.union(r), model: (l, r) => [...l, ...r] },
  cogroup: {
    run: (l, r, numPartitions) => l.cogroup(r, { numPartitions }),
    model: (l, r) => keysOf(l, r).map((k) => [k, [valuesOf(k, l), valuesOf(k, r)]]),
  },
  join: { run: (l, r, numPartitions) => l.join(r, { numPartitions }), model: (l, r) => joined(l, r, { left: false, right: false }) },
  leftOuterJoin: { run: (l, r, numPartitions) => l.leftOuterJoin(r, { numPartitions }), model: (l, r) => joined(l, r, { left: true, right: false }) },
  rightOuterJoin: { run: (l, r, numPartitions) => l.rightOuterJoin(r, { numPartitions }), model: (l, r) => joined(l, r, { left: false, right: true }) },
  fullOuterJoin: { run: (l, r, numPartitions) => l.fullOuterJoin(r, { numPartitions }), model: (l, r) => joined(l, r, { left: true, right: true }) },
  transformWith: {
    run: (l, r, numPartitions) => l.transformWith(r, (left, right) => left.union(right).filter(([, v]) => v > 0), { numPartitions }),
    model: (l, r) => [...l, ...r].filter(([, v]) => v > 0),
  },
};

describe('operators of two streams', () => {
  it.each(Object.entries(BINARY))('%s', (_name, { run, model }) =>
    fc.assert(
      fc.asyncProperty(batch, batch, partitions, async (left, right, numPartitions) => {
        const found = await runBatches([[left], [right]], ([l, r]) => run(l as Stream, r as Stream, numPartitions));
        expect(found.map(sorted)).toEqual([sorted(model(left, right))]);
      }),
      { numRuns: 30 },
    ),
  );
});

describe('glom', () => {
  it('gives each partition as one array, in order', () =>
    fc.assert(
      fc.asyncProperty(batch, partitions, async (rows, numPartitions) => {
        const parts = await runPartitions([[rows]], ([s]) => (s as Stream).repartition(numPartitions));
        const glommed = await runPartitions([[rows]], ([s]) => (s as Stream).repartition(numPartitions).glom());
        expect(glommed).toEqual(parts.map((each) => each.map((part) => [part])));
      }),
      { numRuns: 30 },
    ));
});
