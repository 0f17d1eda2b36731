// Plants bugs into copies of the tree, one at a time in each, and runs for each the one test that must catch it: a test that cannot fail proves nothing. The bugs are in test/planted-bugs.
// Use: node scripts/planted-bugs.mjs [NAME...]; exit code 1 if a bug survives, a patch does not apply, or a test does not pass without a bug.
// With --simulation first, each bug is left to the simulated crashes alone (5,000 lives), which tells what they can see; then surviving is no failure.
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const TIME_MS_MAX = 60_000;
const SIMULATION = {
  project: 'sim',
  file: 'test/chaos/simulated/log/crash-cycles.test.ts',
  test: 'holds what it acknowledged',
  env: { CYCLES: '5000' },
};

const [first, ...others] = process.argv.slice(2);
const isSimulation = first === '--simulation';
const wanted = isSimulation || first === undefined ? others : [first, ...others];
const listed = JSON.parse(readFileSync(join(root, 'test/planted-bugs/bugs.json'), 'utf8'));
const DEBIAN_POSTGRES = '/usr/lib/postgresql';
const hasPostgres =
  existsSync(join(process.env.POSTGRES_BIN ?? '', 'initdb')) ||
  (existsSync(DEBIAN_POSTGRES) && readdirSync(DEBIAN_POSTGRES).some((version) => existsSync(join(DEBIAN_POSTGRES, version, 'bin/initdb'))));
const canRun = ({ needs }) => isSimulation || needs !== 'postgres' || hasPostgres;
const asked = listed.filter(({ name }) => wanted.length === 0 || wanted.includes(name));
const bugs = asked.filter(canRun).map((bug) => ({ ...bug, ...(isSimulation ? SIMULATION : {}), patch: join(root, `test/planted-bugs/${bug.name}.patch`) }));

const temporary = mkdtempSync(join(realpathSync(tmpdir()), 'millrace-bugs-'));
/** Copies of the tree, in which bugs are planted side by side. */
const trees = Array.from({ length: Math.min(2, availableParallelism()) }, (_, index) => {
  const directory = join(temporary, String(index));
  return { directory, copy: join(directory, 'tree'), running: undefined };
});

