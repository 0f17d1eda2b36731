// Goal: inspect says what a store holds, as a start would find it, and changes nothing of ours. Method: a program in the simulated world, killed with work left; what low water rests on by a table.
import { describe, expect, it } from 'vitest';
import { run } from '../../../src/cli/run.ts';
import { lowWaterOf, type KeptHead } from '../../../src/cli/inspect-report.ts';
import type { CheckpointStore } from '../../../src/checkpoint/checkpoint-store.ts';
import type { Env } from '../../../src/env/env.ts';
import { milliseconds, StreamingContext } from '../../../src/index.ts';
import { createSimSink, ScriptedSource, SimTable } from '../../../src/testing/index.ts';
import { World } from '../../support/world.ts';

function head(number: number, lsn: number, neededLsn: number): KeptHead {
  return { number, batchTime: 0, lsn, neededLsn };
}

describe('lowWaterOf()', () => {
  it.each([
    ['no checkpoint', [], 1, 'there is none'],
    ['one checkpoint', [head(1, 9, 9)], 1, 'there is 1'],
    ['two checkpoints', [head(2, 20, 20), head(1, 9, 9)], 9, 'checkpoint 1 was folded'],
    ['a block that waits in the newer one', [head(2, 20, 5), head(1, 9, 9)], 5, 'a block that checkpoint 2 has'],
    ['a block that waits in both', [head(2, 20, 5), head(1, 9, 4)], 4, 'a block that checkpoint 1 has'],
  ])('%s', (_name, heads, lsn, because) => {
    expect(lowWaterOf(heads)).toEqual({ lsn, because: expect.stringContaining(because) as string });
  });
});

/** A store that a program left when it was killed, and the tool on it. */
async function leftStore({ death }: { readonly death?: string } = {}) {
  const world = new World();
  const words = ['a', 'b', 'a', 'c', 'a', 'b', 'd', 'a'];
  const source = new ScriptedSource<string>({ records: words, window: 2 });
  const table = new SimTable<readonly [string, number]>();
  const context = await StreamingContext.getOrCreate(
    '/store',
    () => {
      const made = new StreamingContext({
        appName: 'words',
        version: '7',
        batchInterval: milliseconds(100),
        blockInterval: milliseconds(20),
        checkpointInterval: milliseconds(200),
        ballastBytes: 4096,
      });
      made
        .receiverStream(source.receiver(world.process), { uid: 'source' })
        .map((word) => [word, 1])
        .updateStateByKey<number>((values, sum = 0) => values.reduce((a, b) => a + b, sum), { uid: 'counts' })
        .saveTo(createSimSink(table, world.process), { uid: 'totals' });
      return made;
    },
    world.options(),
  );
  context.awaitTermination().catch(() => undefined);
  await world.drive(context.start());
  await world.pass(760);
  world.die();
  return {
    world,
    async run(...parameters: readonly string[]) {
      const out: string[] = [];
      const err: string[] = [];
      const { env, checkpointStore } = world.options() as { env: Env; checkpointStore: (directory: string) => CheckpointStore };
      const code = await run(['inspect', '/store', ...parameters], {
        env,
        createStore: (directory) => ({ ...checkpointStore(directory), ...(death === undefined ? {} : { probe: () => Promise.resolve(death) }) }),
        load: (path) => Promise.reject(new Error(`no module is at ${path}`)),
        out: (line) => out.push(line),
        err: (line) => err.push(line),
      });
      world.die();
      return { code, out, err };
    },
  };
}

describe('inspect', () => {
  it('says what a start would find', async () => {
    const store = await leftStore();
    const { code, out } = await store.run('--json');
    expect(code).toBe(0);
    const found = JSON.parse(out[0] ?? '{}') as { checkpoints: readonly KeptHead[]; lastBatchTime: number; log: { lowWater: object } };
    expect(found).toMatchObject({
      store: { app: 'words', epoch: 1, format: 1 },
      codeVersion: '7',
      isClean: false,
      batchIntervalMs: 100,
      operators: [{ uid: 'counts', kind: 'updateStateByKey', keys: 4 }],
      positions: { source: { script: 8 } },
      sinks: { totals: { 0: { batchTime: found.lastBatchTime } } },
      bytes: { ballast: 4096 },
      log: { tornBytes: 0, lowWater: { lsn: found.checkpoints[1]?.lsn } },
    });
    expect(found.checkpoints).toHaveLength(2);
  });
  it('says it in lines as well, and changes no file', async () => {
    const store = await leftStore();
    const content = () =>
      ['identity', 'ballast', ...store.world.disk.list('/store/journal').map((name) => `journal/${name}`)].map((name) =>
        store.world.disk.readVolatile(`/store/${name}`).toString('base64'),
      );
    const before = content();
    const { code, out } = await store.run();
    expect(code).toBe(0);
    expect(content()).toEqual(before);
    for (const word of ['store', 'driver', 'batches', 'state', 'position', 'sink', 'checkpoint', 'log', 'low water', 'bytes'])
      expect(out.join('\n')).toMatch(new RegExp(`^${word} `, 'm'));
  });
  it('of a store that ended its driver, and ends another process as well, says so and does not open it', async () => {
    const store = await leftStore({ death: 'SIGABRT, an assertion' });
    expect((await store.run()).code).toBe(0);
    store.world.disk.create('/store/opening');
    const { code, err } = await store.run();
    expect({ code, err: err.join('\n') }).toEqual({ code: 2, err: expect.stringContaining('SIGABRT, an assertion') as string });
    expect(err.join('\n')).toContain('STREAM_CHECKPOINT_CORRUPT');
  });
  it('of a damaged log says where, with the exit code of fsck', async () => {
    const store = await leftStore();
    const [first = ''] = store.world.disk.list('/store/journal');
    const bytes = store.world.disk.readVolatile(`/store/journal/${first}`);
    bytes[4200] = (bytes[4200] ?? 0) ^ 1;
    store.world.disk.overwrite(`/store/journal/${first}`, bytes);
    const { code, err } = await store.run();
    expect({ code, names: err.join('\n').includes('STREAM_WAL_CORRUPT') }).toEqual({ code: 2, names: true });
  });
});
