// Makes datasets outside a stream, and runs their tasks: what Spark calls a SparkContext.
import { UsageError } from '../core/errors.ts';
import { KEY_SLOTS } from '../core/key-slot.ts';
import { optionError, partitionsOption, refuseUnknownOptions, textOption, wholeOption } from '../core/options.ts';
import type { Rec } from '../core/records.ts';
import type { Env } from '../env/env.ts';
import { createNodeEnv } from '../env/node-env.ts';
import { createTaskRunner, DEFAULT_ATTEMPTS } from '../executor/task-runner.ts';
import { planFile, type FilePiece } from './file-pieces.ts';
import { leaf, rowsNode, unionNode } from './node.ts';
import { RDD, type PartitionOptions } from './rdd.ts';
import type { RddScope } from './scope.ts';
import { filePartitions, prepareLines } from './text-file.ts';

/** Options of an {@link RddContext}. */
export interface RddContextOptions {
  /**
   * How many partitions a dataset has where no count is given, from 1 to 1,024.
   *
   * @defaultValue 1
   */
  readonly defaultParallelism?: number;
  /**
   * How often a task is tried before its action fails.
   *
   * @defaultValue 4
   */
  readonly taskAttemptsMax?: number;
  /**
   * Clock and files; a simulation for tests.
   *
   * @defaultValue Those of this process.
   */
  readonly env?: Env;
}

/**
 * Makes datasets: from rows, from text files. A StreamingContext has one, its own or one that it is given and may leave to the next context.
 *
 * @example
 * ```ts
 * import { RddContext } from 'millrace';
 *
 * const context = new RddContext({ defaultParallelism: 2 });
 * const squares = context.parallelize([1, 2, 3, 4]).map((n) => n * n);
 * console.assert((await squares.reduce((left, right) => left + right)) === 30);
 * await context.stop();
 * ```
 */
export class RddContext implements AsyncDisposable {
  /** How many partitions a dataset has where no count is given. */
  readonly defaultParallelism: number;
  readonly #attemptsMax: number;
  readonly #abort = new AbortController();
  #env: Env | undefined;
  #scope: RddScope | undefined;

  /**
   * @throws {UsageError} If an option is unknown or out of range.
   */
  constructor(options: RddContextOptions = {}) {
    const owner = 'RddContext';
    refuseUnknownOptions(owner, options, ['defaultParallelism', 'taskAttemptsMax', 'env']);
    this.defaultParallelism = wholeOption(owner, 'defaultParallelism', { value: options.defaultParallelism, fallback: 1, min: 1, max: KEY_SLOTS });
    this.#attemptsMax = wholeOption(owner, 'taskAttemptsMax', { value: options.taskAttemptsMax, fallback: DEFAULT_ATTEMPTS.attemptsMax, min: 1 });
    this.#env = options.env;
  }

  /** Whether it was stopped. */
  get isStopped(): boolean {
    return this.#abort.signal.aborted;
  }

  /** Gives it the world of the streaming context it belongs to, unless it has one already.
   *
   * @internal */
  static attach(context: RddContext, env: Env): void {
    context.#env ??= env;
  }

  /** A dataset of rows that are there already, cut into partitions of nearly equal size. */
  parallelize<T extends Rec>(rows: Iterable<T>, options: PartitionOptions = {}): RDD<T> {
    refuseUnknownOptions('parallelize', options, ['numPartitions']);
    const partitions = partitionsOption('parallelize', options.numPartitions, this.defaultParallelism);
    return new RDD<T>(rowsNode('parallelize', [...rows], partitions), this.#requireScope());
  }

  /**
   * A dataset of the lines of a text file, or of all text files of a directory, in the order of their names; names that begin with `.` or `_` are left out. A name that ends in
   * `.gz` is decompressed. Resolves when the files were looked at; their lines are read by each action, and a file that is not what it was then fails the action.
   *
   * @throws {UsageError} If nothing is there.
   */
  async textFile(path: string): Promise<RDD<string>> {
    const scope = this.#requireScope();
    const { files } = scope;
    const root = textOption('textFile', 'path', path);
    const found = await files.stat(root);
    if (found === undefined) throw optionError('textFile', 'path', { expected: 'the path of a file or directory that is there', found: path });
    const names = found.kind === 'directory' ? await listed(scope, root) : [root];
    const places: FilePiece[] = [];
    // One after another: each is read whole, a piece in memory at a time.
    for (const name of names) {
      const file = await planFile(files, name, name);
      if (file === undefined) throw optionError('textFile', 'path', { expected: 'files that stay as they are', found: name });
      for (let piece = 0; piece < filePartitions(file, false); piece++) places.push({ file, piece });
    }
    return new RDD<string>(
      {
        lineage: leaf(`textFile ${path}`),
        partitionCount: places.length,
        async prepare(partition) {
          const place = places[partition];
          return place === undefined ? () => undefined : prepareLines(files, place.file.name, place);
        },
      },
      scope,
    );
  }

  /** The records of all datasets, one after another. */
  union<T extends Rec>(rdds: readonly RDD<T>[]): RDD<T> {
    return new RDD<T>(unionNode(rdds.map((rdd) => RDD.nodeOf(rdd))), this.#requireScope());
  }

  /** Ends it: actions that run end at their next step, nothing new begins. Safe to call again. */
  stop(): Promise<void> {
    this.#abort.abort();
    return Promise.resolve();
  }

  /** Stops it. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #requireScope(): RddScope {
    if (this.isStopped)
      throw new UsageError(
        'STREAM_ILLEGAL_STATE',
        'Cannot make a dataset as the RddContext must not be stopped: it was. Make a new one, or stop the StreamingContext with { rddContext: false }',
      );
    if (this.#scope !== undefined) return this.#scope;
    // Datasets are made before a streaming context gives its world: it is asked for when they are computed.
    const world = (): Env => (this.#env ??= createNodeEnv());
    const policy = { ...DEFAULT_ATTEMPTS, attemptsMax: this.#attemptsMax };
    const { signal } = this.#abort;
    this.#scope = {
      tasks: { signal, run: (name, work) => createTaskRunner(world().clock, signal, policy).run(name, work) },
      get files() {
        return world().files;
      },
      defaultParallelism: this.defaultParallelism,
      name: 'a dataset',
      commit: undefined,
    };
    return this.#scope;
  }
}

async function listed({ files }: RddScope, directory: string): Promise<readonly string[]> {
  const entries = await files.entries(directory);
  return entries.filter(({ name, kind }) => kind === 'file' && !name.startsWith('.') && !name.startsWith('_')).map(({ name }) => `${directory}/${name}`);
}
