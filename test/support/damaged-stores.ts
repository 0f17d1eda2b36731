// A store directory with checkpoints and the table of its sink, copies of both with damage in them, and a process that opens one copy after another.
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { Level } from 'level';

const PROGRAM = join(import.meta.dirname, 'damage-program.mjs');

type Environment = Readonly<Record<string, string>>;

/** What came of opening a copy. */
export interface Outcome {
  /** Where the source was asked to begin. */
  readonly position?: number;
  /** The state when nothing waited any more. */
  readonly rows?: readonly (readonly [string, object])[];
  readonly error?: { readonly code?: string; readonly exitCode?: number; readonly message: string };
  /** How often the process died of the copy before it gave this answer. */
  readonly deaths: number;
}

/** Opens copies in one process, which is started again when it dies. */
class Opener {
  #child: ChildProcessByStdio<Writable, Readable, null> | undefined;

  #start(): ChildProcessByStdio<Writable, Readable, null> {
    const child = spawn(process.execPath, [PROGRAM], { env: { ...process.env, MODE: 'serve' }, stdio: ['pipe', 'pipe', 'ignore'] });
    child.stdin.on('error', () => child.stdin.destroy());
    return child;
  }

  /** The answer of the process, or how it ended. */
  async #ask(request: object): Promise<Omit<Outcome, 'deaths'> | NodeJS.Signals | number> {
    const child = (this.#child ??= this.#start());
    const lines = createInterface({ input: child.stdout });
    try {
      return await new Promise((resolve) => {
        lines.once('line', (line) => resolve(JSON.parse(line) as Omit<Outcome, 'deaths'>));
        child.once('close', (code, signal) => {
          if (this.#child === child) this.#child = undefined;
          resolve(signal ?? code ?? 0);
        });
        child.stdin.write(`${JSON.stringify(request)}\n`);
      });
    } finally {
      lines.close();
      child.removeAllListeners('close');
      if (child.exitCode !== null || child.signalCode !== null) this.#child = undefined;
    }
  }

  /** Has a copy opened, and opened again when the process dies of it, as a supervisor would. */
  async open(request: object): Promise<Outcome> {
    for (let deaths = 0; ; deaths++) {
      const answer = await this.#ask(request);
      if (typeof answer === 'object') return { ...answer, deaths };
      if (deaths === 2) return { deaths, error: { code: `DIED ${answer}`, message: 'the process died a third time' } };
    }
  }

  async close(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    const closed = new Promise((resolve) => child.once('close', resolve));
    child.stdin.end();
    await closed;
  }
}

/** A directory for stores, gone after the test. */
export class DamagedStores {
  readonly root: string = mkdtempSync(join(tmpdir(), 'millrace-damage-'));
  readonly store: string = join(this.root, 'store');
  readonly table: string = join(this.root, 'table');
  readonly #opener = new Opener();

  /** Starts the program; it goes up to a position, and ends as `end` says. */
  launch(until: number, end: 'stop' | 'kill', env: Environment = {}): ChildProcessByStdio<null, null, null> {
    const variables = { MODE: 'make', DIRECTORY: this.store, TABLE: this.table, UNTIL: String(until), END: end, ...env };
    return spawn(process.execPath, [PROGRAM], { env: { ...process.env, ...variables }, stdio: ['ignore', 'ignore', 'inherit'] });
  }

  /** Runs the program up to a position, with some checkpoints before the last records; then it stops, or is killed when the last are durable. */
  async make(until: number, end: 'stop' | 'kill', env: Environment = {}): Promise<void> {
    const child = this.launch(until, end, env);
    const [code, signal] = await new Promise<[number | null, string | null]>((resolve) => child.once('close', (...ending) => resolve(ending)));
    if ((signal ?? code) !== (end === 'stop' ? 0 : 'SIGKILL')) throw new Error(`the program that makes the store ended with ${String(signal ?? code)}`);
  }

