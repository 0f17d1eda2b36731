// Goal: what a clock does to a real driver, and what it must not do: each line counts once, each interval of a life makes one batch, batch times go up. Method: libfaketime shows the
// driver another wall clock, which the test sets while it runs; SIGSTOP stands for a machine that is suspended.
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { releaseAll, requireTools, WallClock } from '../../support/faults.ts';
import { until, Workplace, type Running } from '../../support/processes.ts';

const HOUR_S = 3600;
const YEAR_S = 365 * 24 * HOUR_S;
const INTERVAL_MS = 100;

let place: Workplace;

beforeEach(() => {
  place = new Workplace();
});
afterEach(async () => {
  await place.close();
  releaseAll();
});

/** Acknowledged lines that a test gives piece by piece. */
class Feeder {
  readonly #total: number;
  readonly #sockets = new Set<Socket>();
  #given = 0;
  acknowledged = 0;
  env: Readonly<Record<string, string>> = {};

  constructor(total: number) {
    this.#total = total;
  }

  async open(): Promise<void> {
    const { port } = await place.serve((socket) => {
      socket.write(`millrace-lines 1 text ${this.#total}\n`);
      createInterface({ input: socket })
        .on('line', (request) => {
          const [word, number] = request.split(' ');
          this.acknowledged = Math.max(this.acknowledged, Number(number));
          if (word !== 'from') return;
          this.#send(socket, Number(number));
          this.#sockets.add(socket);
        })
        .on('error', () => socket.destroy());
      socket.on('close', () => this.#sockets.delete(socket));
    });
    this.env = { PORT: port, ACKNOWLEDGED: '1', BATCHES: '1' };
  }

  #send(socket: Socket, from: number): void {
    for (let line = from; line < this.#given; line++) socket.write(`${line} word${line % 7}\n`);
  }

  /** Gives that many more lines; resolves when they are acknowledged. */
  async give(count: number): Promise<void> {
    const from = this.#given;
    this.#given += count;
    for (const socket of this.#sockets) this.#send(socket, from);
    await until(() => this.acknowledged >= this.#given, `the acknowledgement of ${this.#given} lines`);
  }

  /** What the table must hold. */
  counts(): Readonly<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (let line = 0; line < this.#given; line++) counts[`word${line % 7}`] = (counts[`word${line % 7}`] ?? 0) + 1;
    return counts;
  }
}

/** Starts a driver and waits until it runs. */
async function drive(env: Readonly<Record<string, string>>): Promise<Running> {
  const driver = place.start(env);
  await driver.logged('streaming context started');
  return driver;
}

/** Ends a driver; the times of its batches, and how far its wall clock was from them at most. */
async function end(driver: Running, signal: 'SIGTERM' | 'SIGKILL') {
  driver.process.kill(signal);
  const { code, log } = await driver.ended;
  expect(code).toBe(signal === 'SIGKILL' ? 'SIGKILL' : 0);
  const batches = [...log.matchAll(/^batch (\d+) at (\d+)$/gm)].map(([, time, wall]) => [Number(time), Number(wall)] as const);
  return { times: batches.map(([time]) => time), awaySeconds: Math.max(...batches.map(([time, wall]) => Math.abs(wall - time))) / 1000 };
}

const steps = (times: readonly number[]): readonly number[] => [...new Set(times.slice(1).map((time, index) => time - (times[index] ?? 0)))];

/** Each interval made a batch, in order, and there were as many as the time of the test has intervals; a driver under load may be behind. */
function expectAllIntervals(times: readonly number[], sinceMs: number): void {
  expect(steps(times)).toEqual([INTERVAL_MS]);
  const intervals = (performance.now() - sinceMs) / INTERVAL_MS;
  expect(times.length).toBeGreaterThan(intervals / 2);
  expect(times.length).toBeLessThan(intervals + 2);
}

describe('a wall clock', () => {
  it.each([
    ['an hour ahead', HOUR_S],
    ['an hour back', -HOUR_S],
    ['ten years ahead', 10 * YEAR_S],
    ['ten years back', -10 * YEAR_S],
  ])('that jumps %s under a driver changes no batch', async (_name, seconds) => {
    const feeder = new Feeder(60);
    await feeder.open();
    const clock = new WallClock();
    const beganMs = performance.now();
    const driver = await drive({ ...feeder.env, ...clock.env });
    await feeder.give(20);
    clock.set(seconds);
    await sleep(500);
    await feeder.give(20);
    clock.set(0);
    await feeder.give(20);
    await sleep(500);
    const { times, awaySeconds } = await end(driver, 'SIGTERM');
    expect(awaySeconds).toBeGreaterThan(Math.abs(seconds) - 60);
    expectAllIntervals(times, beganMs);
    expect(await place.rows()).toEqual(feeder.counts());
  });
  it('that strobes each 50 ms by an hour and by ten years changes no batch', async () => {
    const feeder = new Feeder(120);
    await feeder.open();
    const clock = new WallClock();
    const beganMs = performance.now();
    const driver = await drive({ ...feeder.env, ...clock.env });
    const offsets = [HOUR_S, 0, -HOUR_S, 10 * YEAR_S, -10 * YEAR_S];
    let turn = 0;
    const strobe = setInterval(() => clock.set(offsets[turn++ % offsets.length] ?? 0), 50);
    for (let given = 0; given < 120; given += 3) await Promise.all([feeder.give(3), sleep(50)]);
    clearInterval(strobe);
    const { times, awaySeconds } = await end(driver, 'SIGTERM');
    expect(awaySeconds).toBeGreaterThan(9 * YEAR_S);
    expectAllIntervals(times, beganMs);
    expect(await place.rows()).toEqual(feeder.counts());
  });
  it.each([
    ['an hour', HOUR_S],
    ['ten years', 10 * YEAR_S],
  ])('that is %s behind the last checkpoint at a start stalls nothing, and gives no batch a time from before', async (_name, seconds) => {
    const feeder = new Feeder(60);
    await feeder.open();
    const first = await drive({ ...feeder.env, ...new WallClock().env });
    await feeder.give(20);
    // Two checkpoints of half a second each.
    await sleep(1200);
    const { times: before } = await end(first, 'SIGKILL');
    const beganMs = performance.now();
    const back = await drive({ ...feeder.env, ...new WallClock(-seconds).env });
    await feeder.give(20);
    await sleep(1000);
    const { times: behind, awaySeconds } = await end(back, 'SIGKILL');
    expect(awaySeconds).toBeGreaterThan(seconds - 60);
    expectAllIntervals(behind.slice(-5), performance.now() - 500);
    expect(behind.length).toBeGreaterThan((performance.now() - beganMs) / INTERVAL_MS / 3);
    const right = await drive({ ...feeder.env, ...new WallClock().env });
    await feeder.give(20);
    const { times: after } = await end(right, 'SIGTERM');
    const last = before.at(-1) ?? 0;
    // The batch that was running when the first driver died may be the first of the second.
    expect((behind[0] ?? 0) - last).toBeLessThanOrEqual(2 * INTERVAL_MS);
    const all = [...before, ...behind, ...after];
    expect(all.toSorted((left, right) => left - right)).toEqual(all);
    expect(await place.rows()).toEqual(feeder.counts());
  });
  beforeEach((context) => {
    requireTools(context, ['faketime']);
  });
});

describe('a driver', () => {
  it('that is stopped for three seconds runs the intervals of that time in turn, and every line counts once', async () => {
    const feeder = new Feeder(60);
    await feeder.open();
    const beganMs = performance.now();
    const driver = await drive(feeder.env);
    await feeder.give(20);
    driver.process.kill('SIGSTOP');
    const given = feeder.give(20);
    await sleep(3000);
    driver.process.kill('SIGCONT');
    await given;
    await feeder.give(20);
    await sleep(1000);
    const { times } = await end(driver, 'SIGTERM');
    expectAllIntervals(times, beganMs);
    expect(await place.rows()).toEqual(feeder.counts());
  });
  it("that was dead for two seconds runs each missed interval with missedBatches 'run', and none without", async () => {
    const feeder = new Feeder(60);
    await feeder.open();
    const env = { ...feeder.env, MISSED: 'run' };
    const first = await drive(env);
    await feeder.give(20);
    await sleep(300);
    const { times: before } = await end(first, 'SIGKILL');
    await sleep(2000);
    const second = await drive(env);
    await feeder.give(20);
    await sleep(1000);
    const { times: made } = await end(second, 'SIGKILL');
    await sleep(2000);
    const third = await drive(feeder.env);
    await feeder.give(20);
    const { times: skipped } = await end(third, 'SIGTERM');
    const gap = (left: readonly number[], right: readonly number[]) =>
      (right.find((time) => time > (left.at(-1) ?? 0) + INTERVAL_MS) ?? 0) - (left.at(-1) ?? 0);
    expect(steps(made)).toEqual([INTERVAL_MS]);
    expect(gap(before, made)).toBeLessThanOrEqual(2 * INTERVAL_MS);
    expect(gap(made, skipped)).toBeGreaterThanOrEqual(2000);
    expect(await place.rows()).toEqual(feeder.counts());
  });
});
