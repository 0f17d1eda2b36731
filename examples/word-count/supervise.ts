// Runs a program under pm2, in this process and with a PM2_HOME of its own, so that no daemon stays behind.
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import type { StartOptions } from 'pm2';

/** A program under supervision. */
export interface Supervised {
  /** Stops it with SIGINT, waits for its graceful stop, and ends the supervision. */
  stop(): Promise<void>;
}

/** Starts a program. It is restarted whenever it ends, except with an exit code that says that a person must look. */
export async function startUnderPm2(directory: string, script: string, environment: Readonly<Record<string, string>>): Promise<Supervised> {
  process.env['PM2_HOME'] = join(directory, 'pm2');
  // In its own process pm2 writes what it does to the console; it belongs into a file beside the program's logs.
  console.log = (...parts: unknown[]) => appendFileSync(join(directory, 'pm2.log'), `${parts.join(' ')}\n`);
  const { default: pm2 } = await import('pm2');
  const name = 'word-count';
  const call = (action: (done: (error: Error | null) => void) => void): Promise<void> =>
    new Promise((resolve, reject) => action((error) => (error === null || error === undefined ? resolve() : reject(error))));
  await call((done) => pm2.connect(true, done));
  await call((done) =>
    pm2.start(
      {
        name,
        script,
        interpreter: process.execPath,
        exec_mode: 'fork',
        autorestart: true,
        min_uptime: 100,
        max_restarts: 100_000,
        // pm2 reports a SIGKILL as exit code 0, so 0 must not be among these.
        stop_exit_codes: [64, 73, 78],
        kill_timeout: 20_000,
        env: { ...environment },
        output: join(directory, 'out.log'),
        error: join(directory, 'error.log'),
        pmx: false,
      } as StartOptions,
      done,
    ),
  );
  return {
    async stop() {
      await call((done) => pm2.stop(name, done));
      await call((done) => pm2.delete(name, done));
      pm2.disconnect();
    },
  };
}
