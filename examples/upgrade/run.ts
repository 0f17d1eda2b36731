// Three releases of one program over one store: the first is killed, the second goes on with what it counted, the third would drop it and is refused until that is consented to.
import { fork, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const LINES = 4000;
const LINES_BEFORE_KILL = 800;
const LINES_PER_SECOND = 900;
const WAIT_MS_MAX = 40_000;

const place = mkdtempSync(join(tmpdir(), 'millrace-upgrade-'));
const text = join(place, 'text');
const table = join(place, 'wordcount');
const store = join(place, 'store');
const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const cli = join(dirname(createRequire(import.meta.url).resolve('millrace/package.json')), 'dist/cli/main.js');

function expect(isSo: boolean, what: string): void {
  if (!isSo) throw new Error(`it must be so that ${what}: it is not`);
  say(`    so it is: ${what}`);
}

/** A release of the program, running. */
class Release {
  readonly #child: ChildProcess;
  readonly #log: string[] = [];
  readonly #closed: Promise<[number | null, NodeJS.Signals | null]>;

  constructor(version: number, environment: Readonly<Record<string, string>>) {
    this.#child = spawn(process.execPath, [here('main.js')], {
      env: { ...process.env, ...environment, VERSION: String(version), STORE_DIRECTORY: store },
      stdio: ['ignore', 'inherit', 'pipe'],
    });
    this.#child.stderr?.on('data', (chunk: Buffer) => void this.#log.push(chunk.toString()));
    this.#closed = once(this.#child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  }

  get log(): string {
    return this.#log.join('');
  }

  /** Sends a signal, if one is given, and resolves to how the process ended. */
  async ended(signal?: NodeJS.Signals): Promise<number | NodeJS.Signals | null> {
    if (signal !== undefined) this.#child.kill(signal);
    const [code, by] = await this.#closed;
    return by ?? code;
  }
}

interface Plan {
  readonly exitCode: number;
  readonly verdict: string;
  readonly needed: Readonly<Record<string, unknown>>;
}

/** What the command `millrace plan` says, for people and for programs. */
function plan(version: number, environment: Readonly<Record<string, string>>): Plan {
  const run = (...more: readonly string[]): string =>
    spawnSync(process.execPath, [cli, 'plan', here(`v${version}.js`), store, ...more], { env: { ...process.env, ...environment }, encoding: 'utf8' }).stdout;
  say(`\n$ millrace plan v${version}.js store`);
  for (const line of run().trimEnd().split('\n')) say(`    ${line.replaceAll(place, '.')}`);
  return JSON.parse(run('--json')) as Plan;
}

/** What the table holds, against a recount of the text. */
function check(): { readonly lost: number; readonly doubled: number; readonly words: number } {
  const found = spawnSync(process.execPath, [fileURLToPath(new URL('../../word-count/check.mjs', import.meta.url)), text, table], { encoding: 'utf8' });
  return JSON.parse(found.stdout) as { lost: number; doubled: number; words: number };
}

async function run(feeder: ChildProcess): Promise<void> {
  let acknowledged = 0;
  feeder.on('message', (message: { acknowledged?: number }) => (acknowledged = message.acknowledged ?? acknowledged));
  const [{ port }] = (await once(feeder, 'message')) as [{ port: number }];
  const environment = { FEEDER_PORT: String(port), SINK_DIRECTORY: table };
  const until = async (lines: number): Promise<void> => {
    for (let waited = 0; acknowledged < lines; waited += 20) {
      if (waited > WAIT_MS_MAX) throw new Error(`${lines} lines must be acknowledged within ${WAIT_MS_MAX} ms: ${acknowledged} are`);
      await pause(20);
    }
  };

  say(`version 1 counts words; it is killed with SIGKILL behind line ${LINES_BEFORE_KILL}`);
  const first = new Release(1, environment);
  await until(LINES_BEFORE_KILL);
  expect((await first.ended('SIGKILL')) === 'SIGKILL', 'version 1 died by SIGKILL');

  const bound = plan(2, environment);
  expect(bound.exitCode === 64, 'version 2 may not go on: batches that version 1 planned must run again, with its code');
  say('\nversion 1 is started once more, with drain: it brings to its end what it planned, and stops');
  expect((await new Release(1, { ...environment, DRAIN: '1' }).ended()) === 0, 'version 1 ended with 0');

  const compatible = plan(2, environment);
  expect(compatible.exitCode === 0 && compatible.verdict === 'compatible', 'version 2 may go on: its state is migrated, its new operator begins empty');
  say('\nversion 2 goes on where version 1 stopped, to the end of the text');
  const second = new Release(2, environment);
  feeder.send('finish');
  await until(LINES);
  expect((await second.ended('SIGTERM')) === 0, 'version 2 ended with 0');
  const { lost, doubled, words } = check();
  expect(lost === 0 && doubled === 0, `of ${words} words none is lost and none is doubled`);

  const dropping = plan(3, environment);
  const refused = new Release(3, environment);
  expect((await refused.ended()) === 64 && refused.log.includes('STREAM_GRAPH_CHANGED'), 'version 3, which drops the counts, is refused with exit code 64');
  say('\nversion 3 is started with the consent that the plan asks for');
  expect((await new Release(3, { ...environment, DRAIN: '1', ACCEPT: JSON.stringify(dropping.needed) }).ended()) === 0, 'version 3 went on, and ended with 0');
}

const words = readFileSync(fileURLToPath(new URL('../../data/jargon.txt', import.meta.url)), 'utf8')
  .split('\n')
  .slice(0, LINES);
writeFileSync(text, `${words.join('\n')}\n`);
const feeder = fork(here('../word-count/feeder.js'), [text, 'upgrade', String(LINES_PER_SECOND)]);
try {
  await run(feeder);
  say('\nupgrade: three versions, one store; nothing lost, nothing doubled, nothing dropped without consent');
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
} finally {
  feeder.kill('SIGKILL');
  rmSync(place, { recursive: true, force: true });
}
