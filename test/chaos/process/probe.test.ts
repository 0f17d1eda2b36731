// Goal: the process that tries a store lives no longer than the driver that asks it, and the next driver goes on. Method: a file of LevelDB is a pipe that nobody writes to, so that opening
// the store takes for ever; the driver is killed meanwhile.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { DamagedStores } from '../../support/damaged-stores.ts';
import { requireTools } from '../../support/faults.ts';
import { until } from '../../support/processes.ts';

let stores: DamagedStores;

beforeEach(() => {
  stores = new DamagedStores();
});
afterEach(async () => {
  for (const pid of probes()) process.kill(Number(pid), 'SIGKILL');
  await stores.close();
});

/** The processes that try this store. */
function probes(): readonly string[] {
  return readdirSync('/proc').filter((name) => {
    try {
      const words = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
      return words.some((word) => word.endsWith('level-probe-main.js')) && words.includes(join(stores.store, 'checkpoint'));
    } catch {
      // No process, or one that has just ended.
      return false;
    }
  });
}

it('a process that tries a store ends with the driver that asked it', async (context) => {
  requireTools(context, ['mkfifo']);
  await stores.make(200, 'kill');
  const current = join(stores.store, 'checkpoint', 'CURRENT');
  renameSync(current, join(stores.root, 'kept'));
  execFileSync('mkfifo', [current]);
  writeFileSync(join(stores.store, 'opening'), '');
  const driver = stores.launch(300, 'stop');
  await until(() => probes().length === 1, 'a process that tries the store');
  driver.kill('SIGKILL');
  await until(() => probes().length === 0, 'its end');
  renameSync(join(stores.root, 'kept'), current);
  await stores.make(300, 'stop');
  expect(readdirSync(stores.store)).not.toContain('opening');
});

it('a start that finds no mark asks nobody', async () => {
  await stores.make(200, 'kill');
  const driver = stores.launch(300, 'stop');
  const ended = new Promise((resolve) => driver.once('close', resolve));
  let seen = 0;
  const watch = setInterval(() => (seen += probes().length), 5);
  expect(await ended).toBe(0);
  clearInterval(watch);
  expect(seen).toBe(0);
});
