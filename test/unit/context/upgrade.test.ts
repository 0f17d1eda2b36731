// Goal: another program goes on with a store and loses nothing that nobody consented to. Method: two programs, one after the other, in the simulated world.
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { describe, expect, it } from 'vitest';
import type { OperatorDescriptor } from '../../../src/core/graph-descriptor.ts';
import {
  milliseconds,
  StreamingContext,
  type DiagnosticEvents,
  type GetOrCreateOptions,
  type StateCodec,
  type StateOptions,
  type StreamingContextOptions,
} from '../../../src/index.ts';
import { createSimSink, ScriptedSource, SimProcess, SimTable } from '../../../src/testing/index.ts';
import { World } from '../../support/world.ts';

type Pair = readonly [string, number];
type Program = () => StreamingContext;

const sum = (values: readonly number[], before = 0): number => values.reduce((a, b) => a + b, before);
const error = (code: string, ...parts: readonly string[]) =>
  expect.objectContaining({
    code,
    exitCode: 64,
    message: expect.stringMatching(new RegExp(parts.map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)).join('[^]*'))) as string,
  }) as Error;

interface Variant extends Partial<StreamingContextOptions> {
  /** The uid of the state; undefined leaves it out. */
  readonly state?: string | undefined;
  readonly sink?: string;
  readonly source?: string;
  readonly initialState?: readonly Pair[];
  /** The version of the state, and the oldest that its migrations bring up to date; they change nothing. */
  readonly stateVersion?: Pick<OperatorDescriptor, 'stateVersion' | 'migratesFrom'>;
  readonly more?: (context: StreamingContext) => void;
}

/** A world with a source of words, a table, and programs that count the words into it. */
class Bench extends World {
  readonly table = new SimTable<Pair>();
  source: ScriptedSource<string>;
  readonly logged: { readonly fields: object; readonly message: string }[] = [];

  constructor(...records: readonly string[]) {
    super();
    this.source = new ScriptedSource({ records, window: 2 });
  }

  /** A program that counts words. */
  words({ state, sink = 'totals', source = 'words', stateVersion, initialState, more, ...options }: Variant = { state: 'counts' }): Program {
    return () => {
      const context = new StreamingContext({
        appName: 'bench',
        batchInterval: milliseconds(100),
        blockInterval: milliseconds(20),
        checkpointInterval: milliseconds(100_000_000),
        taskAttemptsMax: 1,
        ...options,
      });
      const pairs = context.receiverStream(this.source.receiver(this.process), { uid: source }).map((word): Pair => [word, 1]);
      const { stateVersion: version = 1, migratesFrom = version } = stateVersion ?? {};
      const migrations = Array.from({ length: version - migratesFrom }, (_, index) => ({ from: migratesFrom + index }));
      const counted =
        state === undefined
          ? pairs
          : pairs.updateStateByKey<number>(sum, { uid: state, ...(initialState === undefined ? {} : { initialState }), state: { version, migrations } });
      counted.saveTo(createSimSink(this.table, this.process), { uid: sink });
      more?.(context);
      return context;
    };
  }

  open(program: Program, options: GetOrCreateOptions = {}): Promise<StreamingContext> {
    const world = this.options();
    const { env } = world;
    if (env === undefined) throw new Error('a world has an env');
    const logger = { ...env.logger, warn: (fields: object, message: string) => void this.logged.push({ fields, message }) };
    return StreamingContext.getOrCreate('/store', program, { ...world, env: { ...env, logger }, ...options });
  }

  async start(program: Program, options: GetOrCreateOptions = {}): Promise<StreamingContext> {
    const context = await this.open(program, options);
    context.awaitTermination().catch(() => undefined);
    await this.drive(context.start());
    return context;
  }

  /** Runs a program for a while and stops it. */
  async run(program: Program, options: GetOrCreateOptions = {}): Promise<void> {
    const context = await this.start(program, options);
    await this.pass(600);
    await this.drive(context.stop());
  }

  /** Runs a program for a while and kills it: batches are completed, and in no checkpoint. */
  async crash(program: Program, options: GetOrCreateOptions = {}): Promise<void> {
    await this.start(program, options);
    await this.pass(450);
    this.die();
  }

