// Goal: starts at one moment, with every lock defeated, never have one epoch, and an epoch never goes back unnoticed. Method: two starts in every order in which their steps on the directory can fall, three with few
// switches; whoever has started acts as a driver does, looking first whether it is still the owner.
import { describe, expect, it } from 'vitest';
import type { FileSystem } from '../../../../src/env/file-system.ts';
import type { Env } from '../../../../src/env/env.ts';
import { newIdentity, readIdentity, watchIdentity, writeIdentity, type Identity } from '../../../../src/journal/identity.ts';
import { raiseEpoch } from '../../../../src/journal/raise-epoch.ts';
import { createSimEnv, ManualClock, SeededRandom, SimDisk, SimProcess, type SimProcessOptions } from '../../../../src/testing/index.ts';
import { explore, type Actor, type Gate, type Trace } from '../../../support/interleavings.ts';

const ACTS = 2;
/** More than a start has. */
const STEPS_MAX = 100;

/** The steps of a start that others see or that see others. A draft is its own until it is linked. */
function gated(files: FileSystem, gate: Gate): FileSystem {
  const before = async <T>(step: string, call: () => Promise<T>): Promise<T> => {
    await gate(step);
    return call();
  };
  return {
    ...files,
    list: (path) => before('list', () => files.list(path)),
    link: (from, to) => before(`link ${to}`, () => files.link(from, to)),
    rename: (from, to) => before('rename', () => files.rename(from, to)),
    open: (path, mode) => (path === '/identity' ? before('read identity', () => files.open(path, mode)) : files.open(path, mode)),
    // Of a name that is there, or may be by then.
    remove: async (path) => ((await files.stat(path)) === undefined ? undefined : before(`remove ${path}`, () => files.remove(path))),
  };
}

/** What happened, in order: a driver begins with an epoch, and does something as its owner. */
interface Happened {
  readonly kind: 'began' | 'acted';
  readonly epoch: number;
  readonly starter: number;
}

class Directory {
  readonly disk = new SimDisk();
  readonly happened: Happened[] = [];
  readonly refused: string[] = [];
  #drivers = 0;

