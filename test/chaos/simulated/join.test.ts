// Goal: two receivers, a file source, a join and two sinks lose nothing and double nothing, whichever step the program dies at. Method: the run of join-world.ts, killed at each
// step, the power on or off; and again with a second death at a step of the recovery.
import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../../../src/testing/index.ts';
import { createJoinWorld, joinFindings, liveJoin, type JoinWorld } from './join-world.ts';

const SEED = Number(process.env['SEED'] ?? 1);

async function finish(world: JoinWorld, where: string): Promise<void> {
  const { end } = await liveJoin(world);
  expect({ where, end }).toEqual({ where, end: { kind: 'stopped' } });
  expect({ where, wrong: joinFindings(world) }).toEqual({ where, wrong: [] });
}

it('a run that nobody kills joins what came in', async () => {
  const world = createJoinWorld(SEED);
  await finish(world, 'alone');
  expect(world.copies.commits.length).toBeGreaterThan(2);
});

describe.each(['kill', 'power'])('death by %s', (kind) => {
  it.each([false, true])('at every step k, then another in the recovery: %s', async (isDouble) => {
    const reached = new Set<string>();
    for (let killAt = 1; ; killAt++) {
      const world = createJoinWorld(SEED);
      const random = new SeededRandom(SEED + killAt);
      const { end, process } = await liveJoin(world, { killAt });
      if (end.kind === 'stopped') break;
      expect({ killAt, end }).toEqual({ killAt, end: { kind: 'died' } });
      const step = String(process.names.at(-1));
      reached.add(step.replaceAll(/\d{6,}/g, 'N'));
      if (kind === 'power') world.disk.cutPower(random);
      if (isDouble) {
        const second = 1 + random.integer(120);
        await liveJoin(world, { killAt: second });
        if (kind === 'power') world.disk.cutPower(random);
        await finish(world, `${kind} at step ${killAt}, again at step ${second}, seed ${SEED}`);
      } else await finish(world, `${kind} at step ${killAt}: ${step}`);
    }
    for (const step of ['sink.commit', 'file.link /out/part-N-0.ndjson', 'file.entries /in', 'file.read /in/f1']) expect(reached).toContain(step);
  });
});