  /** What a start that is refused throws. It must change nothing. */
  async refused(program: Program, options: GetOrCreateOptions = {}): Promise<unknown> {
    const before = this.content();
    const context = await this.open(program, options);
    const thrown: unknown = await this.drive(context.start()).catch((reason: unknown) => reason);
    if (JSON.stringify(this.content()) !== JSON.stringify(before)) throw new Error('the refusal changed the store');
    if (context.state !== 'failed') throw new Error(`the context is ${context.state}`);
    return thrown;
  }

  content(): Readonly<Record<string, string>> {
    const paths = ['/store/identity', ...this.disk.list('/store/journal').map((name) => `/store/journal/${name}`)];
    return Object.fromEntries(paths.map((path) => [path, this.disk.readVolatile(path).toString('base64')]));
  }

  /** The last row of each word. */
  counts(sink = 'totals'): Record<string, number> {
    return Object.fromEntries(this.table.commits.filter(({ key }) => key.sink === sink).flatMap(({ rows }) => rows));
  }

  /** The source has more words. */
  feed(...records: readonly string[]): void {
    const { acknowledged } = this.source;
    this.source = new ScriptedSource({ records: [...Array.from({ length: acknowledged }, () => ''), ...records], window: 2 });
    this.source.acknowledged = acknowledged;
  }
}

const COUNTS = { state: 'counts' };

describe('a compatible program', () => {
  it('goes on with what is carried: more outputs, other partitions, another interval, another version', async () => {
    const bench = new Bench('a', 'b', 'a');
    await bench.run(bench.words());
    bench.feed('a', 'c');
    const seen: number[] = [];
    const more = (context: StreamingContext): void => context.queueStream<string>([], { uid: 'new' }).foreachRDD((_rdd, { time }) => void seen.push(time));
    await bench.run(
      bench.words({ ...COUNTS, more, version: '2', defaultParallelism: 4, batchInterval: milliseconds(70), checkpointInterval: milliseconds(7000) }),
    );
    expect(bench.counts()).toEqual({ a: 3, b: 1, c: 1 });
    const times = bench.table.commits.map(({ key }) => key.batchTime);
    expect(times).toEqual(times.toSorted((left, right) => left - right));
    expect(seen.length).toBeGreaterThan(0);
  });
  it('goes on after a crash where nothing keeps state: a completed batch binds nothing', async () => {
    const bench = new Bench('a', 'b');
    await bench.crash(bench.words({}));
    expect(bench.table.commits.length).toBeGreaterThan(0);
    await bench.run(bench.words({ version: '2', more: (context) => context.queueStream<string>([], { uid: 'new' }).print() }));
    expect(bench.table.commits.flatMap(({ rows }) => rows)).toEqual([
      ['a', 1],
      ['b', 1],
    ]);
  });
  it('goes on after a crash where a uid without state keeps some from here on', async () => {
    const bench = new Bench('a', 'b');
    const counted = (isStateful: boolean) => (): StreamingContext => {
      const context = new StreamingContext({ appName: 'bench', batchInterval: milliseconds(100), checkpointInterval: milliseconds(100_000) });
      const pairs = context.receiverStream(bench.source.receiver(bench.process), { uid: 'words' }).map((word): Pair => [word, 1]);
      const sums = isStateful ? pairs.updateStateByKey<number>(sum, { uid: 'x' }) : pairs.reduceByKey((left, right) => left + right, { uid: 'x' });
      sums.saveTo(createSimSink(bench.table, bench.process), { uid: 'totals' });
      return context;
    };
    await bench.crash(counted(false));
    bench.feed('a');
    await bench.crash(counted(true));
    await bench.run(counted(true));
    expect(bench.counts()).toEqual({ a: 1, b: 1 });
  });
  it('starts new state empty, and what a batch before it held is not counted into it', async () => {
    const bench = new Bench('a', 'b');
    await bench.crash(bench.words({}));
    bench.feed('a');
    await bench.crash(bench.words({ state: 'counts', version: '2' }));
    // The batches of the first program stand in the log beside those of the second, and are no part of its state.
    await bench.run(bench.words({ state: 'counts', version: '2' }));
    expect(bench.counts()).toEqual({ a: 1, b: 1 });
  });
});

