// Compiles and runs every `ts` snippet of the documentation and every @example: what a reader copies must work. Each snippet is a whole program and runs in an empty directory.
// Use: node scripts/snippets.mjs; exit code 1 if one does not compile, fails, or takes over 30 seconds.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const work = join(root, '.snippets');
const TIME_MS_MAX = 30_000;
const AT_ONCE = 2;

function listed(...patterns) {
  return execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', ...patterns], { cwd: root, encoding: 'utf8' })
    .split('\n')
    .filter((path) => path !== '');
}

/** The snippets of a file: the line they begin at and their text; in source files the comment's asterisks are taken off. */
function snippetsOf(path) {
  const isSource = path.endsWith('.ts');
  const lines = readFileSync(join(root, path), 'utf8').split('\n');
  const found = [];
  let current;
  lines.forEach((line, index) => {
    const text = isSource ? line.replace(/^\s*\* ?/, '') : line;
    if (current === undefined && /^```ts\s*$/.test(text) && (!isSource || /^\s*\*/.test(line))) current = { path, line: index + 1, text: '' };
    else if (current !== undefined && /^```\s*$/.test(text)) {
      found.push(current);
      current = undefined;
    } else if (current !== undefined) current.text += `${text}\n`;
  });
  return found;
}

function run(file) {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-snippet-'));
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [file], { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'], timeout: TIME_MS_MAX, killSignal: 'SIGKILL' });
    let log = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (log += chunk));
    child.once('close', (code, signal) => {
      rmSync(directory, { recursive: true, force: true });
      resolve(code === 0 ? undefined : `ended with ${String(signal ?? code)}\n${log}`);
    });
  });
}

const snippets = listed('*.md', 'src/*.ts').flatMap(snippetsOf);
rmSync(work, { recursive: true, force: true });
mkdirSync(work);
snippets.forEach(({ path, line, text }, index) => writeFileSync(join(work, `${index}.ts`), `// ${path}:${line}\n${text}export {};\n`));
writeFileSync(
  join(work, 'tsconfig.json'),
  JSON.stringify({
    extends: '../tsconfig.json',
    compilerOptions: { noEmit: false, rootDir: '.', outDir: 'out', noUnusedLocals: false },
    include: ['*.ts'],
    exclude: [],
  }),
);
const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
const compiled = spawnSync(process.execPath, [tsc, '-p', work], { encoding: 'utf8' });
const failures = [];
if (compiled.status !== 0)
  failures.push(
    compiled.stdout.replace(/(?:\.snippets\/)?(\d+)\.ts\(/g, (_match, index) => `${snippets[Number(index)].path}:${snippets[Number(index)].line} (`),
  );
const waiting = compiled.status === 0 ? snippets.map((snippet, index) => ({ snippet, index })) : [];
await Promise.all(
  Array.from({ length: AT_ONCE }, async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const failure = await run(join(work, 'out', `${next.index}.js`));
      if (failure !== undefined) failures.push(`${next.snippet.path}:${next.snippet.line} ${failure}`);
    }
  }),
);
for (const failure of failures) process.stderr.write(`${failure}\n`);
process.stdout.write(`${snippets.length} snippets, ${failures.length} failed\n`);
process.exitCode = failures.length === 0 && snippets.length > 0 ? 0 : 1;
