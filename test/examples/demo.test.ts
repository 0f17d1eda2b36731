// Goal: the README's first command does what it says. Method: the demo as npm start runs it, after the build.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';

it('npm start ends with 0 words lost and 0 doubled after at least ten kills, one of each kind', () => {
  const { status, stdout } = spawnSync(process.execPath, [join(import.meta.dirname, '../../examples/build/word-count/demo.js')], { encoding: 'utf8' });
  const value = (name: string): number => Number(new RegExp(`^ *${name} +(\\d+)`, 'm').exec(stdout)?.[1]);
  expect({ status, stdout }).toMatchObject({ status: 0 });
  expect([value('words lost'), value('words doubled'), value('words'), value('lines')]).toEqual([0, 0, 211_331, 30_492]);
  expect(value('kills')).toBeGreaterThanOrEqual(10);
  for (const kind of ['receiving', 'plan to commit', 'commit to complete', 'checkpoint', 'recovery']) expect(value(kind)).toBeGreaterThanOrEqual(1);
});