  env(process = new SimProcess()): Env {
    return createSimEnv({ disk: this.disk, process, clock: new ManualClock(0), random: new SeededRandom((this.#drivers += 1)) });
  }

  async make(): Promise<void> {
    const env = this.env();
    await writeIdentity(env, '/', newIdentity(env, 'app'));
  }

  async identity(): Promise<Identity> {
    const found = await readIdentity(this.env(), '/', false);
    if (found === undefined) throw new Error('there is no identity');
    return found;
  }

  /** Names that belong to starts. */
  get names(): readonly string[] {
    return this.disk.list('/').filter((name) => name.startsWith('identity'));
  }

  /** Whether `identity` is older than a claim. */
  async isBack(): Promise<boolean> {
    const { epoch } = await this.identity();
    return this.names.some((name) => Number(/\.(\d+)\.claim$/.exec(name)?.[1]) > epoch);
  }

  starter(starter: number, identity: Identity): Actor {
    return async (gate) => {
      const plain = this.env();
      const env = { ...plain, files: gated(plain.files, gate) };
      try {
        const mine = await raiseEpoch(env, '/', identity);
        const watch = await watchIdentity(env, '/', mine);
        this.happened.push({ kind: 'began', epoch: mine.epoch, starter });
        for (let act = 0; act < ACTS; act++) {
          await gate('act');
          if (watch.isOwner()) this.happened.push({ kind: 'acted', epoch: mine.epoch, starter });
        }
      } catch (error) {
        this.refused.push((error as { code?: string }).code ?? String(error));
      }
    };
  }
}

/** What must hold whatever the order was. */
async function check(directory: Directory, trace: Trace): Promise<void> {
  const { happened, refused } = directory;
  const where = trace.join('; ');
  const began = happened.filter(({ kind }) => kind === 'began');
  expect({ where, epochs: new Set(began.map(({ epoch }) => epoch)).size }).toEqual({ where, epochs: began.length });
  // Nobody acts, or begins, behind one with a later epoch.
  expect({ where, order: happened.map(({ epoch }) => epoch) }).toEqual({
    where,
    order: happened.map(({ epoch }) => epoch).sort((left, right) => left - right),
  });
  expect({ where, refused: refused.filter((code) => code !== 'STREAM_FENCED') }).toEqual({ where, refused: [] });
  // The next start has a later epoch than everybody, and leaves nothing of them.
  const env = directory.env();
  const next = await raiseEpoch(env, '/', await directory.identity());
  const last = Math.max(0, ...happened.map(({ epoch }) => epoch));
  expect({ where, isLater: next.epoch > last }).toEqual({ where, isLater: true });
  expect({ where, names: directory.names }).toEqual({ where, names: ['identity', `identity.${next.epoch}.claim`] });
  await watchIdentity(env, '/', next);
}

/** Explores starts that have all read the same identity. */
async function exploreStarts(starters: number, switchesMax: number) {
  const told = { orders: 0, twoBegan: 0, wentBack: 0 };
  let directory = new Directory();
  await directory.make();
  let identity = await directory.identity();
  told.orders = await explore({
    begin: () => Array.from({ length: starters }, (_, index) => directory.starter(index, identity)),
    switchesMax,
    check: async (trace) => {
      const began = directory.happened.filter(({ kind }) => kind === 'began');
      told.twoBegan += Number(began.length > 1);
      told.wentBack += Number(await directory.isBack());
      expect({ trace, began: began.length }).not.toEqual({ trace, began: 0 });
      await check(directory, trace);
      directory = new Directory();
      await directory.make();
      identity = await directory.identity();
    },
  });
  return told;
}

describe('starts at one moment', () => {
  it('never have one epoch: two, in every order', async () => {
    const told = await exploreStarts(2, Infinity);
    // Not vacuous: there are orders in which both begin, one after the other, and in which the older one renames behind the newer one.
    expect(told.orders).toBeGreaterThan(5000);
    expect(told.twoBegan).toBeGreaterThan(1000);
    if (process.env['VERBOSE']) process.stdout.write(`${JSON.stringify(told)}\n`);
    expect(told.wentBack).toBeGreaterThan(100);
  });
  it('never have one epoch: three, with few switches', async () => {
    const told = await exploreStarts(3, 3);
    expect(told.orders).toBeGreaterThan(10_000);
    if (process.env['VERBOSE']) process.stdout.write(`${JSON.stringify(told)}\n`);
    expect(told.wentBack).toBeGreaterThan(100);
  });
});

/** A start that is stopped or killed at a step. */
async function stopped(directory: Directory, options: SimProcessOptions) {
  const process = new SimProcess(options);
  const env = directory.env(process);
  const identity = await directory.identity();
  const ended = (async () => {
    try {
      await watchIdentity(env, '/', await raiseEpoch(env, '/', identity));
      return 'began';
    } catch (error) {
      return (error as { code?: string }).code ?? String(error);
    }
  })();
  const state = await Promise.race([process.paused.then(() => 'stopped'), process.died.then(() => 'dead'), ended]);
  return { process, state, ended };
}

/** A start from one end to the other. */
async function start(directory: Directory) {
  const env = directory.env();
  const mine = await raiseEpoch(env, '/', await directory.identity());
  return { epoch: mine.epoch, watch: await watchIdentity(env, '/', mine) };
}

describe('a start that is stopped while others start', () => {
  it.each([1, 2])('ends none of %i that are through when it wakes, unless it is newer than they are', async (others) => {
    const outcomes = new Map<string, number>();
    for (let at = 1; at < STEPS_MAX; at++) {
      const directory = new Directory();
      await directory.make();
      const late = await stopped(directory, { pauseAt: { at, isAfter: false } });
      if (late.state !== 'stopped') continue;
      for (let other = 1; other < others; other++) await start(directory);
      const { watch, epoch } = await start(directory);
      const step = late.process.names.at(-1) ?? '';
      late.process.resume();
      const outcome = await late.ended;
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      const expected = outcome === 'began' ? { isOwner: false, isLater: true } : { isOwner: true, isLater: false };
      expect({ step, isOwner: watch.isOwner(), isLater: (await directory.identity()).epoch > epoch }).toEqual({ step, ...expected });
    }
    expect([...outcomes.keys()].sort()).toEqual(['STREAM_FENCED', 'began']);
    expect(outcomes.get('STREAM_FENCED')).toBeGreaterThan(8);
  });
});

describe('a start that dies', () => {
  it('at any step, with or without the power, blocks no later one; its claims go', async () => {
    let deaths = 0;
    for (let killAt = 1; killAt < STEPS_MAX; killAt++) {
      for (const isPower of [false, true]) {
        const directory = new Directory();
        await directory.make();
        await start(directory);
        const { state, process } = await stopped(directory, { killAt });
        if (state === 'began') return expect(deaths).toBeGreaterThan(20);
        deaths += 1;
        process.kill();
        if (isPower) directory.disk.cutPower(new SeededRandom(killAt));
        const { epoch } = await start(directory);
        expect({ killAt, isPower, isLater: epoch >= 2 }).toEqual({ killAt, isPower, isLater: true });
        expect({ killAt, isPower, names: directory.names }).toEqual({ killAt, isPower, names: ['identity', `identity.${epoch}.claim`] });
      }
    }
    throw new Error('a start has more steps than were tried');
  });
});
