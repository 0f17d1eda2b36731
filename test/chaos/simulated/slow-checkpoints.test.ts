// Goal: a checkpoint that takes longer than several batches loses nothing and doubles nothing, whichever step the program dies at. Method: the fixed run of world.ts with a store whose writes are slow,
// killed at each step; the next life goes on with the same store.
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { describe, expect, it } from 'vitest';
import { crash, SEED, type Crash } from './crash.ts';
import { createWorld, findings, live } from './world.ts';

const SLOW = { storeDelayMs: 340 };

describe('a run with slow checkpoints', () => {
  it('completes batches between the beginning of a checkpoint and its end', async () => {
    const order: string[] = [];
    const names = ['checkpoint-started', 'batch-completed', 'checkpoint-written'].map((name) => [name, () => void order.push(name)] as const);
    for (const [name, listener] of names) subscribe(`millrace:${name}`, listener);
    await live(createWorld(SEED), {}, SLOW);
    for (const [name, listener] of names) unsubscribe(`millrace:${name}`, listener);
    expect(order.join(' ')).toContain('checkpoint-started batch-completed batch-completed batch-completed checkpoint-written');
  });
  it.each<Crash>(['kill', 'power'])('may die by %s at every step', async (kind) => {
    let deaths = 0;
    for (let killAt = 1; ; killAt++) {
      const world = createWorld(SEED);
      const { end, process } = await live(world, { killAt }, SLOW);
      if (end.kind === 'stopped') break;
      const where = `${kind} at step ${killAt}: ${String(process.names.at(-1))}`;
      expect({ where, end }).toEqual({ where, end: { kind: 'died' } });
      deaths += 1;
      crash(world, kind, SEED + killAt);
      const next = await live(world, {}, SLOW);
      expect({ where, end: next.end }).toEqual({ where, end: { kind: 'stopped' } });
      expect({ where, wrong: findings(world) }).toEqual({ where, wrong: [] });
    }
    expect(deaths).toBeGreaterThan(100);
  });
});
