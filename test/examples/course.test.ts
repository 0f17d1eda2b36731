// Goal: each program of the course does what its README line says: it is killed once, and nothing is lost or doubled. Method: the command of the README line, after the build.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hasKafka } from '../support/kafka.ts';
import { hasPostgres } from '../support/postgres.ts';

const ROOT = join(import.meta.dirname, '../..');
const PROGRAMS = [
  'network-word-count',
  'hdfs-word-count',
  'update-state-by-key-word-count',
  'transform-blacklist',
  'persist-word-count',
  'persist-word-count-postgres',
  'word-count-kafka',
];
const canRun = (name: string): boolean => (name.endsWith('-postgres') ? hasPostgres() : !name.endsWith('-kafka') || hasKafka());

describe('the programs of the course', () => {
  it.each(PROGRAMS.filter(canRun))('%s', (name) => {
    expect(readFileSync(join(ROOT, 'examples/course/README.md'), 'utf8')).toContain(`npm run example ${name}`);
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(ROOT, 'examples/build/course/run.js'), name], { encoding: 'utf8', timeout: 60_000 });
    expect({ status, stderr, stdout }).toMatchObject({ status: 0, stdout: expect.stringMatching(/killed once, ended with 0; 0 lost, 0 doubled\n$/) as string });
  });
  it('an unknown name is refused with the names there are', () => {
    const { status, stderr } = spawnSync(process.execPath, [join(ROOT, 'examples/build/course/run.js'), 'flink'], { encoding: 'utf8' });
    expect([status, stderr]).toEqual([64, `Cannot run "flink" as it must be one of: ${PROGRAMS.join(', ')}\n`]);
  });
});
