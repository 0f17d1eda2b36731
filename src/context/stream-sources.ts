// What a program is made of: the sources, and the operators over several streams. Every method adds to the graph; nothing runs here.
import { UsageError } from '../core/errors.ts';
import type { Rec } from '../core/records.ts';
import type { MissedBatches } from '../core/time.ts';
import { DStream, type BatchContext } from '../dstream/dstream.ts';
import { explainGraph, type Explanation } from '../dstream/explain.ts';
import type { Graph, StreamNode } from '../dstream/graph.ts';
import { addPolledBlocks, addReceiver } from '../dstream/operators/block-source.ts';
import { addFileSource } from '../dstream/operators/file-source.ts';
import { addTransform } from '../dstream/operators/transform.ts';
import { addUnion } from '../dstream/operators/union.ts';
import type { OperatorOptions, TransformOptions } from '../dstream/options.ts';
import type { RDD } from '../rdd/rdd.ts';
import type { RddContext } from '../rdd/rdd-context.ts';
import { createIterableReceiver, type AsyncSource } from '../sources/iterable-receiver.ts';
import { createQueueSource, type QueueItem } from '../sources/queue-source.ts';
import type { Receiver } from '../sources/receiver.ts';
import { createSocketReceiver } from '../sources/socket-receiver.ts';
import {
  resolveFileOptions,
  resolveIterableOptions,
  resolveQueueOptions,
  resolveReceiverOptions,
  resolveSocketOptions,
  type CodecFileStreamOptions,
  type IterableStreamOptions,
  type QueueStreamOptions,
  type ReceiverStreamOptions,
  type SocketStreamOptions,
  type TextFileStreamOptions,
} from './source-options.ts';

/** The part of a {@link StreamingContext} that makes streams. */
export abstract class StreamSources {
  /** @internal */
  protected readonly graph: Graph;
  /** Makes datasets beside the streams, such as a list of names to join with. */
  readonly rddContext: RddContext;

  /** Whether records are logged where a stream does not say otherwise. */
  readonly #isLogged: boolean;
  readonly #missedBatches: MissedBatches;

  /** @internal */
  constructor(parts: { readonly graph: Graph; readonly rddContext: RddContext; readonly isLogged: boolean; readonly missedBatches: MissedBatches }) {
    this.graph = parts.graph;
    this.rddContext = parts.rddContext;
    this.#isLogged = parts.isLogged;
    this.#missedBatches = parts.missedBatches;
  }

