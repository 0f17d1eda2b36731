// Goal: whichever step the program dies at, the next start loses nothing and doubles nothing. Method: the fixed run of world.ts, killed at each step k; the power
// stays on or fails with it. A second death in the recovery: two-deaths-odd and two-deaths-even.
import { describe, expect, it } from 'vitest';
import { crash, recoverAndFinish, SEED, type Crash } from './crash.ts';
import { createWorld, findings, live } from './world.ts';

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
