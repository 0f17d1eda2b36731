// Goal: a program killed at any moment, again and again, counts every word once. Method: the demo's program and feeder in processes of their own, SIGKILL after random
// times, and a checker that imports nothing from the engine. CHAOS_LONG=1 kills more often; SEED repeats the times.
import { fork, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { SeededRandom } from '../../../src/testing/index.ts';
import { until, Workplace } from '../../support/processes.ts';

const ROOT = join(import.meta.dirname, '../../..');
const KILLS = process.env['CHAOS_LONG'] === '1' ? 200 : 20;
const SEED = Number(process.env['SEED'] ?? Math.floor(performance.timeOrigin));
const place = new Workplace();

afterEach(() => place.close());

it(`counts every word once through ${KILLS} kills, seed ${SEED}`, async () => {
  const random = new SeededRandom(SEED);
  const text = join(ROOT, 'examples/data/jargon.txt');
  const feeder = fork(join(ROOT, 'examples/build/word-count/feeder.js'), [text, 'jargon', '2000']);
  const [{ port }] = (await once(feeder, 'message')) as [{ port: number }];
  const progress = { acknowledged: 0, lines: -1 };
  feeder.on('message', (message: Partial<typeof progress>) => Object.assign(progress, message));
  const env = { FEEDER_PORT: String(port), SINK_DIRECTORY: place.table, STORE_DIRECTORY: place.store };
  const start = () => place.start(env, [process.execPath, join(ROOT, 'examples/build/word-count/main.js')]);
  try {
    let driver = start();
    for (let kill = 0; kill < KILLS; kill++) {
      // Some while it starts and recovers, most while it works.
      const afterMs = 150 + random.next() ** 2 * 1600;
      await new Promise((resolve) => setTimeout(resolve, afterMs));
      driver.process.kill('SIGKILL');
      expect(await driver.ended).toMatchObject({ code: 'SIGKILL' });
      driver = start();
    }
    feeder.send('finish');
    await until(() => progress.acknowledged === progress.lines, 'the last line acknowledged');
    driver.process.kill('SIGTERM');
    expect(await driver.ended).toMatchObject({ code: 0 });
  } finally {
    feeder.kill('SIGKILL');
  }
  const check = spawnSync(process.execPath, [join(ROOT, 'examples/word-count/check.mjs'), text, place.table], { encoding: 'utf8' });
  expect(JSON.parse(check.stdout)).toMatchObject({ words: 211_331, lost: 0, doubled: 0 });
});
