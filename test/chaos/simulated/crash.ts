// Deaths of the fixed run of world.ts, and what must be so afterwards.
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { expect } from 'vitest';
import { SeededRandom } from '../../../src/testing/index.ts';
import { createWorld, findings, live, type World } from './world.ts';

export const SEED: number = Number(process.env['SEED'] ?? 1);

export type Crash = 'kill' | 'power';

export function crash(world: Pick<World, 'disk'>, kind: Crash, seed: number): void {
  if (kind === 'power') world.disk.cutPower(new SeededRandom(seed));
}

/** Lives until the run is done; what each life came to. */
export async function recoverAndFinish(world: World, where: string): Promise<void> {
  const { end } = await live(world);
  expect({ where, end }).toEqual({ where, end: { kind: 'stopped' } });
  expect({ where, wrong: findings(world) }).toEqual({ where, wrong: [] });
}

/**
 * Kills the run at every step k of one half, and again at every step of the recovery from that. The halves are files of their own, so that they run beside each other.
 *
 * @param half - 1 for odd steps, 2 for even ones.
 * @returns How many pairs of deaths there were.
 */
export async function dieTwice(half: 1 | 2): Promise<number> {
  const kinds: readonly Crash[] = ['kill', 'power'];
  let pairs = 0;
  for (let killAt: number = half; ; killAt += 2) {
    let isOver = false;
    for (let second = 1; ; second++) {
      const world = createWorld(SEED);
      const random = new SeededRandom(SEED + killAt * 1000 + second);
      const first = await live(world, { killAt });
      isOver = first.end.kind === 'stopped';
      if (isOver) break;
      crash(world, kinds[random.integer(2)] ?? 'kill', SEED + killAt);
      const recovered = watchRecovery();
      const { end } = await live(world, { killAt: second });
      if (recovered()) break;
      expect({ killAt, second, end }).toEqual({ killAt, second, end: { kind: 'died' } });
      crash(world, kinds[random.integer(2)] ?? 'kill', SEED + second);
      await recoverAndFinish(world, `death at step ${killAt}, again at step ${second} of the recovery, seed ${SEED}`);
      pairs += 1;
    }
    if (isOver) return pairs;
  }
}

/** Listens until it is asked whether a recovery came to its end. */
function watchRecovery(): () => boolean {
  let isRecovered = false;
  const listener = (): void => {
    isRecovered = true;
  };
  subscribe('millrace:recovery-completed', listener);
  return () => {
    unsubscribe('millrace:recovery-completed', listener);
    return isRecovered;
  };
}
