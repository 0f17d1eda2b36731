// Keeps one temporary PostgreSQL for a test and ends it when the test is gone, however that ended: its standard input closes with the test's process. Speaks lines: `start` begins the server and
// answers `ready PID`; the test kills processes of the server by itself.
// Use: node postgres-guardian.mjs BIN ROOT PORT
import { spawn, spawnSync } from 'node:child_process';
import { appendFileSync, chmodSync, chownSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const [bin, root, port] = process.argv.slice(2);
const data = join(root, 'data');
// PostgreSQL does not run as root.
const identity = process.getuid() === 0 ? unprivileged() : {};
let server;
let isEnding = false;

function unprivileged() {
  const accounts = readFileSync('/etc/passwd', 'utf8').split('\n');
  const [, , uid, gid] = (accounts.find((line) => line.startsWith('postgres:')) ?? accounts.find((line) => line.startsWith('nobody:')) ?? '').split(':');
  return { uid: Number(uid), gid: Number(gid) };
}

function initialise() {
  if ('uid' in identity) chownSync(root, identity.uid, identity.gid);
  chmodSync(root, 0o755);
  const password = join(root, 'password');
  writeFileSync(password, 'secret\n');
  const options = ['-D', data, '-U', 'postgres', '-A', 'scram-sha-256', '--pwfile', password, '-E', 'UTF8', '--locale=C', '--no-sync'];
  const { status, stderr } = spawnSync(join(bin, 'initdb'), options, { ...identity, encoding: 'utf8', cwd: root });
  if (status !== 0) throw new Error(`initdb failed: ${stderr}`);
  const settings = [
    `port = ${port}`,
    "listen_addresses = '127.0.0.1'",
    "unix_socket_directories = ''",
    'shared_buffers = 16MB',
    'max_connections = 40',
    'deadlock_timeout = 100ms',
  ];
  appendFileSync(join(data, 'postgresql.conf'), `${settings.join('\n')}\n`);
}

function start() {
  if (isEnding) return;
  if (!existsSync(join(data, 'PG_VERSION'))) initialise();
  const child = spawn(join(bin, 'postgres'), ['-D', data], { ...identity, cwd: root, stdio: ['ignore', 'ignore', 'pipe'] });
  server = child;
  let log = '';
  let isReady = false;
  child.stderr.on('data', (chunk) => {
    appendFileSync(join(root, 'server.log'), chunk);
    if (isReady) return;
    log += chunk;
    if (!log.includes('database system is ready to accept')) return;
    isReady = true;
    process.stdout.write(`ready ${child.pid}\n`);
  });
  child.once('close', () => {
    if (server === child) server = undefined;
    if (!isReady) process.stdout.write(`failed ${JSON.stringify(log)}\n`);
    if (isEnding) remove();
  });
}

function remove() {
  rmSync(root, { recursive: true, force: true });
  process.exit();
}

/** Immediate shutdown: nobody needs what the server still has in memory. */
function end() {
  if (isEnding) return;
  isEnding = true;
  if (server === undefined) return remove();
  server.kill('SIGQUIT');
  // A process that stands still cannot follow.
  setTimeout(() => server?.kill('SIGKILL'), 5000);
}

process.stdout.on('error', end);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, end);
mkdirSync(root, { recursive: true });
createInterface({ input: process.stdin })
  .on('line', (line) => {
    if (line === 'start') start();
  })
  .on('close', end);
