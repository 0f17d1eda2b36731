// Goal: every store and savepoint of a released format is restored by every later version. Method: a store directory and a savepoint made once by `UPDATE_GOLDEN=1` with the real file system and the
// real LevelDB, kept under test/golden; a program goes on with a copy of each.
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { run } from '../../../src/cli/run.ts';
import { createLevelCheckpointStore } from '../../../src/checkpoint/level-checkpoint-store.ts';
import { createNodeEnv } from '../../../src/env/node-env.ts';
import { milliseconds, minutes, StreamingContext, type GetOrCreateOptions } from '../../../src/index.ts';
import { msgpackCodec } from '../../../src/state/msgpack-codec.ts';

const GOLDEN = join(import.meta.dirname, '../../golden');
const STORE = join(GOLDEN, 'store-2');
const SAVEPOINT = join(GOLDEN, 'savepoint-1.savepoint');
const WORDS = ['to', 'be', 'or', 'not', 'to', 'be', 'ä', '\ud800'];

interface Seen {
  readonly count: number;
  readonly last: Map<string, bigint>;
}

const places: string[] = [];
afterEach(() => {
  for (const place of places.splice(0)) rmSync(place, { recursive: true });
});

function newPlace(): string {
  const place = mkdtempSync(join(tmpdir(), 'millrace-golden-'));
  places.push(place);
  return place;
}

/** Runs the program of the golden files for two batches; gives back the state that it shows in the last. */
async function runProgram(directory: string, words: readonly string[], options: GetOrCreateOptions = {}): Promise<Readonly<Record<string, unknown>>> {
  const shown: Record<string, unknown> = {};
  let batches = 0;
  const create = (): StreamingContext => {
    const context = new StreamingContext({
      appName: 'golden',
      version: '1',
      batchInterval: milliseconds(20),
      checkpointInterval: milliseconds(20),
      segmentBytesMax: 8192,
      ballastBytes: 0,
    });
    const pairs = context.queueStream<string>([[...words]], { uid: 'words' }).map((word) => [word, 1]);
    pairs
      .updateStateByKey<number>((values, sum = 0) => sum + values.length, { uid: 'counts', numPartitions: 3 })
      .foreachRDD(async (rdd) => void (shown['counts'] = await rdd.collect()), { uid: 'show-counts' });
    pairs
      .mapWithState<Seen, string>(
        (word, _one, state) => {
          state.update({ count: (state.getOption()?.count ?? 0) + 1, last: new Map([[word, 7n]]) });
          return undefined;
        },
        { uid: 'seen', timeout: minutes(100_000_000), state: { codec: msgpackCodec<Seen>() } },
      )
      .stateSnapshots()
      .foreachRDD(
        async (rdd) => {
          shown['seen'] = await rdd.collect();
          batches += 1;
        },
        { uid: 'show-seen' },
      );
    return context;
  };
  const context = await StreamingContext.getOrCreate(directory, create, options);
  await context.start();
  while (batches < 4) await new Promise((resolve) => setImmediate(resolve));
  await context.stop();
  return shown;
}

const tool = async (...words: readonly string[]): Promise<number> => {
  const silent = (): void => undefined;
  return run(words, { env: createNodeEnv(), createStore: createLevelCheckpointStore, load: () => Promise.reject(new Error('none')), out: silent, err: silent });
};

const sorted = (rows: unknown): unknown => (rows as readonly (readonly [string, unknown])[]).toSorted(([left], [right]) => (left < right ? -1 : 1));

/** What a program that adds `more` to the words of the golden files must show. */
function expected(more: readonly string[]): object {
  const counts = new Map<string, number>();
  for (const word of [...WORDS, ...more]) counts.set(word, (counts.get(word) ?? 0) + 1);
  return {
    counts: sorted([...counts]),
    seen: sorted([...counts].map(([word, count]) => [word, { count, last: new Map([[word, 7n]]) }])),
  };
}

async function requireGolden(): Promise<void> {
  if (process.env['UPDATE_GOLDEN'] !== '1' && existsSync(STORE)) return;
  const place = newPlace();
  await runProgram(place, WORDS.slice(0, 5));
  await runProgram(place, WORDS.slice(5));
  rmSync(STORE, { recursive: true, force: true });
  rmSync(SAVEPOINT, { force: true });
  cpSync(place, STORE, { recursive: true });
  // Messages, and marks of the process that wrote it.
  for (const name of ['lock', 'checkpoint/LOG', 'checkpoint/LOG.old', 'checkpoint/LOCK']) rmSync(join(STORE, name), { force: true });
  if ((await tool('savepoint', 'export', place, SAVEPOINT)) !== 0) throw new Error('the savepoint was not exported');
}

describe('golden files', () => {
  it('a store directory of format 2 is gone on with', async () => {
    await requireGolden();
    const place = newPlace();
    cpSync(STORE, place, { recursive: true });
    const shown = await runProgram(place, ['to', 'new']);
    expect({ counts: sorted(shown['counts']), seen: sorted(shown['seen']) }).toEqual(expected(['to', 'new']));
    expect(await tool('fsck', place)).toBe(0);
  });
  it('a savepoint of format 1 begins a store', async () => {
    await requireGolden();
    const place = join(newPlace(), 'store');
    const shown = await runProgram(place, ['new'], { fromSavepoint: SAVEPOINT });
    expect({ counts: sorted(shown['counts']), seen: sorted(shown['seen']) }).toEqual(expected(['new']));
  });
});
