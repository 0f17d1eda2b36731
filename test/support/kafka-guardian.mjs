// Keeps one temporary Kafka broker for a test and ends it when the test is gone, however that ended: its standard input closes with the test's process. Speaks lines: `start` begins the broker and answers
// `ready PID`; the test kills the broker by itself.
// Use: node kafka-guardian.mjs JARS ROOT PORT PORT_OF_CONTROLLER PORT_BEHIND_PROXY PORT_OF_PROXY
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const [jars, root, port, controllerPort, behindProxyPort, proxyPort] = process.argv.slice(2);
const data = join(root, 'data');
const settings = join(root, 'server.properties');
const READY_MS_MAX = 60_000;
let server;
let isEnding = false;

// Who connects to the second listener is told the address of the proxy, for all that follows. A broker that was killed can register again when the session of the old one has expired.
const PROPERTIES = `process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:${port},FAULTY://127.0.0.1:${behindProxyPort},CONTROLLER://127.0.0.1:${controllerPort}
advertised.listeners=PLAINTEXT://127.0.0.1:${port},FAULTY://127.0.0.1:${proxyPort}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,FAULTY:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
controller.quorum.voters=1@127.0.0.1:${controllerPort}
log.dirs=${data}
auto.create.topics.enable=false
num.partitions=1
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=10485760
log.cleaner.backoff.ms=200
log.initial.task.delay.ms=500
broker.session.timeout.ms=1000
broker.heartbeat.interval.ms=200
transaction.abort.timed.out.transaction.cleanup.interval.ms=500
`;

function format() {
  mkdirSync(data, { recursive: true });
  writeFileSync(settings, PROPERTIES);
  const id = randomBytes(16).toString('base64url');
  const options = [
    '-Xmx128m',
    '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
    '-cp',
    `${jars}/*`,
    'kafka.tools.StorageTool',
    'format',
    '-t',
    id,
    '-c',
    settings,
  ];
  const { status, stderr } = spawnSync('java', options, { encoding: 'utf8', cwd: root });
  if (status !== 0) throw new Error(`the storage of Kafka was not made: ${stderr}`);
}

/** The port opens when the broker can serve. */
function probe(onOpen) {
  const socket = connect(Number(port), '127.0.0.1');
  socket.once('connect', () => (socket.destroy(), onOpen()));
  socket.once('error', () => setTimeout(() => server !== undefined && probe(onOpen), 50));
}

function start() {
  if (isEnding) return;
  // One that was killed still holds its port while its threads end.
  if (server !== undefined) return void server.once('close', start);
  if (!existsSync(join(data, 'meta.properties'))) format();
  const options = ['-Xms256m', '-Xmx256m', '-XX:+UseSerialGC', '-XX:+ExitOnOutOfMemoryError', '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn'];
  const child = spawn('java', [...options, '-cp', `${jars}/*`, 'kafka.Kafka', settings], { cwd: root, stdio: ['ignore', 'ignore', 'pipe'] });
  server = child;
  let log = '';
  let isReady = false;
  const timer = setTimeout(() => child.kill('SIGKILL'), READY_MS_MAX);
  child.stderr.on('data', (chunk) => {
    log = (log + chunk).slice(-4000);
    appendFileSync(join(root, 'server.log'), chunk);
  });
  child.once('close', () => {
    clearTimeout(timer);
    if (server === child) server = undefined;
    if (!isReady) process.stdout.write(`failed ${JSON.stringify(log)}\n`);
    if (isEnding) remove();
  });
  probe(() => {
    isReady = true;
    clearTimeout(timer);
    process.stdout.write(`ready ${child.pid}\n`);
  });
}

function remove() {
  rmSync(root, { recursive: true, force: true });
  process.exit();
}

/** Nobody needs what the broker still has in memory. */
function end() {
  if (isEnding) return;
  isEnding = true;
  if (server === undefined) return remove();
  server.kill('SIGKILL');
}

process.stdout.on('error', end);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, end);
mkdirSync(root, { recursive: true });
createInterface({ input: process.stdin })
  .on('line', (line) => {
    if (line === 'start') start();
  })
  .on('close', end);
