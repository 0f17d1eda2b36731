// What a crash costs: a driver with 1 M keys of mapWithState, 20,000 records a second, batches of a second, a checkpoint every ten, is killed at a random moment between two checkpoints and started again at once; then one
// without state and with batches of 100 ms. From the kill, and from where the main module runs, to the first new batch that the sink holds, without the wait for the end of its interval.
// Run: npm run bench:state. KEYS=100000 and ROUNDS=3 make it short; PROF=directory writes CPU profiles of the drivers.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const KEYS = Number(process.env.KEYS ?? 1_000_000);
const ROUNDS = Number(process.env.ROUNDS ?? 7);
const { PROF } = process.env;
const PROGRAM = join(import.meta.dirname, 'recovery-program.mjs');
const MIB = 1024 * 1024;
const median = (numbers) => numbers.toSorted((left, right) => left - right)[Math.floor(numbers.length / 2)];
const now = () => performance.timeOrigin + performance.now();

/** A driver that runs, and what it has told. */
class Driver {
  events = [];
  #waiting = [];

  constructor(env) {
    this.spawnedAt = now();
    const profile = PROF === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${PROF}`, '--cpu-prof-interval', '500'];
    this.child = spawn(process.execPath, [...profile, PROGRAM], { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'inherit'] });
    this.ended = new Promise((resolve) => this.child.once('close', resolve));
    createInterface({ input: this.child.stdout }).on('line', (line) => {
      this.events.push(JSON.parse(line));
      this.#waiting = this.#waiting.filter(({ find, resolve }) => {
        const found = find(this.events);
        if (found !== undefined) resolve(found);
        return found === undefined;
      });
    });
  }

  /** Resolves with what `find` finds among the events, as soon as it does. */
  until(find) {
    const found = find(this.events);
    if (found !== undefined) return found;
    const died = this.ended.then((code) => Promise.reject(new Error(`the driver ended with ${code}`)));
    return Promise.race([died, new Promise((resolve) => this.#waiting.push({ find, resolve }))]);
  }

  event(name) {
    return this.until((events) => events.find(({ event }) => event === name));
  }

  async kill(signal = 'SIGKILL') {
    this.child.kill(signal);
    await this.ended;
  }
}

/** The commit of the first batch with records that this life planned. An empty one commits nothing. */
function firstNewCommit(events) {
  const planned = events.find(({ event, recordCount }) => event === 'planned' && recordCount > 0);
  return planned === undefined ? undefined : events.find(({ event, batchTime }) => event === 'committed' && batchTime === planned.batchTime);
}

async function measure(env, { pauseMs, spreadMs }) {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
  const places = { ...env, DIRECTORY: join(directory, 'store'), TABLE: join(directory, 'table') };
  const rounds = [];
  let rssBytes = 0;
  try {
    let driver = new Driver({ ...places, PREPARE: '1' });
    await driver.event('checkpoint');
    for (let round = 0; round <= ROUNDS; round++) {
      await new Promise((resolve) => setTimeout(resolve, pauseMs + Math.random() * spreadMs));
      // The first life has made the state, which takes more.
      if (round > 0) rssBytes = Math.max(rssBytes, ...driver.events.map((event) => event.rssBytes ?? 0));
      const estimate = driver.events.findLast(({ event }) => event === 'estimated');
      const killedAt = now();
      await driver.kill();
      driver = new Driver(places);
      const committed = await driver.until(firstNewCommit);
      const [loaded, opened, found, recovered] = await Promise.all(['loaded', 'opened', 'recovery-found', 'recovered'].map((name) => driver.event(name)));
      const waitMs = Math.max(0, committed.batchTime - recovered.at);
      rounds.push({
        fromKill: committed.at - killedAt - waitMs,
        fromSpawn: committed.at - driver.spawnedAt - waitMs,
        beyond: committed.at - loaded.at - waitMs,
        loading: loaded.at - driver.spawnedAt,
        opening: opened.at - loaded.at,
        reading: found.at - opened.at,
        again: recovered.at - found.at,
        firstBatch: committed.at - Math.max(recovered.at, committed.batchTime),
        waitMs,
        batches: recovered.batchesRerun,
        estimated: estimate?.ms ?? 0,
        took: recovered.durationMs,
      });
      await driver.event('checkpoint');
    }
    await driver.kill(PROF === undefined ? 'SIGKILL' : 'SIGTERM');
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  return { rounds: rounds.slice(1), rssBytes };
}

function report(name, { rounds, rssBytes }, target) {
  const of = (key) => median(rounds.map((round) => round[key]));
  const most = (key) => Math.max(...rounds.map((round) => round[key]));
  console.log(
    `${name}: first new batch committed ${of('beyond').toFixed(0)} ms (at most ${most('beyond').toFixed(0)}) behind the main module, ${of('fromSpawn').toFixed(0)} ms behind the spawn, ` +
      `${of('fromKill').toFixed(0)} ms behind the kill, without the wait for its interval (asked: ${target})`,
  );
  console.log(
    `  modules ${of('loading').toFixed(0)}, getOrCreate ${of('opening').toFixed(0)}, to the sinks ${of('reading').toFixed(0)}, ${of('batches')} batches again ${of('again').toFixed(0)}, ` +
      `wait ${of('waitMs').toFixed(0)}, first batch ${of('firstBatch').toFixed(0)} ms; estimated ${of('estimated').toFixed(0)}, took ${of('took').toFixed(0)} ms; ${(rssBytes / MIB).toFixed(0)} MiB RSS; load ${loadavg()[0].toFixed(1)}`,
  );
  if (process.env.VERBOSE === '1')
    for (const round of rounds) console.log(JSON.stringify(round, (_key, value) => (typeof value === 'number' ? Math.round(value) : value)));
}

report(`${KEYS} keys, 20,000 records/s`, await measure({ KEYS: String(KEYS), RATE: '20000' }, { pauseMs: 1000, spreadMs: 8500 }), '2000 ms, 600 MiB');
report('no state, 100 ms batches', await measure({ RATE: '2000', INTERVAL_MS: '100', CHECKPOINT_MS: '1000' }, { pauseMs: 100, spreadMs: 800 }), '300 ms');