describe('consent', () => {
  it('is asked for before state is dropped, with counts, and nothing is changed without it', async () => {
    const bench = new Bench('a', 'b', 'a');
    await bench.run(bench.words());
    const thrown = await bench.refused(bench.words({ state: 'sums' }));
    expect(thrown).toEqual(
      error('STREAM_GRAPH_CHANGED', '[consent] updateStateByKey "counts" is gone: 2 keys, ', 'accept: { dropState: ["counts"] }', 'Nothing was changed'),
    );
    expect(await bench.refused(bench.words({ state: 'sums' }), { accept: { dropState: ['count'] } })).toEqual(error('STREAM_GRAPH_CHANGED'));
    bench.feed('a');
    await bench.run(bench.words({ state: 'sums' }), { accept: { dropState: ['counts'] } });
    expect(bench.counts()).toEqual({ a: 1, b: 1 });
  });
  it('holds for good: state that was dropped does not come back with its uid, whether a checkpoint came in between or not', async () => {
    for (const end of ['crash', 'run'] as const) {
      const bench = new Bench('a', 'a');
      await bench.run(bench.words());
      await bench[end](bench.words({}), { accept: { dropState: ['counts'] } });
      bench.feed('a');
      await bench.run(bench.words());
      expect({ end, counts: bench.counts() }).toEqual({ end, counts: { a: 1 } });
      await bench.run(bench.words());
      bench.feed('a');
      await bench.run(bench.words());
      expect({ end, counts: bench.counts() }).toEqual({ end, counts: { a: 2 } });
    }
  });
  it('drops what no checkpoint has yet, whichever step of the start dies: the same command goes on, and the state does not come back', async () => {
    let deaths = 0;
    for (let killAt = 1, isOver = false; !isOver; killAt++) {
      const bench = new Bench('a', 'a');
      await bench.crash(bench.words());
      const accept = { dropState: ['counts'] };
      bench.process = new SimProcess({ killAt });
      const start = async (): Promise<void> => (await bench.open(bench.words({}), { accept })).start();
      await bench.drive(Promise.race([start(), bench.process.died]));
      isOver = bench.process.isAlive;
      if (!isOver) deaths += 1;
      bench.die();
      // With a checkpoint behind it, and without.
      await bench[killAt % 2 === 0 ? 'run' : 'crash'](bench.words({}), { accept });
      bench.feed('a');
      await bench.run(bench.words());
      expect({ killAt, counts: bench.counts() }).toEqual({ killAt, counts: { a: 1 } });
    }
    expect(deaths).toBeGreaterThan(10);
  });
  it('lets a uid that comes back begin as a new one, with what it begins with', async () => {
    const bench = new Bench('a', 'a');
    await bench.run(bench.words());
    await bench.crash(bench.words({}), { accept: { dropState: ['counts'] } });
    bench.feed('a');
    await bench.run(bench.words({ ...COUNTS, stateVersion: { stateVersion: 2, migratesFrom: 1 }, initialState: [['a', 10]] }));
    expect(bench.counts()).toEqual({ a: 11 });
  });
  it('may be repeated by a supervisor, and is refused once its uid is back', async () => {
    const bench = new Bench('a');
    const accept = { dropState: ['counts'], forgetSink: ['totals'] };
    await bench.run(bench.words());
    await bench.run(bench.words({ sink: 'other' }), { accept });
    await bench.run(bench.words({ sink: 'other' }), { accept });
    expect(await bench.refused(bench.words({ state: 'counts', sink: 'other' }), { accept })).toEqual(
      error('STREAM_OPTION', 'nothing needs dropState: "counts"'),
    );
  });
  it('that nothing needs is refused by name, also on a store that is not there yet', async () => {
    const bench = new Bench('a');
    const first = await bench.open(bench.words(), { accept: { dropInput: ['words'] } });
    await expect(first.start()).rejects.toEqual(error('STREAM_OPTION', 'nothing needs dropInput: "words"'));
    await bench.run(bench.words());
    expect(await bench.refused(bench.words(), { accept: { dropState: ['counts'], forgetSink: ['totals'], replaceBatches: [5] } })).toEqual(
      error('STREAM_OPTION', 'dropState: "counts", forgetSink: "totals", replaceBatches: 5'),
    );
  });
  it.each([[{ dropstate: [] }], [{ dropState: 'counts' }], [{ dropState: [''] }], [{ dropState: ['a', 'a'] }], [{ replaceBatches: ['1'] }], [7]])(
    'that is %j is refused by getOrCreate',
    async (accept) => {
      const bench = new Bench();
      await expect(bench.open(bench.words(), { accept: accept as never })).rejects.toMatchObject({ code: 'STREAM_OPTION' });
    },
  );
  it('forgets a sink that was renamed: what it holds stays, and is expected no more', async () => {
    const bench = new Bench('a');
    await bench.run(bench.words());
    expect(await bench.refused(bench.words({ ...COUNTS, sink: 'sums' }))).toEqual(
      error('STREAM_GRAPH_CHANGED', 'what 1 partition of it committed last', 'forgetSink: ["totals"]'),
    );
    bench.feed('a');
    await bench.run(bench.words({ ...COUNTS, sink: 'sums' }), { accept: { forgetSink: ['totals'] } });
    expect([bench.counts('totals'), bench.counts('sums')]).toEqual([{ a: 1 }, { a: 2 }]);
    const back = await bench.open(bench.words(), { accept: { forgetSink: ['sums'] } });
    await expect(bench.drive(back.start())).rejects.toMatchObject({
      code: 'STREAM_SINK_CONFLICT',
      message: expect.stringContaining('was forgotten by consent') as string,
    });
  });
  it('drops what waits of a stream that is gone, and no position of it', async () => {
    const bench = new Bench('a', 'b');
    const slow = { ...COUNTS, batchInterval: milliseconds(10_000), checkpointInterval: milliseconds(100_000) };
    await bench.crash(bench.words(slow));
    bench.feed('c');
    const other = bench.words({ ...slow, source: 'others' });
    expect(await bench.refused(other)).toEqual(
      error('STREAM_GRAPH_CHANGED', 'receiverStream "words" is gone: 1 block with 2 records, ', 'dropInput: ["words"]'),
    );
    const idle = (context: StreamingContext): void => context.queueStream<string>([], { uid: 'idle' }).print();
    const without: Program = () => {
      const context = new StreamingContext({ appName: 'bench', batchInterval: milliseconds(100) });
      idle(context);
      return context;
    };
    await bench.run(without, { accept: { dropInput: ['words'] } });
    // The stream comes back and goes on behind what was dropped.
    await bench.run(bench.words());
    expect(bench.counts()).toEqual({ c: 1 });
  });
});

