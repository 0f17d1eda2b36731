// Goal: plan says what a start would decide, and changes nothing. Method: a program in the simulated world that was stopped or killed, and the tool with another program.
import { describe, expect, it } from 'vitest';
import { run } from '../../../src/cli/run.ts';
import type { CheckpointStore } from '../../../src/checkpoint/checkpoint-store.ts';
import type { Env } from '../../../src/env/env.ts';
import { milliseconds, StreamingContext, type StateOptions } from '../../../src/index.ts';
import { createSimSink, ScriptedSource, SimTable } from '../../../src/testing/index.ts';
import { World } from '../../support/world.ts';

type Pair = readonly [string, number];

interface Variant {
  readonly options?: StateOptions<number>;
  readonly state?: string;
  readonly version?: string;
  readonly app?: string;
}

/** A store that a program left, and the tool on it. */
class Bench extends World {
  readonly table = new SimTable<Pair>();
  readonly source = new ScriptedSource<string>({ records: ['a', 'b', 'a', 'c'], window: 2 });

  program({ state = 'counts', version = '1', app = 'words', options: stateOptions = {} }: Variant = {}): StreamingContext {
    const options = { batchInterval: milliseconds(100), blockInterval: milliseconds(20), checkpointInterval: milliseconds(100_000), ballastBytes: 0 };
    const context = new StreamingContext({ appName: app, version, ...options });
    context
      .receiverStream(this.source.receiver(this.process), { uid: 'source' })
      .map((word): Pair => [word, 1])
      .updateStateByKey<number>((values, sum = 0) => values.reduce((a, b) => a + b, sum), { uid: state, state: stateOptions })
      .saveTo(createSimSink(this.table, this.process), { uid: 'totals' });
    return context;
  }

  async left(end: 'stopped' | 'killed'): Promise<this> {
    const context = await StreamingContext.getOrCreate('/store', () => this.program(), this.options());
    context.awaitTermination().catch(() => undefined);
    await this.drive(context.start());
    await this.pass(450);
    if (end === 'stopped') await this.drive(context.stop());
    this.die();
    return this;
  }

  content(): unknown {
    const names = ['identity', ...this.disk.list('/store/journal').map((name) => `journal/${name}`)];
    return [names.map((name) => [name, this.disk.readVolatile(`/store/${name}`).toString('base64')]), [...this.image.values.keys()]];
  }

  /** Runs `plan` with a program, or with something else as the default export of its module. */
  async plan(exported: unknown, ...words: readonly string[]) {
    const before = this.content();
    const out: string[] = [];
    const err: string[] = [];
    const { env, checkpointStore } = this.options() as { env: Env; checkpointStore: (directory: string) => CheckpointStore };
    const tool = {
      env,
      createStore: checkpointStore,
      load: () => Promise.resolve({ default: exported }),
      out: (line: string) => out.push(line),
      err: (line: string) => err.push(line),
    };
    const code = await run(['plan', './app.js', '/store', ...words], tool);
    this.die();
    if (JSON.stringify(this.content()) !== JSON.stringify(before)) throw new Error('plan changed the store');
    return { code, out: out.join('\n'), err: err.join('\n') };
  }
}

