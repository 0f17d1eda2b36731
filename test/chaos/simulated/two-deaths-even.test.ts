// Goal: a second death at any step of the recovery from the first one loses nothing and doubles nothing. Method: crash.ts, the even steps of the run.
import { expect, it } from 'vitest';
import { dieTwice } from './crash.ts';

it('two deaths, the first at every even step, the second at every step of the recovery', async () => {
  expect(await dieTwice(2)).toBeGreaterThan(2500);
});
