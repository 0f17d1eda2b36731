// A PostgreSQL of its own for a program of the course: from Debian's package, on loopback, gone with the command. The table is the course's, with the unique index that an upsert needs.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const DEBIAN = '/usr/lib/postgresql';
const TABLE = `CREATE TABLE wordcount (id serial PRIMARY KEY, updated_time timestamp DEFAULT CURRENT_TIMESTAMP, word varchar(255) UNIQUE, count int)`;

/** A server that runs. */
export interface PostgresServer {
  /** What programs need to reach it. */
  readonly environment: Readonly<Record<string, string>>;
  /** Runs SQL in psql; a line per row, columns parted by `|`. */
  sql(text: string): readonly string[];
  close(): Promise<void>;
}

async function freePort(): Promise<string> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  return String(typeof address === 'object' && address !== null ? address.port : 0);
}

/** Starts it; undefined if PostgreSQL is not installed. */
export async function startPostgres(): Promise<PostgresServer | undefined> {
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).toSorted((left, right) => Number(right) - Number(left)) : [];
  const bin = versions.map((version) => join(DEBIAN, version, 'bin')).find((path) => existsSync(join(path, 'initdb')));
  if (bin === undefined) return undefined;
  const port = await freePort();
  const guardian = fileURLToPath(new URL('../../../test/support/postgres-guardian.mjs', import.meta.url));
  const child = spawn(process.execPath, [guardian, bin, mkdtempSync(join(tmpdir(), 'millrace-course-postgres-')), port], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  child.stdin.write('start\n');
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  if (!line.startsWith('ready')) throw new Error(`PostgreSQL did not start: ${line}`);
  const environment = { PGHOST: '127.0.0.1', PGPORT: port, PGUSER: 'postgres', PGPASSWORD: 'secret', PGDATABASE: 'postgres' };
  const sql = (text: string): readonly string[] => {
    const { status, stdout, stderr } = spawnSync(join(bin, 'psql'), ['-X', '-q', '-A', '-t', '-c', text], {
      encoding: 'utf8',
      env: { ...process.env, ...environment },
    });
    if (status !== 0) throw new Error(`psql: ${stderr}`);
    return stdout.split('\n').filter((row) => row !== '');
  };
  sql(TABLE);
  return {
    environment,
    sql,
    async close() {
      child.stdin.end();
      await once(child, 'exit');
    },
  };
}
