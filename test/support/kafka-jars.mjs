// The jars of a Kafka broker and of its own client, from Maven Central by Maven, which checks each against its checksum; kept in a cache for the next run. Shared by the tests, the benchmark and the example.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const HERE = import.meta.dirname;
const POM = join(HERE, 'kafka-pom.xml');
const CHECKER = join(HERE, 'ReadCommitted.java');
const PLUGIN = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies';
const FETCH_MS_MAX = 300_000;

function run(command, parameters, options = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, parameters, { encoding: 'utf8', timeout: FETCH_MS_MAX, maxBuffer: 1 << 26, ...options });
  return { isGood: status === 0, text: error?.message ?? `${stdout}${stderr}`.trim() };
}

function missing(why) {
  return { missing: `NOT RUN: a Kafka broker, since ${why} (Debian: apt-get install openjdk-17-jdk-headless maven)` };
}

/** Where the jars are, fetched if need be; or why there are none. The checker is among the classes. */
export function findKafka() {
  for (const [command, what] of [
    ['java', 'Java is not installed'],
    ['javac', 'the compiler of Java is not installed'],
  ]) {
    if (!run(command, ['-version']).isGood) return missing(what);
  }
  const key = createHash('sha256').update(readFileSync(POM)).update(readFileSync(CHECKER)).digest('hex').slice(0, 16);
  const cache = join(process.env.MILLRACE_CACHE ?? tmpdir(), `millrace-kafka-${key}`);
  if (existsSync(join(cache, 'complete'))) return { jars: join(cache, 'complete') };
  if (!run('mvn', ['-version']).isGood) return missing('Maven is not installed');
  mkdirSync(cache, { recursive: true });
  const draft = mkdtempSync(join(cache, 'draft-'));
  const fetched = run('mvn', ['-B', '-q', '--strict-checksums', '-f', POM, PLUGIN, '-DincludeScope=runtime', `-DoutputDirectory=${draft}`]);
  const compiled = fetched.isGood ? run('javac', ['-d', draft, '-cp', `${draft}/*`, CHECKER]) : fetched;
  if (!compiled.isGood) {
    rmSync(draft, { recursive: true, force: true });
    return missing(`its jars could not be made ready: ${compiled.text.slice(0, 500)}`);
  }
  try {
    renameSync(draft, join(cache, 'complete'));
  } catch {
    // Another process was first.
    rmSync(draft, { recursive: true, force: true });
  }
  return { jars: join(cache, 'complete') };
}
