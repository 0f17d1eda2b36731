// Goal: a driver whose store another one has taken acknowledges and commits nothing more and ends by itself, a copy of a directory is refused beside the original and behind it, and whoever refuses has changed nothing.
// Method: the built package in processes of its own. SIGSTOP while another one takes over: LevelDB's lock is defeated by removing its file, the lock of the directory by a network namespace, where its socket is
// another. CHAOS_LONG=1 stops more often; SEED repeats the times.
import { cpSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Level } from 'level';
import { SeededRandom } from '../../../src/testing/index.ts';
import { requireTools } from '../../support/faults.ts';
import { Workplace, type Running } from '../../support/processes.ts';

const ROUNDS = process.env['CHAOS_LONG'] === '1' ? 40 : 6;
const SEED = Number(process.env['SEED'] ?? Math.floor(performance.timeOrigin));
const COMMAND = [process.execPath, join(import.meta.dirname, '../../support/fenced-program.mjs')] as const;
/** In a network namespace of its own no other process has the socket that is the lock. */
const ELSEWHERE = ['unshare', '-n', ...COMMAND] as const;
const STARTED = 'streaming context started';

let place: Workplace;

beforeEach(() => {
  place = new Workplace();
});
afterEach(async () => {
  await place.close();
});

/** The sink that a program writes to. */
type SinkEnv = Readonly<Record<string, string>>;
const files = (): SinkEnv => ({ OUT: join(place.root, 'out') });

/** Starts a driver and waits until it has put something out. */
async function drive(env: SinkEnv, command: readonly string[] = COMMAND): Promise<Running> {
  const driver = place.start(env, command);
  await driver.logged(STARTED);
  await driver.logged('\ncommitted ');
  return driver;
}

async function stop(driver: Running): Promise<string> {
  driver.process.kill('SIGTERM');
  const { code, log } = await driver.ended;
  expect({ code, log }).toMatchObject({ code: 0 });
  return log;
}

/** The numbers in lines such as `durable 7`. */
function numbersOf(log: string, word: string): readonly number[] {
  return [...log.matchAll(new RegExp(`^${word} (\\d+)$`, 'gm'))].map(([, number]) => Number(number));
}

/** The records in the files of the sink, in the order of the batches. */
function records(): readonly number[] {
  const { OUT = '' } = files();
  return readdirSync(OUT)
    .filter((name) => name.startsWith('part-'))
    .flatMap((name) => readFileSync(join(OUT, name), 'utf8').split('\n'))
    .filter((line) => line !== '')
    .map(Number);
}

/** Every record from 0 on is there once. */
function expectAllOnce(): void {
  const found = [...records()].sort((left, right) => left - right);
  expect(found).toEqual(found.map((_record, index) => index));
}

describe('a driver that is stopped while another takes over', () => {
  it(`acknowledges and commits nothing more and ends with 73, ${ROUNDS} times, seed ${SEED}`, async (context) => {
    requireTools(context, ['root', 'unshare']);
    const random = new SeededRandom(SEED);
    let late = 0;
    let driver = await drive(files());
    for (let round = 0; round < ROUNDS; round++) {
      await sleep(random.next() * 700);
      driver.process.kill('SIGSTOP');
      rmSync(join(place.store, 'checkpoint', 'LOCK'));
      // Every other one is back in the namespace where the socket is held by the one that is stopped now.
      const next = await drive(files(), round % 2 === 0 ? ELSEWHERE : COMMAND);
      driver.process.kill('SIGCONT');
      const { code, log } = await driver.ended;
      expect({ round, code, names: log.includes('STREAM_FENCED') }).toEqual({ round, code: 73, names: true });
      const before = numbersOf(log, 'durable').at(-1) ?? -1;
      await sleep(100);
      driver = next;
      // What it told when it woke had been durable before: the other one has it, and goes on behind it.
      late = Math.max(late, before);
      next.process.kill(0);
    }
    const log = await stop(driver);
    expect(numbersOf(log, 'from')[0]).toBeGreaterThan(late);
    expectAllOnce();
    await stop(await drive(files()));
    expectAllOnce();
  });
});

describe('a copy of a store directory', () => {
  /** Copies the directory while its driver is stopped. */
  function copyOf(driver: Running): SinkEnv {
    driver.process.kill('SIGSTOP');
    const copy = join(place.root, 'copy');
    cpSync(place.store, copy, { recursive: true });
    driver.process.kill('SIGCONT');
    return { DIRECTORY: copy };
  }

  it.each([
    // Its row tells that the sink moved on behind the copy.
    ['files', files, 'STREAM_SINK_CONFLICT', 78],
    ['a table', () => ({ OUT: '' }), 'STREAM_LOCKED', 73],
  ] as const)('beside the original, with %s as the sink of both, is refused; the healthy one goes on', async (_name, sink, name, code) => {
    const driver = await drive(sink());
    const copy = copyOf(driver);
    for (let starts = 0; starts < 4; starts++) {
      const refused = await place.start({ ...sink(), ...copy }, COMMAND).ended;
      expect({ code: refused.code, names: refused.log.includes(name) }).toEqual({ code, names: true });
      expect(refused.log).not.toMatch(/^(from|durable|committed)/m);
    }
    const log = await stop(driver);
    expect(log).not.toContain('FENCED');
    if (code === 78) expectAllOnce();
    await stop(await drive(sink()));
  });
  it('is refused once the original has gone on, and changes nothing in the sink', async () => {
    const driver = await drive(files());
    const copy = copyOf(driver);
    driver.process.kill('SIGKILL');
    await driver.ended;
    await stop(await drive(files()));
    const before = bytesOf(join(place.root, 'out'));
    const refused = await place.start({ ...files(), ...copy }, COMMAND).ended;
    expect({ code: refused.code, names: refused.log.includes('STREAM_SINK_CONFLICT') || refused.log.includes('STREAM_FENCED') }).toEqual({
      code: refused.log.includes('STREAM_FENCED') ? 73 : 78,
      names: true,
    });
    expect(bytesOf(join(place.root, 'out'))).toEqual(before);
    await stop(await drive(files()));
    expectAllOnce();
  });
});

