// Runs a program of the course by one command: makes its data, feeds it, kills it once with SIGKILL while it works, starts it again, and checks what it put out.
import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compare, LESSONS, type Server } from './check.ts';
import { startKafka } from './kafka-server.ts';
import { startPostgres } from './postgres-server.ts';

const WORDS = ['to', 'be', 'or', 'not', 'question', 'mind'];
const LINES = 1500;
const LINES_PER_FILE = 30;
const FEED_MS = 30;
const KILL_AFTER_MS = 900;
const FILES_MS_MAX = 30_000;

const name = process.argv[2] ?? '';
const lesson = LESSONS[name];
if (lesson === undefined) {
  process.stderr.write(`Cannot run "${name}" as it must be one of: ${Object.keys(LESSONS).join(', ')}\n`);
  process.exit(64);
}

/** The server that the program writes into; or why it is not there. */
async function startServer(): Promise<Server | string | undefined> {
  if (lesson?.server === 'postgres') return (await startPostgres()) ?? 'PostgreSQL must be installed: it is not (Debian: apt-get install postgresql)';
  if (lesson?.server !== 'kafka') return undefined;
  const started = await startKafka();
  return 'missing' in started ? started.missing : started;
}

const started = await startServer();
if (typeof started === 'string') {
  process.stderr.write(`Cannot run "${name}" as ${started}\n`);
  process.exit(69);
}
const server: Server | undefined = started;
const place = mkdtempSync(join(tmpdir(), 'millrace-course-'));
const lines = Array.from({ length: LINES }, (_, index) => `${index} ${WORDS[index % WORDS.length]} ${WORDS[(index * 7) % 5]}`);
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

interface Feed {
  readonly environment: Readonly<Record<string, string>>;
  /** Resolves when the program has all of the input. */
  finish(): Promise<void>;
  end(): void;
}

/** Serves the lines over a socket, as examples/word-count does. */
async function feedSocket(): Promise<Feed> {
  const text = join(place, 'text');
  writeFileSync(text, `${lines.join('\n')}\n`);
  const feeder = fork(fileURLToPath(new URL('../word-count/feeder.js', import.meta.url)), [text, name]);
  const [{ port }] = (await once(feeder, 'message')) as [{ port: number }];
  let acknowledged = 0;
  feeder.on('message', (message: { acknowledged?: number }) => (acknowledged = message.acknowledged ?? acknowledged));
  return {
    environment: { FEEDER_PORT: String(port) },
    async finish() {
      feeder.send('finish');
      while (acknowledged < LINES) await pause(FEED_MS);
    },
    end: () => void feeder.kill('SIGKILL'),
  };
}

/** Moves files of lines into a directory, one after another, also while no program runs. */
function feedFiles(): Feed {
  const input = join(place, 'input');
  mkdirSync(input);
  const moving = (async () => {
    await pause(KILL_AFTER_MS / 2);
    for (let from = 0; from < LINES; from += LINES_PER_FILE) {
      const file = `${String(from).padStart(5, '0')}.txt`;
      writeFileSync(join(place, file), `${lines.slice(from, from + LINES_PER_FILE).join('\n')}\n`);
      renameSync(join(place, file), join(input, file));
      await pause(FEED_MS);
    }
  })();
  return {
    environment: { INPUT_DIRECTORY: input },
    async finish() {
      await moving;
      // Nobody acknowledges a file: the output tells.
      for (let waited = 0; waited < FILES_MS_MAX && (await check()).lost > 0; waited += FEED_MS) await pause(FEED_MS);
    },
    end: () => undefined,
  };
}

/** What the program printed, the last batches of it. */
const printed: string[] = [];

async function check(): Promise<ReturnType<typeof compare>> {
  return compare(lesson?.expected(lines) ?? new Map(), (await lesson?.found(join(place, 'output'), server)) ?? new Map());
}

function start(environment: Readonly<Record<string, string>>): ChildProcess {
  const child = spawn(process.execPath, [fileURLToPath(new URL('main.js', import.meta.url))], {
    env: {
      ...process.env,
      PROGRAM: name,
      STORE_DIRECTORY: join(place, 'store'),
      OUTPUT_DIRECTORY: join(place, 'output'),
      ...server?.environment,
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stdout.on('data', (chunk: Buffer) => printed.push(chunk.toString()));
  // Its log is of interest only when it fails.
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
  child.once('close', (code) => {
    if (code !== 0 && code !== null) process.stderr.write(log);
  });
  return child;
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | NodeJS.Signals | null> {
  const closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  child.kill(signal);
  const [code, by] = await closed;
  return by ?? code;
}

/** The first printed batch that has rows. */
function sample(): string {
  const batches = printed.join('').split('\n\n');
  return batches.find((batch) => batch.split('\n').length > 4)?.trim() ?? '';
}

const feed = lesson.input === 'socket' ? await feedSocket() : feedFiles();
let child = start(feed.environment);
try {
  await pause(KILL_AFTER_MS);
  await end(child, 'SIGKILL');
  child = start(feed.environment);
  await feed.finish();
  const code = await end(child, 'SIGTERM');
  const { lost, doubled } = await check();
  process.stdout.write(`${sample()}\n\n${name}: ${LINES} lines, killed once, ended with ${String(code)}; ${lost} lost, ${doubled} doubled\n`);
  process.exitCode = code === 0 && lost === 0 && doubled === 0 ? 0 : 1;
} finally {
  child.kill('SIGKILL');
  feed.end();
  await server?.close();
  rmSync(place, { recursive: true, force: true });
}
