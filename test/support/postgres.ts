// A real PostgreSQL for tests: a temporary cluster on loopback, from the machine's own binaries, that ends with the test's process. It is asked through psql, which shares nothing with the engine.
import { spawn, spawnSync, type ChildProcess, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

/** A statement of a test that takes longer waits for a lock that nobody will release. */
const SQL_MS_MAX = 20_000;

const DEBIAN = '/usr/lib/postgresql';

/** The directory of the newest installed PostgreSQL's programs, and why there is none. */
export function findPostgres(): { readonly bin: string } | { readonly missing: string } {
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).toSorted((left, right) => Number(right) - Number(left)) : [];
  const found = [process.env['POSTGRES_BIN'] ?? '', ...versions.map((version) => join(DEBIAN, version, 'bin'))].find((bin) => existsSync(join(bin, 'initdb')));
  return found === undefined
    ? { missing: `NOT RUN: PostgreSQL is not installed (no initdb in POSTGRES_BIN or ${DEBIAN}/*/bin; Debian: apt-get install postgresql)` }
    : { bin: found };
}

/** Tells loudly, once per file, that tests are not run for want of a server. */
export function hasPostgres(): boolean {
  const found = findPostgres();
  if ('missing' in found) console.warn(found.missing);
  return !('missing' in found);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** A server that runs, or can be started again. */
export class Postgres {
  readonly port: number;
  readonly root: string;
  readonly #bin: string;
  readonly #guardian: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: Interface;
  readonly #clients = new Set<ChildProcess>();
  /** The postmaster. */
  pid = 0;

  private constructor(bin: string, root: string, port: number) {
    this.#bin = bin;
    this.root = root;
    this.port = port;
    const guardian = join(import.meta.dirname, 'postgres-guardian.mjs');
    this.#guardian = spawn(process.execPath, [guardian, bin, root, String(port)], { stdio: ['pipe', 'pipe', 'inherit'], detached: true });
    this.#guardian.stdin.on('error', () => undefined);
    this.#lines = createInterface({ input: this.#guardian.stdout });
  }

  /** Makes a cluster and starts its server. */
  static async start(): Promise<Postgres> {
    const found = findPostgres();
    if ('missing' in found) throw new Error(found.missing);
    const server = new Postgres(found.bin, mkdtempSync(join(tmpdir(), 'millrace-postgres-')), await freePort());
    await server.restart();
    return server;
  }

  /** How programs reach it. */
  get environment(): Readonly<Record<string, string>> {
    return { PGHOST: '127.0.0.1', PGPORT: String(this.port), PGUSER: 'postgres', PGPASSWORD: 'secret', PGDATABASE: 'postgres' };
  }

  /** Starts the server, which must not run. */
  async restart(): Promise<void> {
    this.#guardian.stdin.write('start\n');
    const [line] = (await once(this.#lines, 'line')) as [string];
    const [, pid] = /^ready (\d+)$/.exec(line) ?? [];
    if (pid === undefined) throw new Error(`PostgreSQL did not start: ${line}`);
    this.pid = Number(pid);
  }

  /** Kills the postmaster and all its processes, as a power cut of the server would, and resolves when they are gone. */
  async kill(): Promise<void> {
    const children = this.backends();
    process.kill(this.pid, 'SIGKILL');
    for (const pid of children) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended with the postmaster.
      }
    }
    while (isAlive(this.pid) || children.some(isAlive)) await new Promise((resolve) => setTimeout(resolve, 20));
  }

  /** All processes of the server but the postmaster. */
  backends(): readonly number[] {
    return readdirSync('/proc').flatMap((name) => {
      if (!/^\d+$/.test(name)) return [];
      try {
        const [, parent] = /^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${name}/status`, 'utf8')) ?? [];
        return Number(parent) === this.pid ? [Number(name)] : [];
      } catch {
        // It has just ended.
        return [];
      }
    });
  }

  /** Runs SQL in psql and gives its rows: unaligned, columns parted by `|`. */
  sql(text: string, database = 'postgres'): readonly string[] {
    const { status, stdout, stderr } = spawnSync(join(this.#bin, 'psql'), ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-d', database, '-c', text], {
      encoding: 'utf8',
      env: { ...process.env, ...this.environment },
      maxBuffer: 1 << 28,
      timeout: SQL_MS_MAX,
    });
    if (status !== 0) throw new Error(`psql: ${stderr}`);
    return stdout.split('\n').filter((line) => line !== '');
  }

  /** Runs one of its programs, such as pg_dump, as a client of this server. */
  run(program: string, parameters: readonly string[], input = ''): string {
    const { status, stdout, stderr } = spawnSync(join(this.#bin, program), parameters, {
      encoding: 'utf8',
      input,
      env: { ...process.env, ...this.environment },
      maxBuffer: 1 << 28,
    });
    if (status !== 0) throw new Error(`${program}: ${stderr}`);
    return stdout;
  }

  /** Another client, which can keep a transaction open. */
  client(name = 'other'): { run(text: string): Promise<void>; end(): Promise<void> } {
    const child = spawn(join(this.#bin, 'psql'), ['-X', '-q', '-A', '-t'], {
      env: { ...process.env, ...this.environment, PGAPPNAME: name },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#clients.add(child);
    let said = '';
    let marks = 0;
    child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
    child.stdin.on('error', () => undefined);
    const ended = once(child, 'close');
    const clients = this.#clients;
    return {
      async run(text) {
        const mark = `done ${++marks}`;
        child.stdin.write(`${text};\n\\echo ${mark}\n`);
        while (!said.includes(mark)) await new Promise((resolve) => setTimeout(resolve, 10));
      },
      async end() {
        child.stdin.end();
        await ended;
        clients.delete(child);
      },
    };
  }

  /** Ends the clients that a test has left. */
  endClients(): void {
    for (const client of this.#clients) client.kill('SIGKILL');
    this.#clients.clear();
  }

  /** Ends it and removes it. */
  async close(): Promise<void> {
    const ended = this.#guardian.exitCode === null ? once(this.#guardian, 'exit') : undefined;
    this.#guardian.stdin.end();
    await ended;
  }
}

function isAlive(pid: number): boolean {
  try {
    // A zombie is not: nobody may have waited for it yet.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
