// What users see of a dataset: Spark's names, lazy; an action computes it.
import { keyText } from '../core/key-slot.ts';
import { partitionsOption, refuseUnknownOptions, wholeOption } from '../core/options.ts';
import { UsageError } from '../core/errors.ts';
import type { CommitKey } from '../core/ids.ts';
import type { KeyOf, KeyValuePair, PairOf, Rec, Storable, ValueOf } from '../core/records.ts';
import { combining, gathering, reducing, type Combiner } from './aggregators.ts';
import { cogroupNode, joinNode, type Cogrouped, type JoinKind } from './cogroup.ts';
import {
  collectPartition,
  debugString,
  filterNode,
  flatMapNode,
  flatMapValuesNode,
  mapNode,
  mapPartitionsNode,
  mapValuesNode,
  unionNode,
  type RddNode,
} from './node.ts';
import { repartitionNode } from './repartition.ts';
import { saveText, type SaveTextOptions } from './save-text.ts';
import type { RddScope } from './scope.ts';
import { shuffle, shuffledPairs, type Aggregator, type ShuffleSettings } from './shuffle.ts';
import { countRecords, reduceRecords } from './totals.ts';

/** Options of a dataset's operator that shuffles. */
export interface PartitionOptions {
  /**
   * How many partitions the result has, from 1 to 1,024.
   *
   * @defaultValue The default parallelism of the context, which is 1 unless it is given.
   */
  readonly numPartitions?: number;
}

/** What `foreachPartition` hands over besides the rows. */
export interface PartitionContext {
  /** The partition, from 0. */
  readonly partitionId: number;
  /**
   * The same for every attempt and every rerun of this partition of this batch: write it in the same transaction as the rows, and the rows are there once.
   *
   * @throws {UsageError} For a dataset that belongs to no batch: nothing runs it again.
   */
  readonly commitKey: CommitKey;
}

/**
 * A partitioned dataset: lazy, recomputable, made by a stream for one batch or by an `RddContext`. An action (`collect`, `count`, `reduce`, `first`, `take`, `foreach`,
 * `foreachPartition`, `isEmpty`, `countByKey`, `countByValue`, `saveAsTextFile`) computes it; each action computes it again, except what stands before a shuffle, which is kept.
 *
 * @typeParam T - The records.
 * @example
 * ```ts
 * import { RddContext } from 'millrace';
 *
 * const context = new RddContext();
 * const words = context.parallelize(['to', 'be', 'or', 'not', 'to', 'be']);
 * const counts = await words.map((word) => [word, 1]).reduceByKey((left, right) => left + right).collect();
 * console.assert(new Map(counts).get('be') === 2);
 * await context.stop();
 * ```
 */
export class RDD<out T> {
  readonly #node: RddNode<T>;
  readonly #scope: RddScope;

  /** @internal */
  constructor(node: RddNode<T>, scope: RddScope) {
    this.#node = node;
    this.#scope = scope;
  }

  /** @internal */
  static nodeOf<T>(rdd: RDD<T>): RddNode<T> {
    return rdd.#node;
  }

  /** @internal */
  static scopeOf(rdd: RDD<unknown>): RddScope {
    return rdd.#scope;
  }

  /** How many partitions there are. */
  get partitionCount(): number {
    return this.#node.partitionCount;
  }

  /** Applies `f` to each record. */
  map<U extends Rec>(f: (value: T) => U & Storable<U>): RDD<U> {
    return this.#derive<U>(mapNode<T, U>(this.#node, f));
  }

  /** Applies `f` to each record and takes all that it returns. */
  flatMap<U extends Rec>(f: (value: T) => Iterable<U & Storable<U>>): RDD<U> {
    return this.#derive<U>(flatMapNode<T, U>(this.#node, f));
  }

  /** Keeps the records for which `f` is true. */
  filter<U extends T>(f: (value: T) => value is U): RDD<U>;
  filter(f: (value: T) => boolean): RDD<T>;
  filter(f: (value: T) => boolean): RDD<T> {
    return this.#derive<T>(filterNode(this.#node, f));
  }

