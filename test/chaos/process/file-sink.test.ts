// Goal: files in, files out, killed again and again: every line is there once. Method: real processes and SIGKILL after random times; the checker reads the output files and
// their manifest, with nothing from the engine. CHAOS_LONG=1 kills more often; SEED repeats the times.
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, expect, it } from 'vitest';
import { SeededRandom } from '../../../src/testing/index.ts';
import { until, Workplace } from '../../support/processes.ts';

const KILLS = process.env['CHAOS_LONG'] === '1' ? 200 : 15;
const SEED = Number(process.env['SEED'] ?? Math.floor(performance.timeOrigin));
const LINES_PER_FILE = 50;
const WORDS = ['to', 'be', 'or', 'not'];
const place = new Workplace();

afterEach(() => place.close());

/** The files of an output by their names. Each must be as the manifest says. */
function outputs(directory: string, sink: string): readonly string[] {
  const names = readdirSync(directory).filter((name) => !name.startsWith('_'));
  const records = `${directory}/_millrace/files/${sink}`;
  expect(readdirSync(`${records}/pending`)).toEqual([]);
  expect(readdirSync(`${records}/manifest`).map((name) => name.replace(/\.json$/, ''))).toEqual(names.map((name) => name.replace(/\.[^.]*$/, '')));
  return names.map((name) => {
    const bytes = readFileSync(join(directory, name));
    const [line = ''] = readFileSync(join(records, 'manifest', name.replace(/\.[^.]*$/, '.json')), 'utf8').split('\n');
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    expect(JSON.parse(line)).toMatchObject({ file: name, bytes: bytes.length, sha256 });
    return bytes.toString('utf8');
  });
}

it(`copies every line once through ${KILLS} kills, seed ${SEED}`, async () => {
  const random = new SeededRandom(SEED);
  const [input, aside, copies, counts] = ['in', 'aside', 'out', 'counts'].map((name) => join(place.root, name)) as [string, string, string, string];
  for (const directory of [input, aside]) mkdirSync(directory);
  let files = 0;
  const moveIn = (): void => {
    const lines = Array.from({ length: LINES_PER_FILE }, (_, index) => `${files * LINES_PER_FILE + index} ${WORDS[index % WORDS.length]}\n`).join('');
    const name = `f${files}${files % 3 === 0 ? '.gz' : ''}`;
    writeFileSync(join(aside, name), files % 3 === 0 ? gzipSync(lines) : lines);
    renameSync(join(aside, name), join(input, name));
    files += 1;
  };
  const env = { IN: input, OUT: copies, COUNTS: counts };
  const start = () => place.start(env, [process.execPath, join(import.meta.dirname, '../../support/file-program.mjs')]);
  let driver = start();
  for (let kill = 0; kill < KILLS; kill++) {
    const afterMs = 250 + random.next() ** 2 * 900;
    for (let passed = 0; passed < afterMs; passed += 25) {
      moveIn();
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    driver.process.kill('SIGKILL');
    expect(await driver.ended).toMatchObject({ code: 'SIGKILL' });
    driver = start();
  }
  await driver.logged('streaming context started');
  const copied = (): number =>
    readdirSync(copies)
      .filter((name) => !name.startsWith('_'))
      .reduce((sum, name) => sum + readFileSync(join(copies, name), 'utf8').split('\n').length - 1, 0);
  await until(() => copied() >= files * LINES_PER_FILE, 'all lines copied');
  driver.process.kill('SIGTERM');
  expect(await driver.ended).toMatchObject({ code: 0 });
  const ids = outputs(copies, 'copies').flatMap((text) =>
    text
      .trimEnd()
      .split('\n')
      .map((line) => Number((JSON.parse(line) as string).split(' ')[0])),
  );
  expect(ids.toSorted((left, right) => left - right)).toEqual(Array.from({ length: files * LINES_PER_FILE }, (_, index) => index));
  const totals = new Map<string, number>();
  for (const text of outputs(counts, 'counts')) {
    for (const row of text.trimEnd().split('\n').slice(1)) {
      const [word = '', count] = row.split(',');
      totals.set(word, (totals.get(word) ?? 0) + Number(count));
    }
  }
  const perFile = (word: number): number => Math.ceil((LINES_PER_FILE - word) / WORDS.length);
  expect(totals).toEqual(new Map(WORDS.map((word, index) => [word, files * perFile(index)])));
});
