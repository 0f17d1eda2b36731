// The demo: a feeder, the program under pm2, and a killer that watches the program's events. At the end every word is recounted by a script of its own.
import { execFileSync, fork, spawnSync, type ChildProcess } from 'node:child_process';
import { constants, mkdtempSync, openSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { RecoveryFound } from 'millrace';
import { classify, KILL_KINDS, nextAim, TRIGGERS, type KillKind } from './aim.ts';
import { startUnderPm2, type Supervised } from './supervise.ts';

const KILLS_MIN = Number(process.env['KILLS'] ?? 12);
const SECONDS_MAX = 110;
const ARMED_AFTER_MS = 600;
const ARMED_WITHIN_MS = 1200;
const CHECKPOINT_MS = 5;
const TEXT = fileURLToPath(new URL('../../data/jargon.txt', import.meta.url));
const CHECK = fileURLToPath(new URL('../../word-count/check.mjs', import.meta.url));

interface ProgramEvent {
  readonly pid: number;
  readonly name: string;
  readonly event: object;
}

/** What is known of the run so far. */
class Tally {
  readonly hits = new Map<KillKind, number>();
  readonly recoveriesMs: number[] = [];
  kills = 0;
  starts = 0;
  acknowledged = 0;
  lines = 0;
  #killedAt: number | undefined;

  /** Whether there were enough kills, and one of each kind. */
  get isEnough(): boolean {
    return this.kills >= KILLS_MIN && KILL_KINDS.every((kind) => (this.hits.get(kind) ?? 0) > 0);
  }

  /** Counts a kill by what it was. */
  count(kind: KillKind): void {
    this.hits.set(kind, (this.hits.get(kind) ?? 0) + 1);
  }

  noteKill(): void {
    this.kills += 1;
    this.#killedAt = performance.now();
  }

  /** A batch is committed and completed: the program works again. */
  noteBatch(): void {
    if (this.#killedAt !== undefined) this.recoveriesMs.push(performance.now() - this.#killedAt);
    this.#killedAt = undefined;
  }
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Waits without giving way to anything: timers are too coarse for a moment inside a checkpoint. */
function spin(ms: number): void {
  for (const until = performance.now() + ms; performance.now() < until;);
}

/** Kills the program at the event that fits the kind it lacks most, after it has run for a moment. */
class Killer {
  readonly #tally: Tally;
  /** The kills to come, the next one first; empty while the program may run. */
  #aims: readonly KillKind[] = [];
  #timer: NodeJS.Timeout | undefined;
  #hasEnded = false;
  #checkpointStartedAt = 0;
  #checkpointMs = CHECKPOINT_MS;

  constructor(tally: Tally) {
    this.#tally = tally;
  }

  /** No further kill. */
  end(): void {
    this.#hasEnded = true;
    clearTimeout(this.#timer);
  }

  onEvent({ pid, name, event }: ProgramEvent): void {
    const tally = this.#tally;
    this.#watchCheckpoints(name);
    if (name === 'recovery-started') tally.starts += 1;
    if (name === 'recovery-found' && tally.starts > 1) tally.count(classify(event as RecoveryFound));
    if (name === 'batch-completed') tally.noteBatch();
    if (name === 'recovery-completed') this.#arm();
    const [aim] = this.#aims;
    if (aim === undefined || this.#hasEnded || name !== TRIGGERS[aim]) return;
    this.#aims = this.#aims.slice(1);
    // A checkpoint is written some time after it began; the other moments are at the event itself.
    if (aim === 'checkpoint') spin(Math.random() * this.#checkpointMs);
    this.#kill(pid);
  }

  /** Learns how long a checkpoint takes. */
  #watchCheckpoints(name: string): void {
    if (name === 'checkpoint-started') this.#checkpointStartedAt = performance.now();
    if (name === 'checkpoint-written') this.#checkpointMs = performance.now() - this.#checkpointStartedAt;
  }

  #arm(): void {
    clearTimeout(this.#timer);
    this.#aims = [];
    const aim = nextAim(this.#tally.hits);
    this.#timer = setTimeout(
      () => {
        // A kill inside recovery needs a death before it.
        if (!this.#tally.isEnough) this.#aims = aim === 'recovery' ? ['commit to complete', 'recovery'] : [aim];
      },
      ARMED_AFTER_MS + Math.random() * ARMED_WITHIN_MS,
    );
  }

  #kill(pid: number): void {
    process.kill(pid, 'SIGKILL');
    this.#tally.noteKill();
  }
}

function listenToPipe(path: string, onEvent: (event: ProgramEvent) => void): Socket {
  // Opened for both directions, so that it does not end when the program dies.
  const socket = new Socket({ fd: openSync(path, constants.O_RDWR | constants.O_NONBLOCK), readable: true, writable: false });
  createInterface({ input: socket }).on('line', (line) => {
    try {
      onEvent(JSON.parse(line) as ProgramEvent);
    } catch {
      // The line the program was writing when it was killed.
      return;
    }
  });
  return socket;
}

async function startFeeder(tally: Tally): Promise<{ readonly process: ChildProcess; readonly port: number }> {
  const feeder = fork(fileURLToPath(new URL('./feeder.js', import.meta.url)), [TEXT, 'jargon-4.4.7', process.env['LINES_PER_SECOND'] ?? '700']);
  const port = await new Promise<number>((resolve, reject) => {
    feeder.once('error', reject);
    feeder.once('exit', (code) => reject(new Error(`the feeder ended with ${String(code)}`)));
    feeder.on('message', (message: { port?: number; acknowledged?: number; lines?: number; error?: string }) => {
      if (message.port !== undefined) resolve(message.port);
      if (message.error !== undefined) say(`feeder: ${message.error}`);
      tally.acknowledged = message.acknowledged ?? tally.acknowledged;
      tally.lines = message.lines ?? tally.lines;
    });
  });
  return { process: feeder, port };
}

function missing({ hits }: Tally): string {
  const kinds = KILL_KINDS.filter((kind) => (hits.get(kind) ?? 0) === 0);
  return kinds.length === 0 ? '' : ` (not yet: ${kinds.join(', ')})`;
}

/** Waits until the last line is acknowledged, with a line of progress every 5 seconds. */
async function waitForEnd(tally: Tally, feeder: ChildProcess): Promise<void> {
  const startedAt = performance.now();
  for (let seconds = 0; ; seconds++) {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    if (feeder.exitCode !== null || feeder.signalCode !== null) throw new Error('the feeder died');
    if (tally.isEnough) feeder.send('finish');
    if (seconds % 5 === 4)
      say(`${String(seconds + 1).padStart(4)} s   ${tally.acknowledged} of ${tally.lines} lines acknowledged   ${tally.kills} kills${missing(tally)}`);
    if (tally.lines > 0 && tally.acknowledged >= tally.lines) return;
    if ((performance.now() - startedAt) / 1000 > SECONDS_MAX) throw new Error(`the last line was not acknowledged within ${SECONDS_MAX} s`);
  }
}

function printTable(tally: Tally, check: { readonly words: number; readonly lost: number; readonly doubled: number }): void {
  const sorted = tally.recoveriesMs.toSorted((left, right) => left - right);
  const ms = (value: number | undefined): string => (value === undefined ? 'none' : `${Math.round(value)} ms`);
  const rows: readonly (readonly [string, string])[] = [
    ['lines', String(tally.lines)],
    ['words', String(check.words)],
    ['kills', String(tally.kills)],
    ...KILL_KINDS.map((kind) => [`  ${kind}`, String(tally.hits.get(kind) ?? 0)] as const),
    ['restarts', String(tally.starts - 1)],
    ['kill to next batch, median', ms(sorted[Math.floor(sorted.length / 2)])],
    ['kill to next batch, worst', ms(sorted.at(-1))],
    ['words lost', String(check.lost)],
    ['words doubled', String(check.doubled)],
  ];
  say('');
  for (const [name, value] of rows) say(`${name.padEnd(28)}${value.padStart(10)}`);
}

async function run(directory: string): Promise<boolean> {
  const tally = new Tally();
  const killer = new Killer(tally);
  const pipe = join(directory, 'events');
  const table = join(directory, 'wordcount');
  execFileSync('mkfifo', ['-m', '600', pipe]);
  const feeder = await startFeeder(tally);
  const events = listenToPipe(pipe, (event) => killer.onEvent(event));
  let supervised: Supervised | undefined;
  try {
    supervised = await startUnderPm2(directory, fileURLToPath(new URL('./main.js', import.meta.url)), {
      FEEDER_PORT: String(feeder.port),
      SINK_DIRECTORY: table,
      STORE_DIRECTORY: join(directory, 'data'),
      EVENT_PIPE: pipe,
    });
    say(`counting the words of the Jargon File; the program is killed at least ${KILLS_MIN} times`);
    await waitForEnd(tally, feeder.process);
    killer.end();
  } finally {
    killer.end();
    await supervised?.stop();
    events.destroy();
    feeder.process.removeAllListeners('exit');
    feeder.process.kill('SIGKILL');
  }
  const checked = spawnSync(process.execPath, [CHECK, TEXT, table], { encoding: 'utf8' });
  if (checked.stdout === '') throw new Error(`the check did not run: ${checked.stderr}`);
  const check = JSON.parse(checked.stdout) as { words: number; lost: number; doubled: number; examples: unknown };
  printTable(tally, check);
  if (check.lost + check.doubled > 0) say(`first differences: ${JSON.stringify(check.examples)}`);
  if (!tally.isEnough) say('not every kind of kill happened');
  return checked.status === 0 && tally.isEnough;
}

const directory = mkdtempSync(join(tmpdir(), 'millrace-demo-'));
let isGood = false;
try {
  isGood = await run(directory);
} catch (error) {
  say(error instanceof Error ? (error.stack ?? error.message) : String(error));
}
if (isGood) rmSync(directory, { recursive: true, force: true });
else say(`failed; everything is kept in ${directory}`);
process.exit(isGood ? 0 : 1);
