// A world for traces: a source of words, sinks by name, and programs that are started, killed at an event, and started again.
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { run } from '../../src/cli/run.ts';
import type { CheckpointStore, StoreChange } from '../../src/checkpoint/checkpoint-store.ts';
import type { DiagnosticName } from '../../src/core/diagnostics.ts';
import { milliseconds, StreamingContext, type DStream, type GetOrCreateOptions, type Sink, type StreamingContextOptions } from '../../src/index.ts';
import { createSimCheckpointStore, createSimSink, ScriptedSource, SimCheckpointImage, SimProcess, SimTable } from '../../src/testing/index.ts';
import { World } from './world.ts';

/** A word and its count. */
export type Pair = readonly [string, number];
/** What a program is built of. */
export interface Parts {
  readonly words: DStream<string>;
  readonly context: StreamingContext;
  readonly trial: Trial;
}

/** Builds the rest of a program on its words. */
export type Build = (parts: Parts) => void;

/** Adds what came to what was there. */
export const sum = (values: readonly number[], before = 0): number => values.reduce((a, b) => a + b, before);

/** Counts the words into the sink "totals". */
export const counting: Build = ({ words, trial }) =>
  words
    .map((word): Pair => [word, 1])
    .updateStateByKey<number>(sum, { uid: 'counts' })
    .saveTo(trial.sink('totals'), { uid: 'totals' });

/** Puts each word out, and keeps nothing. */
export const copying: Build = ({ words, trial }) => words.map((word): Pair => [word, 1]).saveTo(trial.sink('totals'), { uid: 'totals' });

/** Words so long that a few dozen fill the segments of a trial. */
export function longWords(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `w${index % 11}`.padEnd(500, 'x'));
}

/** A world with a source of words. */
export class Trial extends World {
  readonly tables = new Map<string, SimTable<Pair>>();
  source: ScriptedSource<string>;
  settings: Partial<StreamingContextOptions> = {};
  directory = '/store';
  /** The checkpoint stores of directories other than the first. */
  readonly #images = new Map<string, SimCheckpointImage>();
  /** Called before a write of the checkpoint store, and behind it. */
  beforeWrite: (changes: readonly StoreChange[]) => Promise<void> = () => Promise.resolve();
  afterWrite: (changes: readonly StoreChange[]) => void = () => undefined;

  constructor(...words: readonly string[]) {
    super();
    this.source = new ScriptedSource({ records: words, window: 2 });
  }

  #createStore(directory: string): CheckpointStore {
    const image = directory === '/store/checkpoint' ? this.image : (this.#images.get(directory) ?? new SimCheckpointImage());
    this.#images.set(directory, image);
    const store = createSimCheckpointStore(image, this.process);
    return {
      ...store,
      write: async (changes) => {
        await this.beforeWrite(changes);
        await store.write(changes);
        this.afterWrite(changes);
      },
    };
  }

