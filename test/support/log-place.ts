// A directory with a log, the writers that run on it one after another, and what is read from it. What is started here ends with the test.
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fsyncSync, mkdirSync, openSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { LogHistory } from './log-history.ts';
import { readLog } from './real-log.mjs';

const WRITER = join(import.meta.dirname, 'log-writer.mjs');

/** How a writer writes. */
export interface WriterOptions {
  readonly records: number;
  readonly bytes: number;
  readonly segmentBytesMax: number;
  /** Whether segments are filled with zeros ahead. */
  readonly isPrepared?: boolean;
  readonly parallel: number;
}

/** More records than a writer can append before it is ended. */
export const WITHOUT_END = 1e9;

/** A writer that runs. */
export interface Life {
  readonly process: ChildProcessByStdio<null, Readable, Readable>;
  readonly pid: number;
  /** Resolves with the exit code, or the signal, whether it said `done`, and what it wrote to standard error. */
  readonly ended: Promise<{ readonly code: number | NodeJS.Signals | null; readonly isDone: boolean; readonly log: string }>;
  /** Resolves once the writer has said a line like this, from its beginning on. */
  said(line: RegExp): Promise<void>;
  /** Resolves once the writer has said so many lines like this. */
  saidOften(line: RegExp, times: number): Promise<void>;
}

/** What surrounds a writer: a command before it, and variables. */
export interface Surroundings {
  /** A command that runs the rest of its arguments, such as strace; empty for none. */
  readonly wrapper?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Makes a directory whose name survives a power cut. */
function makeDurable(directory: string): void {
  mkdirSync(directory);
  const parent = openSync(dirname(directory), 'r');
  fsyncSync(parent);
  closeSync(parent);
}

/** A log and its history. */
export class LogPlace {
  readonly directory: string;
  readonly history = new LogHistory();
  readonly #options: WriterOptions;
  readonly #running = new Set<Life>();

  /**
   * @param root - A directory that is there; the log gets one of its own in it.
   * @param options - How its writers write, unless they are started otherwise.
   */
  constructor(root: string, options: Partial<WriterOptions> = {}) {
    this.directory = join(root, 'journal');
    this.#options = { records: WITHOUT_END, bytes: 200, segmentBytesMax: 64 * 1024, parallel: 4, ...options };
    makeDurable(this.directory);
  }

  /** Starts a writer, in a process group of its own. */
  start(options: Partial<WriterOptions> = {}, surroundings: Surroundings = {}): Life {
    const program = [process.execPath, WRITER, this.directory, JSON.stringify({ ...this.#options, ...options })];
    const [file = process.execPath, ...parameters]: readonly string[] = surroundings.wrapper === undefined ? program : [...surroundings.wrapper, ...program];
    // One thread, so that the n-th sync of the process is the n-th sync of a thread; and the system calls as such, where a tracer sees them.
    const env = { ...process.env, UV_THREADPOOL_SIZE: '1', UV_USE_IO_URING: '0', ...surroundings.env };
    const child = spawn(file, parameters, { env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    const life = this.#listen(child);
    this.#running.add(life);
    void life.ended.then(() => this.#running.delete(life));
    return life;
  }

  #listen(child: Life['process']): Life {
    const { pid } = child;
    if (pid === undefined) throw new Error('Cannot start the writer');
    this.history.beginLife();
    const lines: string[] = [];
    let log = '';
    const waiting = new Set<() => void>();
    child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
    createInterface({ input: child.stdout }).on('line', (line) => {
      lines.push(line);
      this.history.take(line);
      for (const look of waiting) look();
    });
    const ended = once(child, 'close').then(([code, signal]) => ({
      code: (signal ?? code) as number | NodeJS.Signals | null,
      isDone: lines.includes('done'),
      log,
    }));
    const saidOften = (pattern: RegExp, times: number): Promise<void> => {
      let count = 0;
      let next = 0;
      const isSaid = new Promise<void>((resolve) => {
        const look = (): void => {
          for (; next < lines.length; next++) if (pattern.test(lines[next] ?? '')) count += 1;
          if (count < times) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      });
      const isOver = ended.then((end) => Promise.reject(new Error(`the writer ended with ${String(end.code)} before it said ${String(pattern)}:\n${end.log}`)));
      return Promise.race([isSaid, isOver]);
    };
    return { process: child, pid, ended, said: (pattern) => saidOften(pattern, 1), saidOften };
  }

  /** Reads the log twice, as a start does. Resolves with the number of records and what is wrong with them, as sentences. */
  async read(): Promise<{ readonly count: number; readonly wrong: readonly string[] }> {
    const texts = await readLog(this.directory);
    const again = await readLog(this.directory);
    const isSame = again.length === texts.length && again.every((text, index) => text === texts[index]);
    const wrong = [...this.history.check(texts, this.#options.bytes), ...(isSame ? [] : ['a second reading gave other records'])];
    return { count: texts.length, wrong: wrong.slice(0, 10) };
  }

  /** Runs a writer without faults to its end and reads the log. Resolves with what is wrong, as sentences. */
  async goOn(records = 50): Promise<readonly string[]> {
    const before = this.history.acknowledged;
    const { code, isDone, log } = await this.start({ records }).ended;
    const added = this.history.acknowledged - before;
    const isGood = code === 0 && isDone && added === records;
    return [
      ...(isGood ? [] : [`a writer without faults ended with ${String(code)}, ${added} of ${records} records acknowledged: ${log}`]),
      ...(await this.read()).wrong,
    ];
  }

  /** The names of the segments. */
  segments(): readonly string[] {
    return readdirSync(this.directory).filter((name) => name.endsWith('.wal'));
  }

  /** Ends what still runs. */
  async close(): Promise<void> {
    for (const { pid, ended } of this.#running) {
      process.kill(-pid, 'SIGKILL');
      await ended;
    }
  }
}