  /** Applies `f` to all records of a partition at once; they stand in memory while it runs. */
  mapPartitions<U extends Rec>(f: (rows: readonly T[]) => Iterable<U & Storable<U>>): RDD<U> {
    return this.#derive<U>(mapPartitionsNode<T, U>(this.#node, f));
  }

  /** One array per partition, empty ones too. */
  glom(): RDD<T[]> {
    return this.#derive<T[]>(mapPartitionsNode<T, T[]>(this.#node, (rows) => [[...rows]], 'glom'));
  }

  /** The records of this dataset, then those of the other: their partitions one after another. Nothing is removed. */
  union(other: RDD<T>): RDD<T> {
    return this.#derive<T>(unionNode([this.#node, RDD.nodeOf(other)]));
  }

  /** The records dealt out evenly over `numPartitions` partitions, by a shuffle. */
  repartition(numPartitions: number): RDD<T> {
    return this.#derive<T>(repartitionNode(this.#node, this.#settings('repartition', { numPartitions })));
  }

  /** Applies `f` to each value; keys stay. */
  mapValues<U extends Rec>(this: RDD<KeyValuePair>, f: (value: ValueOf<T>) => U & Storable<U>): RDD<[KeyOf<T>, U]> {
    return this.#derive<[KeyOf<T>, U]>(mapValuesNode(this.#pairs<T>(), f));
  }

  /** Applies `f` to each value and pairs the key with each that it returns. */
  flatMapValues<U extends Rec>(this: RDD<KeyValuePair>, f: (value: ValueOf<T>) => Iterable<U & Storable<U>>): RDD<[KeyOf<T>, U]> {
    return this.#derive<[KeyOf<T>, U]>(flatMapValuesNode<KeyOf<T>, ValueOf<T>, U>(this.#pairs<T>(), f));
  }

  /**
   * Brings the values of each key together with `f`, which must be associative.
   */
  reduceByKey(this: RDD<KeyValuePair>, f: (left: ValueOf<T>, right: ValueOf<T>) => ValueOf<T>, options: PartitionOptions = {}): RDD<[KeyOf<T>, ValueOf<T>]> {
    return this.#shuffled('reduceByKey', { pairs: this.#pairs<T>(), aggregator: reducing(f), options });
  }

  /** All values of each key as an array, in the order of the partitions. */
  groupByKey(this: RDD<KeyValuePair>, options: PartitionOptions = {}): RDD<[KeyOf<T>, ValueOf<T>[]]> {
    return this.#shuffled('groupByKey', { pairs: this.#pairs<T>(), aggregator: gathering<ValueOf<T>>(), options });
  }

  /** Brings the values of each key together into something of another type. */
  combineByKey<C extends Rec>(this: RDD<KeyValuePair>, combiner: Combiner<ValueOf<T>, C>, options: PartitionOptions = {}): RDD<[KeyOf<T>, C]> {
    return this.#shuffled('combineByKey', { pairs: this.#pairs<T>(), aggregator: combining(combiner), options });
  }

  /** For each key of either dataset, all its values on either side. */
  cogroup<W>(this: RDD<KeyValuePair>, other: RDD<readonly [KeyOf<T>, W]>, options: PartitionOptions = {}): RDD<Cogrouped<KeyOf<T>, ValueOf<T>, W>> {
    return this.#derive(cogroupNode(this.#pairs<T>(), RDD.nodeOf(other), this.#settings('cogroup', options)));
  }

  /** For each key of both datasets, every pair of a value here and a value there. */
  join<W>(this: RDD<KeyValuePair>, other: RDD<readonly [KeyOf<T>, W]>, options: PartitionOptions = {}): RDD<[KeyOf<T>, [ValueOf<T>, W]]> {
    return this.#joined<T, W>('join', other, options) as RDD<[KeyOf<T>, [ValueOf<T>, W]]>;
  }

