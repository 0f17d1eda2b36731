// A stream as the user sees it: Spark's method names, typed. Every method adds to the graph; nothing is computed here.
import type { KeyOf, KeyValuePair, PairOf, Rec, Storable, ValueOf } from '../core/records.ts';
import type { BatchTime } from '../core/time.ts';
import { UsageError } from '../core/errors.ts';
import type { Combiner } from '../rdd/aggregators.ts';
import type { Cogrouped, JoinKind } from '../rdd/cogroup.ts';
import { filterNode, flatMapNode, flatMapValuesNode, mapNode, mapPartitionsNode, mapValuesNode, type RddNode } from '../rdd/node.ts';
import type { RDD } from '../rdd/rdd.ts';
import type { Sink } from '../sinks/sink.ts';
import type { MapFunction, State } from '../state/map-slot.ts';
import type { UpdateFunction } from '../state/update-slot.ts';
import type { Graph, StreamNode } from './graph.ts';
import { addCogroup } from './operators/cogroup.ts';
import { addCombineByKey } from './operators/combine-by-key.ts';
import { addCountByValue } from './operators/count-by-value.ts';
import { addGroupByKey } from './operators/group-by-key.ts';
import { addJoin } from './operators/join.ts';
import { addMapAsync } from './operators/map-async.ts';
import { addMapWithState, addStateSnapshots } from './operators/map-with-state.ts';
import { addNarrow } from './operators/narrow.ts';
import { addReduceByKey } from './operators/reduce-by-key.ts';
import { addRepartition } from './operators/repartition.ts';
import { addCount, addReduce } from './operators/totals.ts';
import { addTransform, type TransformFunction } from './operators/transform.ts';
import type { StatefulStream } from './operators/stateful.ts';
import { addUnion } from './operators/union.ts';
import { addUpdateStateByKey } from './operators/update-state-by-key.ts';
import type {
  CombineOptions,
  MapAsyncOptions,
  MapWithStateOptions,
  OperatorOptions,
  OutputOptions,
  ShuffleOptions,
  StatefulOptions,
  TransformOptions,
} from './options.ts';
import { addForeachRdd } from './outputs/foreach-rdd.ts';
import { addPrint, PRINT_RECORDS } from './outputs/print.ts';
import { addSaveAsTextFiles } from './outputs/save-as-text-files.ts';
import { addSaveTo } from './outputs/save-to.ts';

/** What `foreachRDD` and `transform` hand over besides the dataset. */
export interface BatchContext {
  /** The batch, in milliseconds since the Unix epoch. */
  readonly time: BatchTime;
}

