// Goal: an operation of the disk that fails, whichever it is, once or for ever, loses nothing acknowledged. Method: a fixed course of start, append, prepare, rotate, cut and start again, with
// its n-th operation failing, n = 1, 2, 3, ... until the course goes through untouched; then a start on a sound disk.
import { describe, expect, it } from 'vitest';
import type { SimulatedFault } from '../../../../src/testing/index.ts';
import { LogWorld } from './log-world.ts';

const OPTIONS = { segmentBytesMax: 5000, isPrepared: true };

/** The course. Returns how many operations it took, and whether it came to its end. */
async function course(
  world: LogWorld,
  fail?: SimulatedFault,
): Promise<{ readonly steps: number; readonly isWhole: boolean; readonly names: readonly string[] }> {
  const life = await world.open({ ...OPTIONS, ...(fail === undefined ? {} : { fail }) });
  if (life === undefined || life instanceof Error) return { steps: 0, isWhole: false, names: [] };
  let isWhole = true;
  for (const sizes of [[10], [200, 200], [400], [10], [500], [500, 10], [300]]) {
    const outcomes = await world.append(life, sizes);
    isWhole &&= outcomes.every((outcome) => outcome === 'acknowledged');
    await world.pass(life, 5);
    if (sizes.length === 2) await world.cut(life, world.lastLsn - 2);
  }
  await life.wal.close().catch(() => {
    isWhole = false;
  });
  const { steps, names } = life.process;
  life.process.kill();
  return { steps, isWhole, names };
}

/** A world with a log that has been through the course once. */
async function usedWorld(): Promise<LogWorld> {
  const world = new LogWorld(7);
  expect(await course(world)).toMatchObject({ isWhole: true });
  return world;
}

describe.each([
  ['EIO', false],
  ['EIO', true],
  ['ENOSPC', false],
  ['ENOSPC', true],
] as const)('an operation that fails with %s (for ever: %s)', (code, forever) => {
  it.each([false, true])('at every step, then power cut: %s', async (power) => {
    const untouched = await course(await usedWorld());
    const failed = new Set<string>();
    for (let at = 1; at <= untouched.steps; at++) {
      const world = await usedWorld();
      await course(world, { at, code, forever });
      failed.add(untouched.names[at - 1]?.split(' ')[0] ?? '');
      if (power) world.disk.cutPower(world.random);
      const next = await world.open(OPTIONS);
      if (next === undefined || next instanceof Error) throw new Error(`step ${at}, ${untouched.names[at - 1]}: ${String(next?.message)}`, { cause: next });
      expect(await world.append(next, [1])).toEqual(['acknowledged']);
      next.process.kill();
      const again = await world.open(OPTIONS);
      if (again === undefined || again instanceof Error) throw new Error(`step ${at}, ${untouched.names[at - 1]}, second start`, { cause: again });
    }
    for (const operation of ['write', 'sync', 'link', 'remove', 'syncDirectory', 'open-create', 'open-read', 'read', 'close', 'entries', 'size'])
      expect(failed).toContain(`file.${operation}`);
  });
});