  /** As `join`; a key that is here alone is paired with null. */
  leftOuterJoin<W>(this: RDD<KeyValuePair>, other: RDD<readonly [KeyOf<T>, W]>, options: PartitionOptions = {}): RDD<[KeyOf<T>, [ValueOf<T>, W | null]]> {
    return this.#joined<T, W>('leftOuterJoin', other, options) as RDD<[KeyOf<T>, [ValueOf<T>, W | null]]>;
  }

  /** As `join`; a key that is there alone is paired with null. */
  rightOuterJoin<W>(this: RDD<KeyValuePair>, other: RDD<readonly [KeyOf<T>, W]>, options: PartitionOptions = {}): RDD<[KeyOf<T>, [ValueOf<T> | null, W]]> {
    return this.#joined<T, W>('rightOuterJoin', other, options) as RDD<[KeyOf<T>, [ValueOf<T> | null, W]]>;
  }

  /** As `join`; a key that is on one side alone is paired with null. */
  fullOuterJoin<W>(
    this: RDD<KeyValuePair>,
    other: RDD<readonly [KeyOf<T>, W]>,
    options: PartitionOptions = {},
  ): RDD<[KeyOf<T>, [ValueOf<T> | null, W | null]]> {
    return this.#joined<T, W>('fullOuterJoin', other, options);
  }