  /**
   * A stream of the lines of a server that the program connects to. Lines end with a line feed; a carriage return before it goes. The connection is made again when it ends.
   *
   * @param host - The host.
   * @param port - The port, from 1 to 65,535.
   * @throws {UsageError} If an argument or option is wrong, or the context was started.
   */
  socketTextStream(host: string, port: number, options: SocketStreamOptions = {}): DStream<string> {
    const { isLogged = this.#isLogged, ...settings } = resolveSocketOptions(host, port, options);
    return new DStream(this.graph, addReceiver(this.graph, createSocketReceiver(settings), { kind: 'socketTextStream', uid: options.uid, isLogged }));
  }

  /**
   * A stream of the records of a receiver of your own. Several receivers of one program run side by side and share the log.
   *
   * @throws {UsageError} If an option is wrong, or the context was started.
   */
  receiverStream<T>(receiver: Receiver<T>, options: ReceiverStreamOptions = {}): DStream<T> {
    const { uid, isLogged = this.#isLogged } = resolveReceiverOptions(options);
    return new DStream(this.graph, addReceiver(this.graph, receiver, { kind: 'receiverStream', uid, isLogged }));
  }

  /**
   * A stream of what an iterable gives. With `position` each record counts exactly once, if the iterable gives the same records at the same positions again.
   *
   * @param iterable - An iterable, asynchronous or not, or a function that makes one, called with the position to begin at: 0, or one behind the last record that is in the log.
   * A function is called again when its iterable throws. When the iterable ends, no more records come.
   * @throws {UsageError} If an option is wrong, or the context was started.
   */
  fromAsyncIterable<T extends Rec>(iterable: AsyncSource<T>, options: IterableStreamOptions<T> = {}): DStream<T> {
    const { uid, position, isLogged = this.#isLogged } = resolveIterableOptions(iterable, options);
    return new DStream(this.graph, addReceiver(this.graph, createIterableReceiver(iterable, position), { kind: 'fromAsyncIterable', uid, isLogged }));
  }

  /**
   * A stream of the files that are moved into a directory, line by line: each file once, also over restarts. A file is taken when its name is new and it has not changed for
   * `settleTime`; names that begin with `.` or `_` or end like those of unfinished files are left out. A name that ends in `.gz` is decompressed. A file that goes or changes
   * between its batch and the checkpoint that covers it is an error that names it.
   *
   * @param directory - The directory, or a glob of directories. It must be there when the context starts.
   * @throws {UsageError} If an argument or option is wrong, or the context was started.
   */
  textFileStream(directory: string, options?: TextFileStreamOptions): DStream<string>;
  textFileStream<T extends Rec>(directory: string, options: CodecFileStreamOptions<T>): DStream<T>;
  textFileStream<T extends Rec>(directory: string, options: TextFileStreamOptions & Partial<CodecFileStreamOptions<T>> = {}): DStream<T | string> {
    const { settings, uid, codec } = resolveFileOptions(directory, options);
    return new DStream<T | string>(this.graph, addFileSource<T | string>(this.graph, settings, { uid, codec }));
  }

  /**
   * A stream of what the program pushes into an array: each batch takes the first item, or all with `oneAtATime: false`. What a batch takes is in the log before the batch is
   * planned; what still stands in the array at a crash is lost.
   *
   * @param queue - Items are taken from its beginning: datasets, or arrays of records.
   * @throws {UsageError} If an argument or option is wrong, or the context was started.
   */
  queueStream<T extends Rec>(queue: QueueItem<T>[], options: QueueStreamOptions<T> = {}): DStream<T> {
    const { uid, settings } = resolveQueueOptions(queue, options);
    return new DStream<T>(
      this.graph,
      addPolledBlocks<T>(this.graph, createQueueSource(queue, settings), { kind: 'queueStream', uid, isLogged: this.#isLogged }),
    );
  }

  /**
   * All records of several streams, one stream after another. Nothing is removed.
   *
   * @throws {UsageError} If there is no stream, or one of another context.
   */
  union<T>(streams: readonly DStream<T>[], options: OperatorOptions = {}): DStream<T> {
    return new DStream(this.graph, addUnion(this.graph, this.#nodesOf('union', streams), options));
  }

  /**
   * Calls `f` with the datasets of several streams, once per batch, as {@link DStream.transform} does.
   *
   * @throws {UsageError} If there is no stream, or one of another context.
   */
  transform<U extends Rec>(
    streams: readonly DStream<unknown>[],
    f: (rdds: readonly RDD<unknown>[], context: BatchContext) => RDD<U> | Promise<RDD<U>>,
    options: TransformOptions = {},
  ): DStream<U> {
    const kind = 'transform';
    return new DStream(this.graph, addTransform<U>(this.graph, this.#nodesOf(kind, streams), { kind, f: (rdds, time) => f(rdds, { time }), options }));
  }

  /** What each path from a source to an output guarantees, and why. */
  explain(): Explanation {
    return explainGraph(this.graph, this.#missedBatches);
  }

  #nodesOf<T>(kind: 'union' | 'transform', streams: readonly DStream<T>[]): readonly StreamNode<T>[] {
    if (streams.length === 0) throw new UsageError('STREAM_INVALID_GRAPH', `Cannot add ${kind} as it must be given at least one stream: the list is empty`);
    return streams.map((stream) => DStream.nodeOf(stream, this.graph, kind));
  }
}