/**
 * A sequence of datasets, one per batch. Operators return new streams; outputs (`saveTo`, `foreachRDD`, `print`) make something happen. User functions are synchronous,
 * except those of `mapAsync`, `transform`, `transformWith` and `foreachRDD`.
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

  /**
   * The node of a stream that must belong to the same context as another.
   *
   * @internal
   */
  static nodeOf<T>(stream: DStream<T>, graph: Graph, kind: string): StreamNode<T> {
    const given: unknown = stream;
    if (!(given instanceof DStream)) throw new UsageError('STREAM_INVALID_GRAPH', `Cannot add ${kind} as it must be given streams: found ${typeof given}`);
    if (stream.#graph === graph) return stream.#node;
    throw new UsageError(
      'STREAM_INVALID_GRAPH',
      `Cannot add ${kind} as its streams must be of one context: "${stream.uid}" belongs to another. Make all of them from the context that create() returns`,
    );
  }

  /** The stable name of the stream. */
  get uid(): string {
    return this.#node.descriptor.uid;
  }

  /**
   * Applies `f` to each record.
   *
   * @param f - Returns a record: anything the default codec carries (docs/format-checkpoint.md, "Values"); a function or a promise is a type error.
   */
  map<U extends Rec>(f: (value: T) => U & Storable<U>, options: OperatorOptions = {}): DStream<U> {
    return this.#derive(addNarrow(this.#graph, this.#node, { kind: 'map', options, apply: (node) => mapNode<T, U>(node, f) }));
  }

  /** Applies `f` to each record and takes all records that it returns. */
  flatMap<U extends Rec>(f: (value: T) => Iterable<U & Storable<U>>, options: OperatorOptions = {}): DStream<U> {
    return this.#derive(addNarrow(this.#graph, this.#node, { kind: 'flatMap', options, apply: (node) => flatMapNode<T, U>(node, f) }));
  }

  /** Keeps the records for which `f` is true; a type guard narrows the stream. */
  filter<U extends T>(f: (value: T) => value is U, options?: OperatorOptions): DStream<U>;
  filter(f: (value: T) => boolean, options?: OperatorOptions): DStream<T>;
  filter(f: (value: T) => boolean, options: OperatorOptions = {}): DStream<T> {
    return this.#derive(addNarrow(this.#graph, this.#node, { kind: 'filter', options, apply: (node) => filterNode(node, f) }));
  }

  /** Applies `f` to all records of a partition at once; they stand in memory while it runs. */
  mapPartitions<U extends Rec>(f: (rows: readonly T[]) => Iterable<U & Storable<U>>, options: OperatorOptions = {}): DStream<U> {
    const apply = (node: RddNode<T>): RddNode<U> => mapPartitionsNode<T, U>(node, f);
    return this.#derive(addNarrow(this.#graph, this.#node, { kind: 'mapPartitions', options, apply }));
  }

  /** Makes one array of each partition, an empty one too. */
  glom(options: OperatorOptions = {}): DStream<T[]> {
    const apply = (node: RddNode<T>): RddNode<T[]> => mapPartitionsNode(node, (rows) => [[...rows]], 'glom');
    return this.#derive(addNarrow(this.#graph, this.#node, { kind: 'glom', options, apply }));
  }

  /**
   * Applies an asynchronous `f` to each record, at most `concurrency` calls at a time per partition. The order of the records stays.
   *
   * @param f - Called at least once per record: again when a call for the partition fails, and again after a crash. What it resolves to must be the same then.
   * `signal` is aborted when the context stops without waiting.
   */
  mapAsync<U extends Rec>(f: (value: T, context: { readonly signal: AbortSignal }) => Promise<U & Storable<U>>, options: MapAsyncOptions = {}): DStream<U> {
    return this.#derive(addMapAsync<T, U>(this.#graph, this.#node, { f, options }));
  }

  /** All records of both streams, those of this one first. Nothing is removed. */
  union(other: DStream<T>, options: OperatorOptions = {}): DStream<T> {
    return this.#derive(addUnion(this.#graph, [this.#node, DStream.nodeOf(other, this.#graph, 'union')], options));
  }

  /** One record per batch: how many there are; 0 for an empty batch. */
  count(options: OperatorOptions = {}): DStream<number> {
    return this.#derive(addCount(this.#graph, this.#node, options));
  }

  /** Pairs of a record and how many equal ones the batch has. */
  countByValue(options: ShuffleOptions = {}): DStream<[T, number]> {
    return this.#derive(addCountByValue(this.#graph, this.#node, options));
  }

  /** One record per batch, all brought together by `f`, which must be associative; none for an empty batch. */
  reduce(f: (left: T, right: T) => T, options: OperatorOptions = {}): DStream<T> {
    return this.#derive(addReduce(this.#graph, this.#node, { f, options }));
  }

  /** The records dealt out evenly over `numPartitions` partitions, from 1 to 1,024. */
  repartition(numPartitions: number, options: OperatorOptions = {}): DStream<T> {
    return this.#derive(addRepartition(this.#graph, this.#node, { numPartitions, options }));
  }

  /**
   * Calls `f` with the dataset of each batch, once per batch, on the driver's thread; what it returns is the dataset of the new stream. `f` may compute with actions first.
   *
   * @param f - Called again when the batch runs again: it must give the same then.
   */
  transform<U extends Rec>(f: (rdd: RDD<T>, context: BatchContext) => RDD<U> | Promise<RDD<U>>, options: TransformOptions = {}): DStream<U> {
    const apply: TransformFunction<U> = ([rdd], time) => f(rdd as RDD<T>, { time });
    return this.#derive(addTransform(this.#graph, [this.#node], { kind: 'transform', f: apply, options }));
  }

  /** As `transform`, with the datasets of two streams. */
  transformWith<V, U extends Rec>(
    other: DStream<V>,
    f: (left: RDD<T>, right: RDD<V>, context: BatchContext) => RDD<U> | Promise<RDD<U>>,
    options: TransformOptions = {},
  ): DStream<U> {
    const kind = 'transformWith';
    const apply: TransformFunction<U> = ([left, right], time) => f(left as RDD<T>, right as RDD<V>, { time });
    return this.#derive(addTransform(this.#graph, [this.#node, DStream.nodeOf(other, this.#graph, kind)], { kind, f: apply, options }));
  }

  /** Applies `f` to each value; keys stay. */
  mapValues<U extends Rec>(this: DStream<KeyValuePair>, f: (value: ValueOf<T>) => U & Storable<U>, options: OperatorOptions = {}): DStream<[KeyOf<T>, U]> {
    const apply = (node: RddNode<PairOf<T>>): RddNode<[KeyOf<T>, U]> => mapValuesNode(node, f);
    return this.#derive(addNarrow(this.#graph, this.#pairs<T>(), { kind: 'mapValues', options, apply }));
  }

  /** Applies `f` to each value and pairs the key with each that it returns. */
  flatMapValues<U extends Rec>(
    this: DStream<KeyValuePair>,
    f: (value: ValueOf<T>) => Iterable<U & Storable<U>>,
    options: OperatorOptions = {},
  ): DStream<[KeyOf<T>, U]> {
    const apply = (node: RddNode<PairOf<T>>): RddNode<[KeyOf<T>, U]> => flatMapValuesNode<KeyOf<T>, ValueOf<T>, U>(node, f);
    return this.#derive(addNarrow(this.#graph, this.#pairs<T>(), { kind: 'flatMapValues', options, apply }));
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
    return this.#derive(addReduceByKey(this.#graph, this.#pairs<T>(), { f, options }));
  }

  /** Within each batch, all values of each key as an array, in order. They stand in memory together; where `reduceByKey` will do, it needs less. */
  groupByKey(this: DStream<KeyValuePair>, options: ShuffleOptions = {}): DStream<[KeyOf<T>, ValueOf<T>[]]> {
    return this.#derive(addGroupByKey(this.#graph, this.#pairs<T>(), options));
  }

  /** Within each batch, brings the values of each key together into something of another type. */
  combineByKey<C extends Rec>(this: DStream<KeyValuePair>, combiner: Combiner<ValueOf<T>, C>, options: CombineOptions = {}): DStream<[KeyOf<T>, C]> {
    return this.#derive(addCombineByKey(this.#graph, this.#pairs<T>(), { combiner, options }));
  }

  /** Within each batch, for each key of either stream all its values on either side. */
  cogroup<W>(this: DStream<KeyValuePair>, other: DStream<readonly [KeyOf<T>, W]>, options: ShuffleOptions = {}): DStream<Cogrouped<KeyOf<T>, ValueOf<T>, W>> {
    return this.#derive(addCogroup(this.#graph, [this.#pairs<T>(), DStream.nodeOf(other, this.#graph, 'cogroup')], options));
  }

  /** Within each batch, for each key of both streams every pair of a value here and a value there. */
  join<W>(this: DStream<KeyValuePair>, other: DStream<readonly [KeyOf<T>, W]>, options: ShuffleOptions = {}): DStream<[KeyOf<T>, [ValueOf<T>, W]]> {
    return this.#joined<T, W>('join', other, options) as DStream<[KeyOf<T>, [ValueOf<T>, W]]>;
  }

  /** As `join`; a value whose key is here alone is paired with null. */
  leftOuterJoin<W>(
    this: DStream<KeyValuePair>,
    other: DStream<readonly [KeyOf<T>, W]>,
    options: ShuffleOptions = {},
  ): DStream<[KeyOf<T>, [ValueOf<T>, W | null]]> {
    return this.#joined<T, W>('leftOuterJoin', other, options) as DStream<[KeyOf<T>, [ValueOf<T>, W | null]]>;
  }

  /** As `join`; a value whose key is there alone is paired with null. */
  rightOuterJoin<W>(
    this: DStream<KeyValuePair>,
    other: DStream<readonly [KeyOf<T>, W]>,
    options: ShuffleOptions = {},
  ): DStream<[KeyOf<T>, [ValueOf<T> | null, W]]> {
    return this.#joined<T, W>('rightOuterJoin', other, options) as DStream<[KeyOf<T>, [ValueOf<T> | null, W]]>;
  }

  /** As `join`; a value whose key is on one side alone is paired with null. */
  fullOuterJoin<W>(
    this: DStream<KeyValuePair>,
    other: DStream<readonly [KeyOf<T>, W]>,
    options: ShuffleOptions = {},
  ): DStream<[KeyOf<T>, [ValueOf<T> | null, W | null]]> {
    return this.#joined<T, W>('fullOuterJoin', other, options);
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
    options: StatefulOptions<KeyOf<T>, S> = {},
  ): DStream<[KeyOf<T>, S]> {
    return this.#derive(addUpdateStateByKey<KeyOf<T>, S>(this.#graph, this.#pairs<T>(), { update: f as UpdateFunction, options }));
  }

  /**
   * Keeps a state for each key over all batches, and touches only keys that have data: `f` is called for each record, and what it returns is a record of the new stream.
   *
   * @param f - Called with key, value and state, key by key within a batch, the values of a key in order; `undefined` puts nothing out. With a `timeout`, also once for each key that has been
   * idle for longer, behind all records of the batch: its value is undefined then, and the key goes.
   */
  mapWithState<S extends Rec, U extends Rec>(
    this: DStream<KeyValuePair>,
    f: (key: KeyOf<T>, value: ValueOf<T> | undefined, state: State<S>) => (U & Storable<U>) | undefined,
    options: MapWithStateOptions<KeyOf<T>, S> = {},
  ): MapWithStateDStream<KeyOf<T>, S, U> {
    const stream = addMapWithState<KeyOf<T>, S, U>(this.#graph, this.#pairs<T>(), { map: f as MapFunction, options });
    return new MapWithStateDStream(this.#graph, stream, options.timeout !== undefined);
  }

  /**
   * Commits each partition of each batch to a sink: exactly once for a transactional one. One sink object serves one output.
   *
   * @param options - With `exactlyOnce: true` the start is refused where a source or the sink promises less.
   * @throws {UsageError} If another output uses the sink.
   */
  saveTo(sink: Sink<T>, options: OutputOptions = {}): void {
    addSaveTo(this.#graph, this.#node, { sink, options });
  }

  /**
   * Calls `f` with the dataset of each batch, in order, and waits for what it returns. At least once: after a crash it is called again for a batch that was not completed.
   * Nothing is computed unless `f` calls an action of the dataset.
   */
  foreachRDD(f: (rdd: RDD<T>, context: BatchContext) => void | Promise<void>, options: OutputOptions = {}): void {
    addForeachRdd(this.#graph, this.#node, { f: (rdd, time) => f(rdd, { time }), options });
  }

  /**
   * Shows the first records of each batch on standard output, in Spark's form.
   *
   * @param count - How many records (default 10); `...` follows when there are more.
   */
  print(count?: number, options?: OutputOptions): void;
  print(options: OutputOptions): void;
  print(first: number | OutputOptions = PRINT_RECORDS, second: OutputOptions = {}): void {
    const [count, options] = typeof first === 'number' ? [first, second] : [PRINT_RECORDS, first];
    addPrint(this.#graph, this.#node, { count, options, to: () => this.#graph.output });
  }

  /**
   * Writes each batch as text files into a directory of its own, `prefix-TIME[.suffix]`, as `saveAsTextFile` of a dataset does: `part-00000` and so on, then `_SUCCESS`.
   * A batch that runs again writes the same files again; where `_SUCCESS` stands, all of them do. Directories above are made.
   *
   * @param prefix - The path up to the time of the batch in milliseconds; ends with a slash, or is empty, where nothing stands between.
   */
  saveAsTextFiles(prefix: string, suffix?: string, options?: OutputOptions): void;
  saveAsTextFiles(prefix: string, options: OutputOptions): void;
  saveAsTextFiles(prefix: string, second?: string | OutputOptions, third: OutputOptions = {}): void {
    const [suffix, options] = typeof second === 'object' ? [undefined, second] : [second, third];
    addSaveAsTextFiles(this.#graph, this.#node, { prefix, suffix, options });
  }

  #derive<U>(node: StreamNode<U>): DStream<U> {
    return new DStream(this.#graph, node);
  }

  /** The one cast of the pair methods: their `this` types say that the records are pairs. */
  #pairs<P>(): StreamNode<PairOf<P>> {
    return this.#node as StreamNode<unknown> as StreamNode<PairOf<P>>;
  }

  #joined<P, W>(kind: JoinKind, other: DStream<readonly [KeyOf<P>, W]>, options: ShuffleOptions): DStream<[KeyOf<P>, [ValueOf<P> | null, W | null]]> {
    const parents = [this.#pairs<P>(), DStream.nodeOf(other, this.#graph, kind)] as const;
    return this.#derive(addJoin<KeyOf<P>, ValueOf<P>, W>(this.#graph, parents, { kind, options }));
  }
}

/**
 * What `mapWithState` returns: the stream of what its function returns, and beside it the state.
 *
 * @typeParam K - The keys.
 * @typeParam S - The state of a key.
 * @typeParam U - The records.
 * @example
 * ```ts
 * import { minutes, seconds, StreamingContext } from 'millrace';
 *
 * const context = new StreamingContext({ appName: 'sessions', batchInterval: seconds(1) });
 * context
 *   .socketTextStream('localhost', 9999)
 *   .map((user) => [user, 1])
 *   .mapWithState<number, [string, number]>(
 *     (user, click, state) => {
 *       const clicks = (state.getOption() ?? 0) + (click ?? 0);
 *       if (state.isTimingOut()) return [user, clicks];
 *       state.update(clicks);
 *       return undefined;
 *     },
 *     { uid: 'sessions', timeout: minutes(30) },
 *   )
 *   .print();
 * ```
 */
export class MapWithStateDStream<K, S, out U> extends DStream<U> {
  readonly #graph: Graph;
  readonly #stream: StatefulStream<unknown, U>;
  readonly #isOrdered: boolean;

  /** @internal */
  constructor(graph: Graph, stream: StatefulStream<unknown, U>, isOrdered: boolean) {
    super(graph, stream.node);
    this.#graph = graph;
    this.#stream = stream;
    this.#isOrdered = isOrdered;
  }

  /** All keys with their state, as each batch leaves it. */
  stateSnapshots(options: OperatorOptions = {}): DStream<[K, S]> {
    return new DStream(this.#graph, addStateSnapshots<K, S>(this.#graph, this.#stream, { isOrdered: this.#isOrdered, options }));
  }
}
