// Goal: what reviewers would say twice is a check. Method: the rules of checks.ts over all files, and each rule once over text that breaks it.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ERROR_CODES } from '../../src/index.ts';
import * as api from '../../src/index.ts';
import {
  checkAdjectives,
  checkBans,
  checkErrorCodes,
  checkExamples,
  checkForeignPaths,
  checkLayers,
  checkLength,
  checkReachable,
  checkReadmes,
  type SourceFile,
} from './checks.ts';

function listed(...patterns: readonly string[]): readonly SourceFile[] {
  const names = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z', ...patterns], { encoding: 'utf8', maxBuffer: 1 << 24 });
  return [...new Set(names.split('\0'))]
    .filter((path) => path !== '')
    .flatMap((path) => {
      try {
        return [{ path, text: readFileSync(path, 'utf8') }];
      } catch {
        // Deleted in the working tree and not committed yet.
        return [];
      }
    });
}

const src = listed('src/*.ts');
const tests = listed('test/*.ts', 'test/*.mjs');
const docs = listed('*.md');

describe('the project', () => {
  it('has source files', () => expect(src.length).toBeGreaterThan(80));
  it('imports downwards only', () => expect(checkLayers(src)).toEqual([]));
  it('reaches the outside through env only', () => expect(checkBans(src)).toEqual([]));
  it('has files a reader can hold', () => expect(checkLength([...src, ...docs.filter(({ path }) => path.startsWith('src/'))])).toEqual([]));
  it('has a README per folder', () => expect(checkReadmes(src, docs)).toEqual([]));
  it('documents, throws and tests every error code', () => {
    const doc = docs.find(({ path }) => path === 'docs/errors.md')?.text ?? '';
    expect(checkErrorCodes(Object.keys(ERROR_CODES), { src, doc, tests: tests.filter(({ path }) => !path.startsWith('test/tidy/')) })).toEqual([]);
  });
  it('has no file that nobody imports', () =>
    expect(
      checkReachable(src, [
        'src/index.ts',
        'src/cli/main.ts',
        'src/checkpoint/level-probe-main.ts',
        'src/sinks/csv-format.ts',
        'src/sinks/kafka-sink.ts',
        'src/sinks/postgres-sink.ts',
        'src/state/msgpack-codec.ts',
        'src/testing/index.ts',
      ]),
    ).toEqual([]));
  it('does not praise itself', () => expect(checkAdjectives([...docs, ...src])).toEqual([]));
  it('names no machine', () => expect(checkForeignPaths(listed().filter(({ path }) => !path.startsWith('examples/data/')))).toEqual([]));
  it('has an example for each exported function and class', () => {
    const errors = Object.entries(api).flatMap(([name, value]) => (typeof value === 'function' && value.prototype instanceof Error ? [name] : []));
    const names = Object.entries(api).flatMap(([name, value]) => (typeof value === 'function' && !errors.includes(name) ? [name] : []));
    expect(checkExamples(src, names)).toEqual([]);
  });
  it('depends on level and pino only', () => {
    const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as { dependencies: Record<string, string> };
    expect(Object.keys(dependencies)).toEqual(['level', 'pino']);
  });
  it('exports what it says', () => {
    expect(Object.keys(api).sort()).toMatchInlineSnapshot(`
      [
        "AbortError",
        "CorruptionError",
        "DStream",
        "ERROR_CODES",
        "EXIT_CODES",
        "InvariantError",
        "LockedError",
        "MapWithStateDStream",
        "RDD",
        "RddContext",
        "SinkError",
        "SourceError",
        "StorageError",
        "StreamError",
        "StreamingContext",
        "TaskError",
        "UsageError",
        "fileSink",
        "levelSink",
        "milliseconds",
        "minutes",
        "requireClaim",
        "requireCommit",
        "runMain",
        "seconds",
      ]
    `);
  });
});

describe('each rule can fail', () => {
  const broken = (path: string, text: string): readonly SourceFile[] => [{ path, text }];
  it('layers', () => expect(checkLayers(broken('src/wal/log.ts', "import '../sinks/sink.ts';"))).toEqual(['src/wal/log.ts: src/wal may not import src/sinks']));
  it('layers, sideways', () => expect(checkLayers(broken('src/wal/log.ts', "import '../checkpoint/head.ts';"))).toHaveLength(1));
  it.each([
    "from 'node:fs'",
    'Date.now()',
    'setTimeout(f, 1)',
    'Math.random()',
    'process.exit(1)',
    "from 'node:net'",
    "from 'level'",
    "from 'pino'",
    '// TODO later',
  ])('ban of %s', (text) => expect(checkBans(broken('src/core/x.ts', text))).toHaveLength(1));
  it('length', () => expect(checkLength(broken('src/a/b.ts', '\n'.repeat(400)))).toHaveLength(1));
  it('readmes', () => expect(checkReadmes(broken('src/a/b.ts', ''), [])).toHaveLength(1));
  it('error codes', () => expect(checkErrorCodes(['X'], { src: [], doc: '', tests: [] })).toHaveLength(3));
  it('reachable', () => expect(checkReachable(broken('src/a/b.ts', ''), [])).toHaveLength(1));
  it('adjectives', () => expect(checkAdjectives(broken('a.md', ['ro', 'bust'].join('')))).toHaveLength(1));
  it('paths', () => expect(checkForeignPaths(broken('a.md', ['', 'work', 'main'].join('/')))).toHaveLength(1));
  it('examples', () => expect(checkExamples(broken('a.ts', '/** Does. */\nexport function go() {}'), ['go'])).toHaveLength(1));
});