function clean() {
  for (const { running } of trees) {
    try {
      if (running !== undefined) process.kill(-running.pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
  rmSync(temporary, { recursive: true, force: true });
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, () => {
    clean();
    process.exit(1);
  });
}

/** Copies the tracked files as they are in the working tree. The packages are links, each one by itself, so that caches beside them stay in the copy. */
function copyTree({ copy }) {
  const { stdout, stderr, status } = spawnSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8', maxBuffer: 1 << 24 });
  if (status !== 0) throw new Error(`Cannot list the files of the tree: ${stderr}`);
  for (const path of stdout.split('\0')) {
    // What is deleted in the working tree is still listed.
    if (path === '' || !existsSync(join(root, path))) continue;
    mkdirSync(dirname(join(copy, path)), { recursive: true });
    cpSync(join(root, path), join(copy, path), { verbatimSymlinks: true });
  }
  mkdirSync(join(copy, 'node_modules'));
  for (const name of readdirSync(join(root, 'node_modules'))) {
    if (!name.startsWith('.')) symlinkSync(join(root, 'node_modules', name), join(copy, 'node_modules', name));
  }
}

/** Applies a patch to the copy, or takes it back. Returns what git says against it. */
function applyPatch({ directory, copy }, patch, ...options) {
  // The copy is no repository, and whatever is around it is none of its own.
  const env = { ...process.env, GIT_CEILING_DIRECTORIES: directory };
  const { status, stderr } = spawnSync('git', ['apply', ...options, patch], { cwd: copy, encoding: 'utf8', env });
  return status === 0 ? undefined : stderr.trim();
}

/** Runs the tests of a file that have one of these names in the copy. Returns what vitest reports, or why there is no report. */
async function runTests(tree, { project, file, env = {} }, names) {
  const { directory, copy } = tree;
  const report = join(directory, 'report.json');
  rmSync(report, { force: true });
  const pattern = names.map((name) => name.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)).join('|');
  const parameters = ['node_modules/vitest/vitest.mjs', 'run', '--project', project, file, '-t', pattern, '--reporter=json', `--outputFile=${report}`];
  const child = spawn(process.execPath, parameters, { cwd: copy, env: { ...process.env, ...env }, stdio: ['ignore', 'ignore', 'pipe'], detached: true });
  tree.running = child;
  let log = '';
  let isLate = false;
  child.stderr.on('data', (chunk) => (log += chunk));
  const timer = setTimeout(() => {
    isLate = true;
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  }, TIME_MS_MAX);
  await new Promise((resolve) => child.once('close', resolve));
  clearTimeout(timer);
  tree.running = undefined;
  if (isLate) return { failure: `no end after ${TIME_MS_MAX / 1000} s`, tests: [] };
  if (!existsSync(report)) return { failure: `no report of vitest: ${log.slice(-500)}`, tests: [] };
  const { testResults } = JSON.parse(readFileSync(report, 'utf8'));
  const tests = testResults.flatMap(({ assertionResults }) => assertionResults).filter(({ status }) => status === 'passed' || status === 'failed');
  const broken = testResults.find(({ status, assertionResults }) => status === 'failed' && !assertionResults.some((each) => each.status === 'failed'));
  return { failure: broken === undefined ? undefined : `the file could not be run: ${broken.message}`, tests };
}

/** What a bug came to: `caught`, `SURVIVED`, or why neither can be said. */
async function judge(tree, bug) {
  const refusal = applyPatch(tree, bug.patch);
  if (refusal !== undefined) return `the patch does not apply any more: ${refusal}`;
  const { failure, tests } = await runTests(tree, bug, [bug.test]);
  const stuck = applyPatch(tree, bug.patch, '--reverse');
  if (stuck !== undefined) throw new Error(`Cannot take back ${bug.name}: ${stuck}`);
  if (failure !== undefined) return failure;
  if (tests.length === 0) return `no test has "${bug.test}" in its name`;
  const messages = tests.flatMap(({ failureMessages }) => failureMessages ?? []);
  // Such an error comes from the patch and not from a test that looked; the log may have put it into one of its own.
  const mistake = messages.find((message) => /\b(ReferenceError|SyntaxError)\b|\bis not defined\b/.test(message));
  if (mistake !== undefined) return `the patch makes no program: ${mistake.split('\n')[0]}`;
  return messages.length > 0 ? 'caught' : 'SURVIVED';
}

/** Runs each named test without a bug, file by file. Returns what is wrong, as sentences. */
async function checkUntouched() {
  const wrong = [];
  await share(byFile(), async (tree, group) => {
    const names = [...new Set(group.map(({ test }) => test))];
    const { failure, tests } = await runTests(tree, group[0], names);
    if (failure !== undefined) wrong.push(`${group[0].file}: ${failure}`);
    for (const name of failure === undefined ? names : []) {
      const own = tests.filter(({ fullName }) => fullName.includes(name));
      if (own.length === 0) wrong.push(`${group[0].file}: no test has "${name}" in its name`);
      else if (own.some(({ status }) => status === 'failed')) wrong.push(`${group[0].file}: "${name}" fails without a bug`);
    }
  });
  return wrong;
}

/** Does work for each item, in whichever tree is free. */
async function share(items, work) {
  const left = items.values();
  await Promise.all(
    trees.map(async (tree) => {
      for (const item of left) await work(tree, item);
    }),
  );
}

/** The bugs whose tests are run together. */
function byFile() {
  const groups = new Map();
  for (const bug of bugs) {
    const key = JSON.stringify([bug.project, bug.file, bug.env]);
    groups.set(key, [...(groups.get(key) ?? []), bug]);
  }
  return [...groups.values()];
}

function where({ file, test }) {
  return `${file.replace(/^test\//, '').replace(/\.test\.ts$/, '')}: ${test}`;
}

async function main() {
  const unknown = wanted.filter((name) => !listed.some((bug) => bug.name === name));
  if (unknown.length > 0) throw new Error(`there is no bug ${unknown.join(', ')}`);
  const unlisted = readdirSync(join(root, 'test/planted-bugs')).filter(
    (file) => file.endsWith('.patch') && !listed.some(({ name }) => file === `${name}.patch`),
  );
  if (unlisted.length > 0) throw new Error(`${unlisted.join(', ')} must be in bugs.json`);
  const left = asked.filter((bug) => !canRun(bug)).map(({ name }) => name);
  if (left.length > 0) console.log(`NOT RUN: ${left.join(', ')}, since PostgreSQL is not installed`);
  for (const tree of trees) copyTree(tree);
  const wrong = await checkUntouched();
  for (const sentence of wrong) console.log(sentence);
  if (wrong.length > 0) return { passed: 0, failed: wrong.length };
  const widths = [bugs.map(({ name }) => name), bugs.map(({ breaks }) => breaks), bugs.map(where)].map((column) =>
    Math.max(...column.map((text) => text.length)),
  );
  const row = (...cells) => cells.map((text, column) => text.padEnd(widths[column] ?? 0)).join('  ');
  console.log(row('bug', 'what it breaks', 'caught by', 'verdict   seconds'));
  let passed = 0;
  let caught = 0;
  await share(bugs, async (tree, bug) => {
    const start = performance.now();
    const verdict = await judge(tree, bug);
    if (verdict === 'caught') caught += 1;
    const isGood = verdict === 'caught' || (isSimulation && verdict === 'SURVIVED');
    if (isGood) passed += 1;
    const words = stripVTControlCharacters(verdict).replaceAll(/\s+/g, ' ').slice(0, 300);
    console.log(row(bug.name, bug.breaks, where(bug), `${words.padEnd(8)}  ${((performance.now() - start) / 1000).toFixed(1)}`));
  });
  if (isSimulation) console.log(`\n${caught} of ${bugs.length} bugs were caught by the simulation alone`);
  return { passed, failed: bugs.length - passed };
}

try {
  const { passed, failed } = await main();
  console.log(`\n${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
} catch (error) {
  console.log(`${error.message}\n\n0 passed, 1 failed`);
  process.exitCode = 1;
} finally {
  clean();
}
