// One temporary Kafka broker on loopback, that ends with the process that started it. Shared by the tests, the benchmark and the example.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { findKafka } from './kafka-jars.mjs';

/** A checker that takes longer waits for a transaction that nobody will end. */
const CHECK_MS_MAX = 120_000;

/** Ports that are free, each another one. */
async function freePorts(count) {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => (server.close(), once(server, 'close'))));
  return ports;
}

function isAlive(pid) {
  try {
    // A zombie is not: nobody may have waited for it yet.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** Behind the records of a reading. */
const END = '\u0004';

function recordOf(line) {
  const [topic, partition, offset, key, ...value] = line.split('\t');
  return { topic, partition: Number(partition), offset: Number(offset), key, value: value.join('\t') };
}

/** A broker that runs, or can be started again. */
export class KafkaBroker {
  #guardian;
  #lines;
  #jars;

  constructor(jars, ports) {
    const [port, controllerPort, behindProxyPort, proxyPort] = ports;
    this.#jars = jars;
    this.root = mkdtempSync(join(tmpdir(), 'millrace-kafka-broker-'));
    this.port = port;
    this.behindProxyPort = behindProxyPort;
    this.proxyPort = proxyPort;
    this.pid = 0;
    const parameters = [join(import.meta.dirname, 'kafka-guardian.mjs'), jars, this.root, ...[port, controllerPort, behindProxyPort, proxyPort].map(String)];
    this.#guardian = spawn(process.execPath, parameters, { stdio: ['pipe', 'pipe', 'inherit'], detached: true });
    this.#guardian.stdin.on('error', () => undefined);
    this.#lines = createInterface({ input: this.#guardian.stdout });
  }

  /** Makes its storage and starts it. */
  static async start() {
    const found = findKafka();
    if ('missing' in found) throw new Error(found.missing);
    const broker = new KafkaBroker(found.jars, await freePorts(4));
    await broker.restart();
    return broker;
  }

  /** How clients reach it. */
  get address() {
    return `127.0.0.1:${this.port}`;
  }

  /** The process that watches over it. */
  get guardianPid() {
    return this.#guardian.pid;
  }

  /** Starts it, which must not run. */
  async restart() {
    this.#guardian.stdin.write('start\n');
    const [line] = await once(this.#lines, 'line');
    const [, pid] = /^ready (\d+)$/.exec(line) ?? [];
    if (pid === undefined) throw new Error(`Kafka did not start: ${line}`);
    this.pid = Number(pid);
  }

  /** Kills it, and resolves when it is gone. */
  async kill() {
    process.kill(this.pid, 'SIGKILL');
    while (isAlive(this.pid)) await new Promise((resolve) => setTimeout(resolve, 20));
  }

  /** The committed records of topics, read by Kafka's own client. */
  read(...topics) {
    const { status, stdout, stderr } = spawnSync('java', [...this.#checker(), ...topics], {
      encoding: 'utf8',
      maxBuffer: 1 << 28,
      timeout: CHECK_MS_MAX,
    });
    if (status !== 0) throw new Error(`the checker failed: ${stderr}`);
    return stdout
      .split('\n')
      .filter((line) => line !== '')
      .map(recordOf);
  }

  /** Kafka's own client, for many readings one after another: to start it for each would take longer than they do. */
  openReader() {
    const child = spawn('java', this.#checker(), { stdio: ['pipe', 'pipe', 'inherit'] });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    return {
      async read(...topics) {
        child.stdin.write(`${topics.join('\t')}\n`);
        const records = [];
        for (;;) {
          const { value, done } = await lines.next();
          if (done) throw new Error('the checker ended');
          if (value === END) return records;
          records.push(recordOf(value));
        }
      },
      async close() {
        child.stdin.end();
        if (child.exitCode === null) await once(child, 'exit');
      },
    };
  }

  #checker() {
    return [
      '-Xmx256m',
      '-XX:TieredStopAtLevel=1',
      '-Dorg.slf4j.simpleLogger.defaultLogLevel=error',
      '-cp',
      `${this.#jars}:${this.#jars}/*`,
      'ReadCommitted',
      this.address,
    ];
  }

  /** Ends it and removes it. */
  async close() {
    const ended = this.#guardian.exitCode === null ? once(this.#guardian, 'exit') : undefined;
    this.#guardian.stdin.end();
    await ended;
  }
}
