// The rules of the house as pure functions over the text of files; each returns sentences that say what is wrong and where.
import { dirname, join, normalize } from 'node:path';
import ts from 'typescript';
import { LAYERS, TOP_FILES } from './layers.ts';

/** A file of the project: its path from the root, with slashes, and its text. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

/** The files that a file imports, relative ones only, as paths from the root. */
export function importsOf(file: SourceFile): readonly string[] {
  return ts
    .preProcessFile(file.text, true, true)
    .importedFiles.map(({ fileName }) => fileName)
    .filter((name) => name.startsWith('.'))
    .map((name) => normalize(join(dirname(file.path), name)));
}

function folderOf(path: string): string {
  const [, folder = '', ...rest] = path.split('/');
  return rest.length === 0 ? (TOP_FILES[folder] ?? folder) : folder;
}

function layerOf(folder: string): number {
  return LAYERS.findIndex((folders) => folders.includes(folder));
}

/** Imports that go up or sideways, and folders that stand on no layer. */
export function checkLayers(files: readonly SourceFile[]): readonly string[] {
  return files.flatMap((file) => {
    const from = folderOf(file.path);
    if (layerOf(from) < 0) return [`${file.path}: src/${from} stands on no layer`];
    return importsOf(file).flatMap((target) => {
      const to = folderOf(target);
      const isAllowed = from === to || (to !== 'testing' && layerOf(to) < layerOf(from));
      return isAllowed ? [] : [`${file.path}: src/${from} may not import src/${to}`];
    });
  });
}

interface Ban {
  readonly pattern: RegExp;
  readonly use: string;
  readonly allowed: readonly string[];
}

const BANS: readonly Ban[] = [
  { pattern: /from 'node:fs(\/promises)?'/, use: 'env.files', allowed: ['src/env/node-file-system.ts'] },
  { pattern: /\bDate\.now\(|new Date\(\)|performance\.now\(/, use: 'env.clock', allowed: ['src/env/node-env.ts'] },
  { pattern: /\bset(Timeout|Interval|Immediate)\(/, use: 'env.clock.setTimer', allowed: ['src/env/node-env.ts', 'src/testing/settle.ts'] },
  { pattern: /Math\.random|randomBytes/, use: 'env.random', allowed: ['src/env/node-env.ts'] },
  {
    pattern: /(^|[^.\w#'])process\.(env|exit|exitCode|on|off|pid|stdout|stderr|argv|cwd|platform|kill)\b/m,
    use: 'env, or run-main',
    allowed: ['src/env/node-env.ts', 'src/env/node-file-system.ts', 'src/context/run-main.ts', 'src/cli/main.ts', 'src/checkpoint/level-probe-main.ts'],
  },
  { pattern: /from 'node:net'/, use: 'a receiver, or env.files.lock', allowed: ['src/sources/socket-receiver.ts', 'src/env/node-file-system.ts'] },
  { pattern: /from 'node:child_process'/, use: 'one process', allowed: ['src/checkpoint/level-probe.ts'] },
  { pattern: /from 'level'/, use: 'CheckpointStore or levelSink', allowed: ['src/checkpoint/level-checkpoint-store.ts', 'src/sinks/level-sink.ts'] },
  { pattern: /from 'pino'/, use: 'env.logger', allowed: ['src/context/run-main.ts'] },
  { pattern: /\b(FIXME|TODO|HACK)\b|not implemented/i, use: 'an issue', allowed: [] },
];

/** Calls and imports that have one place of their own. Examples in comments may use them: they are the user's code. */
export function checkBans(sources: readonly SourceFile[]): readonly string[] {
  const files = sources.map(({ path, text }) => ({ path, text: text.replaceAll(/```ts[\s\S]*?```/g, '') }));
  return files.flatMap((file) =>
    BANS.filter(({ pattern, allowed }) => !allowed.includes(file.path) && pattern.test(file.text)).map(
      ({ pattern, use }) => `${file.path}: ${String(pattern.exec(file.text)?.[0])} is banned here, use ${use}`,
    ),
  );
}

const LINES_MAX = 400;
const README_LINES_MAX = 60;

/** Files that are longer than a reader can hold. */
export function checkLength(files: readonly SourceFile[]): readonly string[] {
  return files.flatMap((file) => {
    const lines = file.text.split('\n').length;
    const most = file.path.endsWith('README.md') ? README_LINES_MAX : LINES_MAX;
    return lines > most ? [`${file.path}: ${lines} lines, at most ${most}`] : [];
  });
}

/** Folders without a README. */
export function checkReadmes(files: readonly SourceFile[], readmes: readonly SourceFile[]): readonly string[] {
  const folders = new Set(files.filter((file) => file.path.split('/').length > 2).map((file) => file.path.split('/')[1]));
  return [...folders]
    .filter((folder) => !readmes.some((readme) => readme.path === `src/${String(folder)}/README.md`))
    .map((folder) => `src/${String(folder)} has no README.md`);
}

/** Error codes that nobody throws, documents or tests. */
export function checkErrorCodes(
  codes: readonly string[],
  texts: { readonly src: readonly SourceFile[]; readonly doc: string; readonly tests: readonly SourceFile[] },
): readonly string[] {
  return codes.flatMap((code) => [
    ...(texts.src.some(({ path, text }) => path !== 'src/core/errors.ts' && text.includes(`'${code}'`)) ? [] : [`${code} is never thrown`]),
    ...(texts.doc.includes(`\n### ${code}\n`) ? [] : [`${code} has no heading in docs/errors.md`]),
    ...(texts.tests.some(({ text }) => text.includes(code)) ? [] : [`${code} is in no test`]),
  ]);
}

/** Files that nothing imports. */
export function checkReachable(files: readonly SourceFile[], entries: readonly string[]): readonly string[] {
  const imported = new Set(files.flatMap((file) => importsOf(file)));
  return files.filter((file) => !entries.includes(file.path) && !imported.has(file.path)).map((file) => `${file.path} is imported by nobody`);
}

const ADJECTIVES =
  /\b(robust|blazing(ly)?|powerful|seamless(ly)?|world-class|best-in-class|cutting-edge|state-of-the-art|elegant|awesome|battle-tested|lightning)\b/i;

/** Words that praise instead of saying. */
export function checkAdjectives(files: readonly SourceFile[]): readonly string[] {
  return files.flatMap((file) => {
    const found = ADJECTIVES.exec(file.text);
    return found === null ? [] : [`${file.path}: "${found[0]}" praises; say what is measured or promised`];
  });
}

/** Paths of a machine, and addresses in the lock file. */
export function checkForeignPaths(files: readonly SourceFile[]): readonly string[] {
  const patterns = [new RegExp(['', 'work', ''].join('/')), new RegExp(['', 'root', ''].join('/')), /"resolved": "https?:/];
  return files.flatMap((file) => patterns.filter((pattern) => pattern.test(file.text)).map((pattern) => `${file.path}: holds ${String(pattern)}`));
}

/** Exported functions and classes of the entry point that have no example. */
export function checkExamples(files: readonly SourceFile[], names: readonly string[]): readonly string[] {
  return names
    .filter((name) => {
      const declaration = new RegExp(`/\\*\\*((?:(?!\\*/)[\\s\\S])*)\\*/\\s*export (?:async )?(?:function|class) ${name}\\b`);
      return !files.some((file) => declaration.exec(file.text)?.[1]?.includes('@example'));
    })
    .map((name) => `${name} has no @example`);
}