/** Every file below a directory with its bytes, but for those that LevelDB writes when it is opened, the note of the lock, and what a start may leave behind. */
function bytesOf(directory: string): Readonly<Record<string, string>> {
  const all: Record<string, string> = {};
  for (const path of readdirSync(directory, { recursive: true, encoding: 'utf8' }).sort()) {
    if (/^(checkpoint\/|lock$)/.test(path) || statSync(join(directory, path)).isDirectory()) continue;
    all[path] = readFileSync(join(directory, path)).toString('base64');
  }
  return all;
}

/** The checkpoints of a store, as LevelDB gives them. */
async function checkpointsOf(store: string): Promise<readonly unknown[]> {
  const db = new Level<Buffer, Buffer>(join(store, 'checkpoint'), { createIfMissing: false, keyEncoding: 'buffer', valueEncoding: 'buffer' });
  const entries = await db.iterator().all();
  await db.close();
  return entries.map(([key, value]) => [key.toString(), value.toString('base64')]);
}

describe('a driver that refuses', () => {
  const [identity, journal] = ['identity', 'journal'];
  const change = (path: string, how: (bytes: Buffer) => Buffer): void => writeFileSync(join(place.store, path), how(readFileSync(join(place.store, path))));
  const nothing = (): void => undefined;

  it.each<[string, { readonly env?: SinkEnv; readonly prepare?: () => void; readonly name: string; readonly code: number }]>([
    ['the store of another application', { env: { VARIANT: 'other-app' }, name: 'STREAM_IDENTITY', code: 64 }],
    ['another graph', { env: { VARIANT: 'other-graph' }, name: 'STREAM_GRAPH_CHANGED', code: 64 }],
    [
      'a newer format',
      {
        prepare: () => change(identity, (bytes) => Buffer.from(bytes.toString().replace('"format": 1', '"format": 2'))),
        name: 'STREAM_CHECKPOINT_FORMAT',
        code: 78,
      },
    ],
    ['a damaged identity', { prepare: () => change(identity, (bytes) => bytes.subarray(0, 30)), name: 'STREAM_IDENTITY', code: 78 }],
    ['a lost identity', { prepare: () => rmSync(join(place.store, identity)), name: 'STREAM_IDENTITY', code: 78 }],
    [
      'a damaged log',
      { prepare: () => change(lastSegmentButOne(), (bytes) => Buffer.from(bytes).fill(0xff, 4200, 4210)), name: 'STREAM_WAL_CORRUPT', code: 78 },
    ],
  ])('%s has changed nothing in store and sink', async (_name, { env = {}, prepare = nothing, name, code }) => {
    const driver = await drive(files());
    driver.process.kill('SIGKILL');
    await driver.ended;
    prepare();
    const before = [bytesOf(place.store), bytesOf(join(place.root, 'out')), await checkpointsOf(place.store)];
    const refused = await place.start({ ...files(), ...env }, COMMAND).ended;
    expect({ code: refused.code, names: refused.log.includes(name) }).toEqual({ code, names: true });
    expect([bytesOf(place.store), bytesOf(join(place.root, 'out')), await checkpointsOf(place.store)]).toEqual(before);
  });

  function lastSegmentButOne(): string {
    const names = readdirSync(join(place.store, journal)).filter((name) => name.endsWith('.wal'));
    return join(journal, names.at(-2) ?? names.at(-1) ?? '');
  }

  it('a store that another driver has, has changed nothing in it', async () => {
    const driver = await drive(files());
    driver.process.kill('SIGSTOP');
    const before = [bytesOf(place.store), bytesOf(join(place.root, 'out'))];
    const refused = await place.start(files(), COMMAND).ended;
    expect({ code: refused.code, names: refused.log.includes('STREAM_LOCKED') }).toEqual({ code: 73, names: true });
    expect([bytesOf(place.store), bytesOf(join(place.root, 'out'))]).toEqual(before);
    driver.process.kill('SIGCONT');
    await stop(driver);
    expectAllOnce();
  });

  it.each([
    [
      'a sink that lost its rows',
      () => rmSync(join(place.root, 'out', '_millrace', 'fenced', 'copies', 'manifest'), { recursive: true }),
      'STREAM_SINK_CONFLICT',
      78,
    ],
    ['a sink of another store', () => rmSync(place.store, { recursive: true }), 'STREAM_SINK_CONFLICT', 78],
  ] as const)('%s has changed nothing in the sink, and no batch of the store', async (_name, prepare, name, code) => {
    const first = await drive(files());
    await stop(first);
    prepare();
    const before = bytesOf(join(place.root, 'out'));
    for (let starts = 0; starts < 2; starts++) {
      const refused = await place.start(files(), COMMAND).ended;
      expect({ code: refused.code, names: refused.log.includes(name) }).toEqual({ code, names: true });
      expect(refused.log).not.toMatch(/^(from|durable|committed)/m);
    }
    expect(bytesOf(join(place.root, 'out'))).toEqual(before);
  });
});
