// Goal: three releases over one store, as examples/upgrade tells it. Method: its command, after the build.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';

it('a release goes on with what the one before it counted, and drops nothing without consent', () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(import.meta.dirname, '../../examples/build/upgrade/run.js')], {
    encoding: 'utf8',
    timeout: 120_000,
  });
  expect({ status, stderr, stdout }).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(/nothing lost, nothing doubled, nothing dropped without consent\n$/) as string,
  });
});