  /** All records, partition by partition. */
  async collect(): Promise<T[]> {
    const rows: T[] = [];
    await this.#each(async (partition) => {
      const found = await collectPartition(this.#node, partition);
      return () => {
        for (const row of found) rows.push(row);
      };
    });
    return rows;
  }

  /** How many records there are. */
  async count(): Promise<number> {
    let records = 0;
    await this.#each(async (partition) => {
      const found = countRecords(await this.#node.prepare(partition));
      return () => {
        records += found;
      };
    });
    return records;
  }

  /**
   * Brings all records together with `f`, which must be associative.
   *
   * @throws {UsageError} If there is no record, as in Spark.
   */
  async reduce(f: (left: T, right: T) => T): Promise<T> {
    const parts: T[] = [];
    await this.#each(async (partition) => {
      const found = reduceRecords(await this.#node.prepare(partition), f);
      return () => {
        if (found !== undefined) parts.push(found.value);
      };
    });
    const [first, ...rest] = parts;
    if (parts.length === 0) throw emptyError('reduce');
    return rest.reduce<T>((left, right) => f(left, right), first as T);
  }

  /**
   * The first record.
   *
   * @throws {UsageError} If there is none, as in Spark.
   */
  async first(): Promise<T> {
    const rows = await this.take(1);
    if (rows.length === 0) throw emptyError('first');
    return rows[0] as T;
  }

  /** The first `count` records; partitions behind them are not computed. */
  async take(count: number): Promise<T[]> {
    const rows: T[] = [];
    const wanted = wholeOption('take', 'count', { value: count, fallback: count, min: 0 });
    for (let partition = 0; partition < this.partitionCount && rows.length < wanted; partition++) {
      rows.push(...(await this.#run(partition, () => collectPartition(this.#node, partition))).slice(0, wanted - rows.length));
    }
    return rows;
  }

  /** Whether there is no record. */
  async isEmpty(): Promise<boolean> {
    return (await this.take(1)).length === 0;
  }

  /** How many records each key has. */
  async countByKey(this: RDD<KeyValuePair>): Promise<Map<KeyOf<T>, number>> {
    return countEqual<KeyOf<T>>((await this.collect()).map(([key]) => key as KeyOf<T>));
  }

  /** How many equal records there are of each. */
  async countByValue(): Promise<Map<T, number>> {
    return countEqual<T>(await this.collect());
  }

  /** Calls `f` for each record. A partition is begun again when `f` throws: at least once. */
  async foreach(f: (value: T) => void): Promise<void> {
    await this.#each(async (partition) => {
      (await this.#node.prepare(partition))(f);
      return undefined;
    });
  }

  /**
   * Calls `f` for each partition, one after another, and waits for what it returns. A partition is tried again when `f` throws, and after a crash of the driver:
   * at least once. With `commitKey` in the user's own transaction it becomes exactly once. A commit key belongs to one call: an output that calls `foreachPartition` twice
   * must tell the two apart in what it writes beside the key.
   */
  async foreachPartition(f: (rows: readonly T[], context: PartitionContext) => void | Promise<void>): Promise<void> {
    const { commit } = this.#scope;
    await this.#each(async (partitionId) => {
      const rows = await collectPartition(this.#node, partitionId);
      await f(rows, {
        partitionId,
        get commitKey() {
          if (commit === undefined)
            throw new UsageError('STREAM_ILLEGAL_STATE', 'Cannot give a commit key as the dataset must belong to a batch: it belongs to none');
          return { ...commit, partitionId };
        },
      });
      return undefined;
    });
  }

  /**
   * Writes each partition as a text file into a directory of its own, `part-00000` and so on, then `_SUCCESS`. A string is a line as it is, anything else is canonical JSON.
   * Each file appears whole. Resolves when all of it is durable.
   *
   * @param directory - Made if it is missing; its parent must be there.
   * @throws {UsageError} If the directory is there already and `overwrite` is not given.
   */
  async saveAsTextFile(directory: string, options: SaveTextOptions = {}): Promise<void> {
    refuseUnknownOptions('saveAsTextFile', options, ['overwrite']);
    await saveText(this.#node, directory, { scope: this.#scope, overwrite: options.overwrite ?? false });
  }

  /** The lineage as text: a line per dataset with its partition count, `+-` where a shuffle begins. */
  toDebugString(): string {
    return debugString(this.#node);
  }

  #derive<U>(node: RddNode<U>): RDD<U> {
    return new RDD<U>(node, this.#scope);
  }

  /** The one cast of the pair methods: their `this` types say that the records are pairs. */
  #pairs<P>(): RddNode<PairOf<P>> {
    return this.#node as RddNode<unknown> as RddNode<PairOf<P>>;
  }

  #settings(name: string, options: PartitionOptions): ShuffleSettings {
    const { defaultParallelism, tasks } = this.#scope;
    refuseUnknownOptions(name, options, ['numPartitions']);
    return { name, tasks, partitions: partitionsOption(name, options.numPartitions, defaultParallelism) };
  }

  #shuffled<K, V, C>(
    name: string,
    what: { readonly pairs: RddNode<readonly [K, V]>; readonly aggregator: Aggregator<V, C>; readonly options: PartitionOptions },
  ): RDD<[K, C]> {
    return this.#derive<[K, C]>(shuffledPairs(name, shuffle(what.pairs, what.aggregator, this.#settings(name, what.options))));
  }

  #joined<P, W>(kind: JoinKind, other: RDD<readonly [KeyOf<P>, W]>, options: PartitionOptions): RDD<[KeyOf<P>, [ValueOf<P> | null, W | null]]> {
    return this.#derive(joinNode<KeyOf<P>, ValueOf<P>, W>(this.#pairs<P>(), RDD.nodeOf(other), { ...this.#settings(kind, options), kind }));
  }

  /** Runs a task per partition, in order. What a task gives back is done once its attempt has succeeded. */
  async #each(work: (partition: number) => Promise<(() => void) | undefined>): Promise<void> {
    for (let partition = 0; partition < this.partitionCount; partition++) (await this.#run(partition, () => work(partition)))?.();
  }

  #run<R>(partition: number, work: () => Promise<R>): Promise<R> {
    return this.#scope.tasks.run(`partition ${partition} of ${this.#scope.name}`, work);
  }
}

function emptyError(action: string): UsageError {
  return new UsageError('STREAM_EMPTY_RDD', `Cannot call ${action} as the dataset must have a record: it is empty. Ask isEmpty() before`);
}

/** Equal values by their canonical text, in the order in which they were first seen. */
function countEqual<V>(values: readonly V[]): Map<V, number> {
  const counts = new Map<string, { readonly value: V; count: number }>();
  for (const value of values) {
    const text = keyText(value);
    const known = counts.get(text);
    if (known === undefined) counts.set(text, { value, count: 1 });
    else known.count += 1;
  }
  return new Map([...counts.values()].map(({ value, count }) => [value, count]));
}
