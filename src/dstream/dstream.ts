// A stream as the user sees it: Spark's method names, typed. Every method adds to the graph; nothing is computed here.
import type { KeyOf, KeyValuePair, Rec, Storable, ValueOf } from '../core/records.ts';
import type { BatchTime } from '../core/time.ts';
import { filterNode, flatMapNode, mapNode } from '../rdd/node.ts';
import type { RDD } from '../rdd/rdd.ts';
import type { Sink } from '../sinks/sink.ts';
import type { UpdateFunction } from '../state/update-slot.ts';
import type { Graph, StreamNode } from './graph.ts';
import { addNarrow } from './operators/narrow.ts';
import { addReduceByKey } from './operators/reduce-by-key.ts';
import { addUpdateStateByKey } from './operators/update-state-by-key.ts';
import type { OperatorOptions, ShuffleOptions } from './options.ts';
import { addForeachRdd } from './outputs/foreach-rdd.ts';
import { addPrint, PRINT_RECORDS } from './outputs/print.ts';
import { addSaveTo } from './outputs/save-to.ts';

/** What `foreachRDD` hands over besides the dataset. */
export interface ForeachContext {
  /** The batch, in milliseconds since the Unix epoch. */
  readonly time: BatchTime;
}

/**
 * A sequence of datasets, one per batch. Operators return new streams; outputs (`saveTo`, `foreachRDD`, `print`) make something happen. User functions are synchronous,
 * except that of `foreachRDD`.
 *
 * @typeParam T - The records.
 * @example
 * ```ts
 * import { StreamingContext, seconds } from 'millrace';
 *
 * const context = new StreamingContext({ appName: 'word-count', batchInterval: seconds(1) });
 * context
 *   .socketTextStream('localhost', 9999)
 *   .flatMap((line) => line.split(' '))
 *   .map((word) => [word, 1])
 *   .reduceByKey((left, right) => left + right)
 *   .print();
 * ```
 */
export class DStream<out T> {
  readonly #graph: Graph;
  readonly #node: StreamNode<T>;

  /** @internal */
  constructor(graph: Graph, node: StreamNode<T>) {
    this.#graph = graph;
    this.#node = node;
  }

  /** The stable name of the stream. */
  get uid(): string {
    return this.#node.descriptor.uid;
  }

  /**
   * Applies `f` to each record.
   *
   * @param f - Returns a record: anything the JSON codec carries; a function or a promise is a type error.
   */
  map<U extends Rec>(f: (value: T) => U & Storable<U>, options: OperatorOptions = {}): DStream<U> {
    return new DStream(this.#graph, addNarrow(this.#graph, this.#node, { kind: 'map', options, apply: (node) => mapNode<T, U>(node, f) }));
  }

  /** Applies `f` to each record and takes all records that it returns. */
  flatMap<U extends Rec>(f: (value: T) => Iterable<U & Storable<U>>, options: OperatorOptions = {}): DStream<U> {
    return new DStream(this.#graph, addNarrow(this.#graph, this.#node, { kind: 'flatMap', options, apply: (node) => flatMapNode<T, U>(node, f) }));
  }

  /** Keeps the records for which `f` is true; a type guard narrows the stream. */
  filter<U extends T>(f: (value: T) => value is U, options?: OperatorOptions): DStream<U>;
  filter(f: (value: T) => boolean, options?: OperatorOptions): DStream<T>;
  filter(f: (value: T) => boolean, options: OperatorOptions = {}): DStream<T> {
    return new DStream(this.#graph, addNarrow(this.#graph, this.#node, { kind: 'filter', options, apply: (node) => filterNode(node, f) }));
  }

  /**
   * Within each batch, brings the values of each key together.
   *
   * @param f - Associative; called with values of one key in the order of the source within a block, and of the blocks among each other.
   */
  reduceByKey(
    this: DStream<KeyValuePair>,
    f: (left: ValueOf<T>, right: ValueOf<T>) => ValueOf<T>,
    options: ShuffleOptions = {},
  ): DStream<[KeyOf<T>, ValueOf<T>]> {
    const parent = this.#node as StreamNode<readonly [KeyOf<T>, ValueOf<T>]>;
    return new DStream(this.#graph, addReduceByKey(this.#graph, parent, { f, options }));
  }

  /**
   * Keeps a state for each key over all batches, and gives every key with its state in every batch.
   *
   * @param f - Called for every key that has state or new values, in every batch: the new values in order (none for a key without data) and the state (undefined at first).
   * What it returns is the new state; undefined removes the key. An object it is handed is a copy: only what is returned counts.
   */
  updateStateByKey<S extends Rec>(
    this: DStream<KeyValuePair>,
    f: (values: readonly ValueOf<T>[], state: S | undefined) => (S & Storable<S>) | undefined,
    options: ShuffleOptions = {},
  ): DStream<[KeyOf<T>, S]> {
    const parent = this.#node as StreamNode<readonly [KeyOf<T>, ValueOf<T>]>;
    return new DStream(this.#graph, addUpdateStateByKey<KeyOf<T>, S>(this.#graph, parent, { update: f as UpdateFunction, options }));
  }

  /**
   * Commits each partition of each batch to a sink: exactly once for a transactional one. One sink object serves one output.
   *
   * @throws {UsageError} If another output uses the sink.
   */
  saveTo(sink: Sink<T>, options: OperatorOptions = {}): void {
    addSaveTo(this.#graph, this.#node, { sink, options });
  }

  /**
   * Calls `f` with the dataset of each batch, in order, and waits for what it returns. At least once: after a crash it is called again for a batch that was not completed.
   * Nothing is computed unless `f` calls an action of the dataset.
   */
  foreachRDD(f: (rdd: RDD<T>, context: ForeachContext) => void | Promise<void>, options: OperatorOptions = {}): void {
    addForeachRdd(this.#graph, this.#node, { f: (rdd, time) => f(rdd, { time }), options });
  }

  /**
   * Shows the first records of each batch on standard output, in Spark's form.
   *
   * @param count - How many records (default 10); `...` follows when there are more.
   */
  print(count?: number, options?: OperatorOptions): void;
  print(options: OperatorOptions): void;
  print(first: number | OperatorOptions = PRINT_RECORDS, second: OperatorOptions = {}): void {
    const [count, options] = typeof first === 'number' ? [first, second] : [PRINT_RECORDS, first];
    addPrint(this.#graph, this.#node, { count, options, to: () => this.#graph.output });
  }
}