describe('batches that must run again', () => {
  const TIMES = [1_000_100, 1_000_200, 1_000_300, 1_000_400];
  it('bind the version and the graph that planned them; each refusal says which it is', async () => {
    const bench = new Bench('a', 'b', 'a', 'c');
    await bench.crash(bench.words());
    const list = `replaceBatches: [${TIMES.join(', ')}]`;
    expect(await bench.refused(bench.words({ ...COUNTS, version: '2' }))).toEqual(
      error('STREAM_CODE_VERSION', 'version "0" planned it, this is version "2". 4 batches', 'drain', list, 'Nothing was changed'),
    );
    const more = (context: StreamingContext): void => context.queueStream<string>([], { uid: 'idle' }).print({ uid: 'shown' });
    expect(await bench.refused(bench.words({ ...COUNTS, more }))).toEqual(
      error('STREAM_CODE_VERSION', 'another graph planned it, under the same version "0" (', '"idle" is new', '"shown" is new', list),
    );
    expect(await bench.refused(bench.words({ ...COUNTS, version: '2' }), { accept: { replaceBatches: TIMES.slice(1) } })).toEqual(
      error('STREAM_CODE_VERSION', list, `Found replaceBatches: [${TIMES.slice(1).join(', ')}]`),
    );
    expect(await bench.refused(bench.words({ ...COUNTS, version: '2' }), { accept: { replaceBatches: [...TIMES, 1] } })).toEqual(
      error('STREAM_CODE_VERSION', 'Found'),
    );
  });
  it('are finished by drain, which receives nothing and stops by itself; then any compatible program goes on', async () => {
    const bench = new Bench('a', 'b', 'a', 'c');
    await bench.crash(bench.words());
    bench.feed('a');
    const { acknowledged } = bench.source;
    const context = await bench.open(bench.words(), { drain: true });
    await bench.drive(context.start());
    await bench.drive(context.awaitTermination());
    expect([context.state, bench.source.acknowledged]).toEqual(['stopped', acknowledged]);
    expect(bench.counts()).toEqual({ a: 2, b: 1, c: 1 });
    await bench.run(bench.words({ ...COUNTS, version: '2', defaultParallelism: 2 }));
    expect(bench.counts()).toEqual({ a: 3, b: 1, c: 1 });
  });
  it('are finished by drain with what waits as well', async () => {
    const bench = new Bench('a', 'b');
    await bench.crash(bench.words({ ...COUNTS, batchInterval: milliseconds(10_000), checkpointInterval: milliseconds(100_000) }));
    expect(bench.table.commits).toEqual([]);
    const context = await bench.start(bench.words(), { drain: true });
    await bench.drive(context.awaitTermination());
    expect(bench.counts()).toEqual({ a: 1, b: 1 });
  });
  it('are replaced by consent: state has each record once, and it is said what the sinks may have twice', async () => {
    const bench = new Bench('a', 'b', 'a', 'c');
    await bench.crash(bench.words());
    const told: DiagnosticEvents['batch-replaced'][] = [];
    const listener = (message: unknown): void => void told.push(message as DiagnosticEvents['batch-replaced']);
    subscribe('millrace:batch-replaced', listener);
    const accept = { replaceBatches: TIMES };
    await bench.run(bench.words({ ...COUNTS, version: '2', defaultParallelism: 2 }), { accept });
    unsubscribe('millrace:batch-replaced', listener);
    expect(told.map(({ batchTime, by, maybeTwice }) => [batchTime, by, maybeTwice])).toEqual(
      TIMES.map((batchTime) => [batchTime, batchTime + 400, { totals: [0] }]),
    );
    expect(bench.logged.filter(({ message }) => message.startsWith('a batch is replaced'))).toHaveLength(4);
    expect(bench.counts()).toEqual({ a: 2, b: 1, c: 1 });
    // The command is repeated after another crash.
    await bench.run(bench.words({ ...COUNTS, version: '2', defaultParallelism: 2 }), { accept });
    expect(bench.counts()).toEqual({ a: 2, b: 1, c: 1 });
  });
});