  override options(): GetOrCreateOptions {
    return { ...super.options(), checkpointStore: (directory) => this.#createStore(directory) };
  }

  table(name: string): SimTable<Pair> {
    const table = this.tables.get(name) ?? new SimTable<Pair>();
    this.tables.set(name, table);
    return table;
  }

  sink(name: string): Sink<Pair> {
    return createSimSink(this.table(name), this.process);
  }

  open(build: Build, options: GetOrCreateOptions = {}): Promise<StreamingContext> {
    const create = (): StreamingContext => {
      const context = new StreamingContext({
        appName: 'trial',
        batchInterval: milliseconds(100),
        blockInterval: milliseconds(20),
        checkpointInterval: milliseconds(100_000_000),
        segmentBytesMax: 8192,
        ballastBytes: 0,
        taskAttemptsMax: 1,
        ...this.settings,
      });
      build({ words: context.receiverStream(this.source.receiver(this.process), { uid: 'words' }), context, trial: this });
      return context;
    };
    return StreamingContext.getOrCreate(this.directory, create, { ...this.options(), ...options });
  }

  async start(build: Build, options: GetOrCreateOptions = {}): Promise<StreamingContext> {
    const context = await this.open(build, options);
    context.awaitTermination().catch(() => undefined);
    await this.drive(context.start());
    return context;
  }

  /** What a start is refused with. */
  async refused(build: Build): Promise<Error & { readonly code: string }> {
    const context = await this.open(build);
    const thrown: unknown = await this.drive(context.start()).then(
      () => new Error('the start was not refused'),
      (error: unknown) => error,
    );
    return thrown as Error & { readonly code: string };
  }

  /** Runs a program for a while and kills it. Returns the process that it was. */
  async crash(build: Build, ms = 450): Promise<SimProcess> {
    const { process } = this;
    await this.start(build);
    await this.pass(ms);
    this.die();
    return process;
  }

  /** Lives until the process dies, or for a while. */
  async live(build: Build): Promise<void> {
    const { process } = this;
    const life = async (): Promise<void> => {
      const context = await this.open(build);
      context.awaitTermination().catch(() => undefined);
      await context.start();
    };
    life().catch(() => undefined);
    for (let turn = 0; turn < 20 && process.isAlive; turn++) await this.pass(50);
    this.die();
  }

  /** Runs a program and kills it when an event happens for the n-th time. */
  async crashAt(event: DiagnosticName, build: Build, nth = 1, options: GetOrCreateOptions = {}): Promise<void> {
    let left = nth;
    const { process } = this;
    const onEvent = (): void => {
      left -= 1;
      if (left === 0) process.kill();
    };
    subscribe(`millrace:${event}`, onEvent);
    const context = await this.open(build, options);
    context.start().catch(() => undefined);
    await this.until(() => !process.isAlive);
    unsubscribe(`millrace:${event}`, onEvent);
    if (process.isAlive) throw new Error(`there was no ${event}`);
    this.die();
  }

  /** Runs a program to the end of the source and stops it. */
  async finish(build: Build, options: GetOrCreateOptions = {}): Promise<void> {
    const context = await this.start(build, options);
    await this.until(() => this.source.isDone || context.state !== 'running');
    await this.pass(200);
    await this.drive(context.stop());
    if (context.state !== 'stopped') await context.awaitTermination();
    this.die();
  }

  /** Runs a command of the tool, which must succeed. */
  async tool(...words: readonly string[]): Promise<void> {
    const { env } = this.options();
    if (env === undefined) throw new Error('a world has an env');
    const err: string[] = [];
    const load = (path: string): Promise<never> => Promise.reject(new Error(`no module is at ${path}`));
    const code = await run(words, { env, createStore: (directory) => this.#createStore(directory), load, out: () => undefined, err: (line) => err.push(line) });
    if (code !== 0) throw new Error(err.join('; '));
    this.die();
  }

  /** The next process dies at a step. */
  dieAt(killAt: number): void {
    this.process = new SimProcess({ killAt });
  }

  /** The source has more words. */
  feed(...words: readonly string[]): void {
    const { acknowledged } = this.source;
    this.source = new ScriptedSource({ records: [...Array.from({ length: acknowledged }, () => ''), ...words], window: 2 });
    this.source.acknowledged = acknowledged;
  }

  /** All rows that a sink took, in order. */
  rows(name = 'totals'): readonly Pair[] {
    return this.table(name).commits.flatMap(({ rows }) => rows);
  }

  /** The last row of each word. */
  counts(name = 'totals'): Readonly<Record<string, number>> {
    return Object.fromEntries(this.rows(name));
  }

  /** The names of the segments of the log. */
  get segments(): readonly string[] {
    return this.disk.list('/store/journal').filter((name) => name.endsWith('.wal'));
  }

  /** Whether the log was cut. */
  get isCut(): boolean {
    return !this.segments.includes('0000000000000001.wal');
  }

  /** The bytes of all segments. */
  get log(): ReadonlyMap<string, Uint8Array> {
    return new Map(this.segments.map((name) => [name, this.disk.readVolatile(`/store/journal/${name}`)]));
  }

  /** Puts an earlier log in the place of the one that is there. */
  set log(segments: ReadonlyMap<string, Uint8Array>) {
    for (const name of this.segments) this.disk.remove(`/store/journal/${name}`);
    for (const [name, bytes] of segments) {
      this.disk.create(`/store/journal/${name}`);
      this.disk.overwrite(`/store/journal/${name}`, bytes);
    }
  }

  /** What the store holds under names that begin so, in order. */
  keys(prefix: string): readonly string[] {
    return [...this.image.values.keys()].filter((key) => key.startsWith(prefix)).toSorted();
  }
}

/** How often each word is in a list. */
export function countsOf(words: readonly string[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const word of words) counts[word] = (counts[word] ?? 0) + 1;
  return counts;
}
