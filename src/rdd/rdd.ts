// What users see of a dataset: Spark's names, lazy; an action computes it.
import type { CommitKey, Uid } from '../core/ids.ts';
import type { KeyOf, KeyValuePair, Rec, Storable, ValueOf } from '../core/records.ts';
import type { BatchTime } from '../core/time.ts';
import type { TaskRunner } from '../executor/task-runner.ts';
import { collectPartition, filterNode, flatMapNode, mapNode, type RddNode } from './node.ts';
import { reducing, shuffle, shuffledPairs } from './shuffle.ts';

/** Where a dataset is computed and for which output. */
export interface RddScope {
  readonly tasks: TaskRunner;
  readonly app: string;
  readonly output: Uid;
  readonly batchTime: BatchTime;
}

/** What `foreachPartition` hands over besides the rows. */
export interface PartitionContext {
  /** The same for every attempt and every rerun of this partition of this batch: write it in the same transaction as the rows, and the rows are there once. */
  readonly commitKey: CommitKey;
}

/**
 * A partitioned dataset: lazy, recomputable, made by a stream for one batch. An action (`collect`, `count`, `take`, `foreachPartition`) computes it.
 *
 * @typeParam T - The records.
 * @example
 * ```ts
 * import { StreamingContext, seconds } from 'millrace';
 *
 * const context = new StreamingContext({ appName: 'example', batchInterval: seconds(1) });
 * context.socketTextStream('localhost', 9999).foreachRDD(async (rdd, { time }) => {
 *   const lengths = await rdd.map((line) => line.length).collect();
 *   console.log(time, lengths);
 * });
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

  /** How many partitions there are. */
  get partitionCount(): number {
    return this.#node.partitionCount;
  }

  /** Applies `f` to each record. */
  map<U extends Rec>(f: (value: T) => U & Storable<U>): RDD<U> {
    return new RDD<U>(mapNode<T, U>(this.#node, f), this.#scope);
  }

  /** Applies `f` to each record and takes all that it returns. */
  flatMap<U extends Rec>(f: (value: T) => Iterable<U & Storable<U>>): RDD<U> {
    return new RDD<U>(flatMapNode<T, U>(this.#node, f), this.#scope);
  }

  /** Keeps the records for which `f` is true. */
  filter<U extends T>(f: (value: T) => value is U): RDD<U>;
  filter(f: (value: T) => boolean): RDD<T>;
  filter(f: (value: T) => boolean): RDD<T> {
    return new RDD<T>(filterNode(this.#node, f), this.#scope);
  }

  /**
   * Brings the values of each key together with `f`, which must be associative.
   *
   * @param options - `numPartitions`: how many partitions the result has (default 1).
   */
  reduceByKey(
    this: RDD<KeyValuePair>,
    f: (left: ValueOf<T>, right: ValueOf<T>) => ValueOf<T>,
    options: { readonly numPartitions?: number } = {},
  ): RDD<[KeyOf<T>, ValueOf<T>]> {
    const pairs = this.#node as RddNode<readonly [KeyOf<T>, ValueOf<T>]>;
    const shuffled = shuffle(pairs, reducing(f), { name: 'reduceByKey', partitions: options.numPartitions ?? 1, tasks: this.#scope.tasks });
    return new RDD<[KeyOf<T>, ValueOf<T>]>(shuffledPairs(shuffled), this.#scope);
  }

  /** All records, partition by partition. */
  async collect(): Promise<T[]> {
    const rows: T[] = [];
    for (let partition = 0; partition < this.partitionCount; partition++) {
      for (const row of await this.#run(partition, () => collectPartition(this.#node, partition))) rows.push(row);
    }
    return rows;
  }

  /** How many records there are. */
  async count(): Promise<number> {
    let records = 0;
    for (let partition = 0; partition < this.partitionCount; partition++) {
      records += await this.#run(partition, async () => {
        let found = 0;
        (await this.#node.prepare(partition))(() => {
          found += 1;
        });
        return found;
      });
    }
    return records;
  }

  /** The first `count` records; partitions behind them are not computed. */
  async take(count: number): Promise<T[]> {
    const rows: T[] = [];
    for (let partition = 0; partition < this.partitionCount && rows.length < count; partition++) {
      rows.push(...(await this.#run(partition, () => collectPartition(this.#node, partition))).slice(0, count - rows.length));
    }
    return rows;
  }

  /**
   * Calls `f` for each partition, one after another, and waits for what it returns. A partition is tried again when `f` throws, and after a crash of the driver:
   * at least once. With `commitKey` in the user's own transaction it becomes exactly once.
   */
  async foreachPartition(f: (rows: readonly T[], context: PartitionContext) => void | Promise<void>): Promise<void> {
    const { app, output, batchTime } = this.#scope;
    for (let partitionId = 0; partitionId < this.partitionCount; partitionId++) {
      await this.#run(partitionId, async () =>
        f(await collectPartition(this.#node, partitionId), { commitKey: { app, sink: output, batchTime, partitionId } }),
      );
    }
  }

  #run<R>(partition: number, work: () => Promise<R>): Promise<R> {
    return this.#scope.tasks.run(`partition ${partition} of "${this.#scope.output}" at ${this.#scope.batchTime}`, work);
  }
}