describe('files of a batch that is replaced', () => {
  const files =
    (bench: Bench, version: string, uid = 'files') =>
    (): StreamingContext => {
      const context = new StreamingContext({
        appName: 'files',
        version,
        batchInterval: milliseconds(100),
        checkpointInterval: milliseconds(100_000),
        taskAttemptsMax: 1,
      });
      context
        .textFileStream('/in', { uid, newFilesOnly: false, settleTime: milliseconds(1) })
        .map((line): Pair => [line, 1])
        .updateStateByKey<number>(sum, { uid: 'counts' })
        .saveTo(createSimSink(bench.table, bench.process), { uid: 'totals' });
      return context;
    };
  async function crashedWithFile(): Promise<{ readonly bench: Bench; readonly times: readonly number[] }> {
    const bench = new Bench();
    bench.disk.makeDirectory('/in');
    bench.disk.create('/in/f');
    bench.disk.open('/in/f').write(Buffer.from('a\nb\na\n'), 0);
    await bench.crash(files(bench, '1'));
    expect(bench.counts()).toEqual({ a: 2, b: 1 });
    return { bench, times: [...new Set(bench.table.commits.map(({ key }) => Number(key.batchTime)))] };
  }
  it('are read again in its place, and not taken a second time', async () => {
    const { bench, times } = await crashedWithFile();
    const thrown = await bench.refused(files(bench, '2'));
    const listed = JSON.parse(/replaceBatches: (\[.*?\])/.exec(String(thrown))?.[1] ?? '[]') as readonly number[];
    expect(listed).toEqual(expect.arrayContaining([...times]));
    await bench.run(files(bench, '2'), { accept: { replaceBatches: listed } });
    await bench.run(files(bench, '3'));
    expect(bench.counts()).toEqual({ a: 2, b: 1 });
  });
  it('are given up by name with their stream', async () => {
    const { bench } = await crashedWithFile();
    const thrown = await bench.refused(files(bench, '2', 'others'));
    expect(thrown).toEqual(
      error('STREAM_GRAPH_CHANGED', 'textFileStream "files" is gone: 1 file, 6 bytes would be dropped', 'dropInput: ["files"], replaceBatches: ['),
    );
  });
});

