// Goal: whatever a crash does to the disk, what was acknowledged is recovered, what was refused is not, what one recovery reported the next one has. Method: 100,000 seeded lives of a
// log on a simulated disk that tears sectors, loses and reorders what was not synced, forgets names, writes short, fails once or for ever, and runs full; recoveries die as well.
import { describe, expect, it } from 'vitest';
import type { SeededRandom, SimProcessOptions } from '../../../../src/testing/index.ts';
import { LogWorld, type LogLife } from './log-world.ts';

const CYCLES = Number(process.env['CYCLES'] ?? (process.env['CHAOS_LONG'] === '1' ? 1_000_000 : 100_000));
const CYCLES_PER_WORLD = 40;
const SEED = Number(process.env['SEED'] ?? 1);
const UNLIMITED = Number.MAX_SAFE_INTEGER;

/** What happened in all lives, so that a run in which nothing happened does not pass. */
type Tally = ReturnType<typeof emptyTally>;

function emptyTally() {
  return { cycles: 0, opened: 0, diedInOpen: 0, failedInOpen: 0, acknowledged: 0, refused: 0, unknown: 0, powerCuts: 0, lostWrites: 0, lostNames: 0 };
}

/** How this life will go wrong. */
function chooseFault(random: SeededRandom): SimProcessOptions {
  const at = 1 + random.integer(random.chance(0.5) ? 60 : 250);
  if (random.chance(0.75)) return { killAt: at };
  return { fail: { at, code: 'EIO', forever: random.chance(0.5) } };
}

async function live(world: LogWorld, life: LogLife, tally: Tally): Promise<void> {
  const { random, disk } = world;
  for (let turn = 0; turn < 20 && life.process.isAlive; turn++) {
    if (random.chance(0.02)) disk.failNextSync = true;
    if (random.chance(0.1)) disk.capacityBytes = random.chance(0.7) ? disk.usedBytes + random.integer(6000) : UNLIMITED;
    const sizes = Array.from({ length: 1 + random.integer(4) }, () => random.integer(random.chance(0.1) ? 3000 : 200));
    const outcomes = await world.append(life, sizes);
    for (const outcome of outcomes) tally[outcome] += 1;
    if (outcomes.includes('unknown')) break;
    if (random.chance(0.1)) await world.pass(life, random.chance(0.5) ? 5 : 1000);
    if (random.chance(0.05)) await world.cut(life, 1 + random.integer(world.lastLsn + 1));
  }
}

async function cycle(world: LogWorld, tally: Tally): Promise<void> {
  const { random, disk } = world;
  tally.cycles += 1;
  if (random.chance(0.03)) disk.failNextSync = true;
  const opened = await world.open({
    ...chooseFault(random),
    isPrepared: random.chance(0.5),
    shortWrites: random.chance(0.2),
    segmentBytesMax: 5000 + random.integer(8000),
  });
  if (opened === undefined) tally.diedInOpen += 1;
  else if (opened instanceof Error) {
    tally.failedInOpen += 1;
    if ('exitCode' in opened && opened.exitCode === 78) throw opened;
  } else {
    tally.opened += 1;
    await live(world, opened, tally);
    opened.process.kill();
  }
  disk.failNextSync = false;
  disk.capacityBytes = UNLIMITED;
  if (random.chance(0.6)) {
    const { lostWrites, lostNames } = disk.cutPower(random);
    tally.powerCuts += 1;
    tally.lostWrites += lostWrites;
    tally.lostNames += lostNames;
  }
}

describe('a log through crashes', () => {
  it(`holds what it acknowledged through ${CYCLES} lives`, async () => {
    const tally = emptyTally();
    for (let seed = SEED; tally.cycles < CYCLES; seed++) {
      const world = new LogWorld(seed);
      try {
        for (let count = 0; count < CYCLES_PER_WORLD; count++) await cycle(world, tally);
        const last = await world.open();
        if (last === undefined || last instanceof Error) throw last ?? new Error('the last start died');
        const sound = await world.append(last, [1]);
        expect(sound).toEqual(['acknowledged']);
      } catch (error) {
        throw new Error(`SEED=${seed}, cycle ${tally.cycles % CYCLES_PER_WORLD}: ${(error as Error).message}`, { cause: error });
      }
    }
    console.log(`${CYCLES} lives of a log, seeds from ${SEED}:`, JSON.stringify(tally));
    for (const [name, count] of Object.entries(tally)) expect({ name, isEnough: count > CYCLES / 1000 }).toEqual({ name, isEnough: true });
  });
  it('goes the same way for the same seed', async () => {
    const trace = async (): Promise<string> => {
      const world = new LogWorld(SEED);
      const tally = emptyTally();
      for (let count = 0; count < CYCLES_PER_WORLD; count++) await cycle(world, tally);
      return JSON.stringify(tally);
    };
    expect(await trace()).toBe(await trace());
  });
});
