// Real processes, real sockets, real directories for tests: what is started here ends with the test.
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { Level } from 'level';

const PROGRAM = join(import.meta.dirname, 'program.mjs');

/** A program that runs. */
export interface Running {
  readonly process: ChildProcessByStdio<null, Readable, Readable>;
  /** Resolves with the exit code, or the signal, and what it logged. */
  readonly ended: Promise<{ readonly code: number | NodeJS.Signals | null; readonly log: string }>;
  /** How many lines of the log so far hold the text. */
  count(text: string): number;
  /** Resolves when a line of the log holds the text. */
  logged(text: string): Promise<void>;
}

/** A server that listens. */
export interface Serving {
  readonly port: string;
  readonly server: Server;
  /** Ends its connections. Safe to call again. */
  close(): Promise<void>;
}

/** A directory with a store and a table, and the programs that run on it. */
export class Workplace {
  readonly root: string = mkdtempSync(join(tmpdir(), 'millrace-test-'));
  readonly store: string = join(this.root, 'store');
  readonly table: string = join(this.root, 'table');
  readonly #running = new Set<Running>();
  readonly #servers: Serving[] = [];

  /** Starts the program of program.mjs, or another command. */
  start(env: Readonly<Record<string, string>>, command: readonly string[] = [process.execPath, PROGRAM]): Running {
    const [file = '', ...parameters] = command;
    const child = spawn(file, parameters, { env: { ...process.env, DIRECTORY: this.store, TABLE: this.table, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    let log = '';
    const waiting: { readonly text: string; readonly resolve: () => void }[] = [];
    child.stdout.resume();
    child.stderr.on('data', (chunk: Buffer) => {
      log += chunk.toString();
      for (const { text, resolve } of waiting) if (log.includes(text)) resolve();
    });
    const ended = once(child, 'close').then(([code, signal]) => ({ code: (signal ?? code) as number | NodeJS.Signals | null, log }));
    const running: Running = {
      process: child,
      ended,
      count: (text) => log.split('\n').filter((line) => line.includes(text)).length,
      logged: (text) =>
        Promise.race([
          new Promise<void>((resolve) => (log.includes(text) ? resolve() : waiting.push({ text, resolve }))),
          ended.then((end) => Promise.reject(new Error(`the program ended with ${String(end.code)} before it logged "${text}":\n${end.log}`))),
        ]),
    };
    this.#running.add(running);
    void ended.then(() => this.#running.delete(running));
    return running;
  }

  /** Opens a server that closes with the place. */
  async serve(onConnection: (socket: Socket) => void): Promise<Serving> {
    const serving = await serve(onConnection);
    this.#servers.push(serving);
    return serving;
  }

  /** The rows of the table, read without the engine. */
  async rows(): Promise<Readonly<Record<string, number>>> {
    const db = new Level<string, string>(this.table, { createIfMissing: false });
    const rows: Record<string, number> = {};
    for await (const [key, value] of db.sublevel('data').iterator()) rows[JSON.parse(key) as string] = JSON.parse(value) as number;
    await db.close();
    return rows;
  }

  /** Ends what still runs and removes everything. */
  async close(): Promise<void> {
    for (const { process: child, ended } of this.#running) {
      child.kill('SIGKILL');
      await ended;
    }
    for (const serving of this.#servers) await serving.close();
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** A server whose connections a test handles. */
async function serve(onConnection: (socket: Socket) => void): Promise<Serving> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => sockets.delete(socket));
    onConnection(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    port: String(address !== null && typeof address === 'object' ? address.port : 0),
    server,
    async close() {
      if (!server.listening) return;
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** A feeder of acknowledged lines; `onRequest` hears what the program says. */
export function feed(lines: readonly string[], onRequest: (request: string) => void = () => undefined): (socket: Socket) => void {
  return (socket) => {
    socket.write(`millrace-lines 1 text ${lines.length}\n`);
    createInterface({ input: socket })
      .on('line', (request) => {
        onRequest(request);
        const from = /^from (\d+)$/.exec(request)?.[1];
        if (from !== undefined)
          socket.write(
            lines
              .map((line, index) => `${index} ${line}\n`)
              .slice(Number(from))
              .join(''),
          );
      })
      .on('error', () => socket.destroy());
  };
}

/** Resolves once `isTrue` is; checks every few milliseconds of real time. */
export async function until(isTrue: () => boolean | Promise<boolean>, what: string, msMax = 30_000): Promise<void> {
  for (const end = performance.now() + msMax; performance.now() < end;) {
    if (await isTrue()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`${msMax / 1000} s passed without ${what}`);
}
