// Goal: a start that cannot replace `identity` changes nothing, and a driver whose `identity` was replaced answers nobody any more. Method: the built package in a process of its own, under
// strace where a call must fail; `identity` replaced by hand as another driver does.
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Injector, releaseAll, requireTools } from '../../../support/faults.ts';
import { until, Workplace } from '../../../support/processes.ts';

const PROGRAM = join(import.meta.dirname, '../../../support/program.mjs');
let place: Workplace;

beforeEach(() => {
  place = new Workplace();
});
afterEach(async () => {
  await place.close();
  releaseAll();
});

it.for(['EIO', 'ENOSPC'])('a rename that fails with %s ends the start with 74, and the next one goes on', async (code, context) => {
  requireTools(context, ['tracing']);
  const idle = await place.serve(() => undefined);
  const env = { PORT: idle.port, UV_THREADPOOL_SIZE: '1' }; // strace counts for each thread
  async function startAndStop(wrapper: readonly string[] = [process.execPath]): Promise<void> {
    const driver = place.start(env, [...wrapper, PROGRAM]);
    await driver.logged('streaming context started');
    const [, pid] = /^process (\d+)/.exec(readFileSync(join(place.store, 'lock'), 'utf8')) ?? [];
    process.kill(Number(pid), 'SIGTERM'); // strace, if it is there, ends with it
    expect(await driver.ended).toMatchObject({ code: 0 });
  }
  await startAndStop();
  const watched = new Injector({ calls: 'rename', fault: 'delay_enter=1', when: '1+' });
  await startAndStop([...watched.wrapper, process.execPath]);
  const renames = watched.lines().filter((line) => line.includes('rename('));
  const identity = renames.findIndex((line) => line.includes('/identity"'));
  const before = readFileSync(join(place.store, 'identity'), 'utf8');

  const failing = new Injector({ calls: 'rename', fault: `error=${code}`, when: String(identity + 1) });
  const failed = await place.start(env, [...failing.wrapper, process.execPath, PROGRAM]).ended;
  expect({ code: failed.code, names: failed.log.includes(code) }).toEqual({ code: 74, names: true });
  expect(readFileSync(join(place.store, 'identity'), 'utf8')).toBe(before);
  await startAndStop();
});

it('an identity that was replaced ends the driver with 73, and nothing is acknowledged behind it', async () => {
  const requests: string[] = [];
  let socket: Socket | undefined;
  const server = await place.serve((connected) => {
    socket = connected;
    connected.write('millrace-lines 1 text 2\n');
    createInterface({ input: connected })
      .on('line', (request) => {
        requests.push(request);
        if (request === 'from 0') connected.write('0 first\n');
      })
      .on('error', () => connected.destroy());
  });
  const driver = place.start({ PORT: server.port, ACKNOWLEDGED: '1' });
  await until(() => requests.includes('ack 1'), 'the first line is acknowledged');
  const identity = join(place.store, 'identity');
  writeFileSync(`${identity}.other`, readFileSync(identity));
  renameSync(`${identity}.other`, identity);
  socket?.write('1 second\n');
  const ended = await driver.ended;
  expect({ code: ended.code, names: ended.log.includes('STREAM_FENCED') }).toEqual({ code: 73, names: true });
  expect(requests).toEqual(['from 0', 'ack 1']);
});