describe('plan', () => {
  it('of the same program ends with 0', async () => {
    const bench = await new Bench().left('stopped');
    const { code, out } = await bench.plan(() => bench.program());
    expect({ code, out }).toEqual({ code: 0, out: expect.stringMatching(/verdict {5}unchanged\n[^]*start {7}goes on$/) as string });
  });
  it('of a program that gives state up ends with 64, and with 0 once that is consented to', async () => {
    const bench = await new Bench().left('stopped');
    const other = () => bench.program({ state: 'sums' });
    const { code, out } = await bench.plan(other);
    expect(code).toBe(64);
    expect(out).toMatch(/^verdict {5}consent$/m);
    expect(out).toMatch(/^consent {5}updateStateByKey "counts" is gone: 3 keys, \d+ bytes of state would be dropped$/m);
    expect(out).toMatch(/^compatible {2}updateStateByKey "sums" is new: its state starts empty$/m);
    expect(out).toMatch(/^needed {6}accept: \{ dropState: \["counts"\] \}$/m);
    expect(out).toMatch(/^start {7}is refused: STREAM_GRAPH_CHANGED$/m);
    expect(await bench.plan(other, '--accept', 'drop-state=counts')).toMatchObject({ code: 0, out: expect.stringMatching(/start {7}goes on$/) as string });
    expect(await bench.plan(other, '--accept', 'drop-state=counts', '--accept', 'forget-sink=totals')).toMatchObject({
      code: 64,
      out: expect.stringMatching(/start {7}is refused: STREAM_OPTION$/) as string,
    });
  });
  it('says it as an object', async () => {
    const bench = await new Bench().left('stopped');
    const { code, out } = await bench.plan(() => bench.program({ state: 'sums' }), '--json');
    expect({ code, told: JSON.parse(out) as unknown }).toMatchObject({
      code: 64,
      told: {
        exitCode: 64,
        verdict: 'consent',
        program: { app: 'words', codeVersion: '1' },
        changes: expect.arrayContaining([expect.objectContaining({ uid: 'counts', verdict: 'consent', consent: 'dropState' })]) as unknown,
        needed: { dropState: ['counts'] },
        refusal: { code: 'STREAM_GRAPH_CHANGED' },
      },
    });
  });
  it('tries migrations on the state that is there', async () => {
    const bench = await new Bench().left('stopped');
    const migrating = (value: (count: number, word: string) => unknown, key?: (word: string) => unknown) => () =>
      bench.program({ version: '2', options: { version: 2, migrations: [{ from: 1, value, ...(key === undefined ? {} : { key }) }] } });
    const good = await bench.plan(
      migrating(
        (count, word) => (word === 'c' ? undefined : count * 10),
        (word) => word.toUpperCase(),
      ),
    );
    expect(good).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^tried {7}"counts": 3 keys were migrated, 2 of them got another key, 1 would go$/m) as string,
    });
    const bad = await bench.plan(
      migrating(
        (count) => count,
        () => 'same',
      ),
    );
    expect(bad).toMatchObject({ code: 64, out: expect.stringMatching(/^start {7}is refused: STREAM_MIGRATION: .*two keys must not become one/m) as string });
  });
  it('lists the batches that are bound to other code', async () => {
    const bench = await new Bench().left('killed');
    expect((await bench.plan(() => bench.program())).code).toBe(0);
    const { code, out } = await bench.plan(() => bench.program({ version: '2' }));
    expect(code).toBe(64);
    expect(out).toMatch(/^again {7}batch 1000100 \(.*\): for its state only, bound to other code$/m);
    expect(out).toMatch(/^bound {7}version "1" planned it, this is version "2"/m);
    const times = ['1000100', '1000200', '1000300', '1000400'].flatMap((time) => ['--accept', `replace-batch=${time}`]);
    expect((await bench.plan(() => bench.program({ version: '2' }), ...times)).code).toBe(0);
  });
  it('ends as a start would: with 64 for another application, 73 beside a driver, 78 for a damaged log', async () => {
    const bench = await new Bench().left('stopped');
    expect(await bench.plan(() => bench.program({ app: 'other' }))).toMatchObject({ code: 64, err: expect.stringContaining('STREAM_IDENTITY') as string });
    const driver = await StreamingContext.getOrCreate('/store', () => bench.program(), bench.options());
    const { env, checkpointStore } = bench.options() as { env: Env; checkpointStore: (directory: string) => CheckpointStore };
    const silent = () => undefined;
    const tool = { env, createStore: checkpointStore, load: () => Promise.resolve({ default: () => bench.program() }), out: silent, err: silent };
    expect(await run(['plan', './app.js', '/store'], tool)).toBe(73);
    await driver.stop();
    const [first = ''] = bench.disk.list('/store/journal');
    const bytes = bench.disk.readVolatile(`/store/journal/${first}`);
    bytes[4200] = (bytes[4200] ?? 0) ^ 1;
    bench.disk.overwrite(`/store/journal/${first}`, bytes);
    expect((await bench.plan(() => bench.program())).code).toBe(78);
  });
  it.each([[undefined], [{}], [() => 7], [() => null]])('refuses a module that makes no program: %o', async (exported) => {
    const bench = await new Bench().left('stopped');
    expect(await bench.plan(exported)).toMatchObject({
      code: 64,
      err: expect.stringContaining('must be a function that returns a StreamingContext') as string,
    });
  });
  it('of a program that throws ends with 1', async () => {
    const bench = await new Bench().left('stopped');
    const broken = (): never => {
      throw new Error('no such table');
    };
    expect(await bench.plan(broken)).toMatchObject({ code: 1, err: expect.stringContaining('no such table') as string });
  });
});