  /** Has a copy of the store go on by itself, with other records up to a position; gives back its checkpoints. */
  async makeOther(until: number): Promise<string> {
    const [store, table] = [join(this.root, 'other'), join(this.root, 'other-table')];
    cpSync(this.store, store, { recursive: true });
    cpSync(this.table, table, { recursive: true });
    await this.make(until, 'kill', { DIRECTORY: store, TABLE: table, SALT: 'other' });
    return join(store, 'checkpoint');
  }

  /** Brings what LevelDB has in its log into tables. */
  async compact(): Promise<void> {
    const db = new Level<string, Uint8Array>(join(this.store, 'checkpoint'), { valueEncoding: 'view', createIfMissing: false });
    await db.open();
    await db.close();
  }

  /** Keeps the checkpoints as they are now. */
  keep(name: string): string {
    const kept = join(this.root, name);
    cpSync(join(this.store, 'checkpoint'), kept, { recursive: true });
    return kept;
  }

  /** The names of LevelDB's files that match. */
  files(pattern: RegExp): readonly string[] {
    return readdirSync(join(this.store, 'checkpoint'))
      .filter((name) => pattern.test(name))
      .sort();
  }

  read(name: string): Buffer {
    return readFileSync(join(this.store, 'checkpoint', name));
  }

  /** Damages a copy, given the directory of its checkpoints, and has it opened. */
  async open(damage: (checkpoint: string, directory: string) => void): Promise<Outcome & { readonly table: Readonly<Record<string, string>> }> {
    const copy = mkdtempSync(join(this.root, 'copy-'));
    const [directory, table] = [join(copy, 'store'), join(copy, 'table')];
    cpSync(this.store, directory, { recursive: true });
    cpSync(this.table, table, { recursive: true });
    damage(join(directory, 'checkpoint'), directory);
    try {
      const outcome = await this.#opener.open({ directory, table });
      return { ...outcome, table: outcome.rows === undefined ? {} : await rowsOf(table) };
    } finally {
      rmSync(copy, { recursive: true });
    }
  }

  async close(): Promise<void> {
    await this.#opener.close();
    rmSync(this.root, { recursive: true });
  }
}

async function rowsOf(table: string): Promise<Readonly<Record<string, string>>> {
  const db = new Level<string, string>(table, { createIfMissing: false });
  const rows: Record<string, string> = {};
  for await (const [key, value] of db.sublevel('data').iterator()) rows[JSON.parse(key) as string] = JSON.parse(value) as string;
  await db.close();
  return rows;
}

/** Flips one bit of a file. */
export function flipBit(path: string, at: number, bit: number): void {
  const bytes = readFileSync(path);
  bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
  writeFileSync(path, bytes);
}

const FOOTER_BYTES = 48;

/** Reads a number of LevelDB's: seven bits in each byte, the lowest first. */
function varint(bytes: Buffer, at: number): { readonly value: number; readonly next: number } {
  let value = 0;
  let next = at;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[next++] ?? 0;
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return { value, next };
  }
}

/**
 * Writes an index into a table that LevelDB reads as far as an assertion: its only key has four bytes, and every key must have eight for LevelDB's own use. The file stays as long as it was.
 */
export function breakIndex(path: string): void {
  const bytes = readFileSync(path);
  const footer = bytes.length - FOOTER_BYTES;
  const metaOffset = varint(bytes, footer);
  const metaBytes = varint(bytes, metaOffset.next);
  const indexOffset = varint(bytes, metaBytes.next);
  const entry = [0, 4, 2, 0x6b, 0x65, 0x79, 0x73, 0, 10];
  // One restart point at 0; not compressed; a checksum that LevelDB does not look at.
  const block = Buffer.from([...entry, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
  block.copy(bytes, indexOffset.value);
  bytes.fill(0, indexOffset.next, bytes.length - 8);
  bytes[indexOffset.next] = entry.length + 8;
  writeFileSync(path, bytes);
}
