// Goal: whichever step the program dies at, the next start loses nothing and doubles nothing. Method: the fixed run of world.ts, killed at each step k; the power
// stays on or fails with it; and again with a second death at each step of the recovery from the first.
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../../../src/testing/index.ts';
import { createWorld, findings, live, type World } from './world.ts';

const SEED = Number(process.env['SEED'] ?? 1);

type Crash = 'kill' | 'power';

function crash(world: World, kind: Crash, seed: number): void {
  if (kind === 'power') world.disk.cutPower(new SeededRandom(seed));
}

/** Lives until the run is done; what each life came to. */
async function recoverAndFinish(world: World, where: string): Promise<void> {
  const { end } = await live(world);
  expect({ where, end }).toEqual({ where, end: { kind: 'stopped' } });
  expect({ where, wrong: findings(world) }).toEqual({ where, wrong: [] });
}

describe('a run that nobody kills', () => {
  it('counts every record once, writes checkpoints, closes segments and cuts the log', async () => {
    const world = createWorld(SEED);
    const { end, process } = await live(world);
    expect(end).toEqual({ kind: 'stopped' });
    expect(findings(world)).toEqual([]);
    expect(process.names.filter((name) => name === 'store.written').length).toBeGreaterThan(4);
    expect(process.names.some((name) => name.startsWith('file.remove /store/journal/0000000000000001.wal') && !name.endsWith('.tmp'))).toBe(true);
  });
});

describe.each<Crash>(['kill', 'power'])('death by %s', (kind) => {
  it('at every step k loses nothing and doubles nothing', async () => {
    const reached = new Set<string>();
    for (let killAt = 1; ; killAt++) {
      const world = createWorld(SEED);
      const { end, process } = await live(world, { killAt });
      if (end.kind === 'stopped') break;
      expect({ killAt, end }).toEqual({ killAt, end: { kind: 'died' } });
      reached.add(
        process.names
          .at(-1)
          ?.replace(/\d{16}/, 'N')
          .replace(/\d+-\d+\.tmp/, 'draft.tmp') ?? '',
      );
      crash(world, kind, SEED + killAt);
      await recoverAndFinish(world, `${kind} at step ${killAt}: ${String(process.names.at(-1))}`);
    }
    // Not vacuous: deaths before and behind each kind of durable step were among them.
    for (const step of [
      'file.sync /store/journal/draft.tmp',
      'file.link /store/journal/N.wal',
      'sink.commit',
      'sink.committed',
      'store.write',
      'store.written',
      'file.rename /store/identity',
    ]) {
      expect(reached).toContain(step);
    }
  });
});

describe('two deaths', () => {
  it('the second at every step of the recovery from the first at every step k', async () => {
    const kinds: readonly Crash[] = ['kill', 'power'];
    let pairs = 0;
    for (let killAt = 1; ; killAt++) {
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
      if (isOver) break;
    }
    expect(pairs).toBeGreaterThan(5000);
  });
});

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