describe('another kind of state under a uid that holds none', () => {
  it('begins as a new one, whatever the version of the old one was', async () => {
    const bench = new Bench();
    await bench.run(bench.words({ ...COUNTS, stateVersion: { stateVersion: 2, migratesFrom: 1 } }));
    bench.feed('a');
    await bench.run(() => {
      const context = new StreamingContext({ appName: 'bench', batchInterval: milliseconds(100), checkpointInterval: milliseconds(100_000) });
      context
        .receiverStream(bench.source.receiver(bench.process), { uid: 'words' })
        .map((word): Pair => [word, 1])
        .mapWithState<number, Pair>(
          (word, one, state) => {
            state.update((state.getOption() ?? 0) + (one ?? 0));
            return [word, state.get()];
          },
          { uid: 'counts', initialState: [['a', 5]] },
        )
        .saveTo(createSimSink(bench.table, bench.process), { uid: 'totals' });
      return context;
    });
    expect(bench.counts()).toEqual({ a: 6 });
  });
});

describe('another codec of the state', () => {
  const codec: StateCodec<number> = {
    name: 'digits-1',
    encode: (value) => Buffer.from(String(value)),
    decode: (bytes) => Number(Buffer.from(bytes).toString()),
  };
  const counted = (bench: Bench, state: StateOptions<number>) => (): StreamingContext => {
    const context = new StreamingContext({ appName: 'codecs', batchInterval: milliseconds(100), checkpointInterval: milliseconds(100_000) });
    const pairs = context.receiverStream(bench.source.receiver(bench.process), { uid: 'words' }).map((word): Pair => [word, 1]);
    pairs.updateStateByKey<number>(sum, { uid: 'counts', state }).saveTo(createSimSink(bench.table, bench.process), { uid: 'totals' });
    return context;
  };
  it('is taken over where the program reads the old one, and refused where it does not', async () => {
    const bench = new Bench('a');
    await bench.run(counted(bench, { codec }));
    expect(await bench.refused(counted(bench, {}))).toEqual(error('STREAM_GRAPH_CHANGED', 'was written with the codec digits-1, and the program reads json-2'));
    bench.feed('a');
    await bench.run(counted(bench, { readCodecs: [codec] }));
    expect(bench.counts()).toEqual({ a: 2 });
  });
});

describe('the version before', () => {
  const NEW = { ...COUNTS, version: '2', more: (context: StreamingContext) => context.queueStream<string>([], { uid: 'new' }).print() };
  it('goes on after a clean stop of the new one', async () => {
    const bench = new Bench('a', 'b');
    await bench.run(bench.words());
    bench.feed('a');
    await bench.run(bench.words(NEW));
    bench.feed('a');
    await bench.run(bench.words());
    expect(bench.counts()).toEqual({ a: 3, b: 1 });
  });
  it('is refused after a crash of the new one, whose batches it must not run', async () => {
    const bench = new Bench('a', 'b');
    await bench.run(bench.words());
    bench.feed('a');
    await bench.crash(bench.words(NEW));
    expect(await bench.refused(bench.words())).toEqual(error('STREAM_CODE_VERSION', 'version "2" planned it, this is version "0"'));
  });
  it('is refused once a checkpoint holds state of a newer version, and not before', async () => {
    const newer = { ...COUNTS, version: '2', stateVersion: { stateVersion: 2, migratesFrom: 1 } };
    const bench = new Bench('a', 'b');
    await bench.run(bench.words());
    const opened = await bench.open(bench.words(newer));
    await bench.drive(opened.start());
    bench.die();
    await bench.run(bench.words());
    await bench.run(bench.words(newer));
    expect(await bench.refused(bench.words())).toEqual(
      error('STREAM_GRAPH_CHANGED', 'was written in version 2, this program knows version 1: it was rolled back'),
    );
  });
});
