// Goal: exit codes, signals, sockets and bad input as a user's process manager and a user's feeder see them. Method: the built package in processes of its own.
import { once } from 'node:events';
import { readFileSync, writeFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { feed, until, Workplace } from '../../support/processes.ts';

const LINES = ['to', 'be', 'or', 'not', 'to', 'be'];
const COUNTS = { to: 2, be: 2, or: 1, not: 1 };

let place: Workplace;

beforeEach(() => {
  place = new Workplace();
});
afterEach(async () => {
  await place.close();
});

/** Serves acknowledged lines; resolves `done` when all are acknowledged. */
async function feeder(lines: readonly string[]) {
  let resolveDone: () => void = () => undefined;
  const done = new Promise<void>((resolve) => (resolveDone = resolve));
  const requests: string[] = [];
  const server = await place.serve(
    feed(lines, (request) => {
      requests.push(request);
      if (request === `ack ${lines.length}` || request === `from ${lines.length}`) resolveDone();
    }),
  );
  return { env: { PORT: server.port, ACKNOWLEDGED: '1' }, done, requests };
}

describe('a driver', () => {
  it('ends with 0 after SIGTERM, everything acknowledged counted', async () => {
    const { env, done } = await feeder(LINES);
    const driver = place.start(env);
    await done;
    driver.process.kill('SIGTERM');
    expect(await driver.ended).toMatchObject({ code: 0 });
    expect(await place.rows()).toEqual(COUNTS);
  });
  it('ends at once at a second signal, and nothing is lost', async () => {
    const { env, done } = await feeder(LINES);
    const driver = place.start(env);
    await done;
    driver.process.kill('SIGTERM');
    driver.process.kill('SIGINT');
    expect([0, 1]).toContain((await driver.ended).code);
    const next = place.start(env);
    await next.logged('streaming context started');
    next.process.kill('SIGTERM');
    expect(await next.ended).toMatchObject({ code: 0 });
    expect(await place.rows()).toEqual(COUNTS);
  });
  it('is refused with 73 while another has the directory; the first goes on', async () => {
    const { env, done } = await feeder(LINES);
    const first = place.start(env);
    await first.logged('streaming context started');
    const second = await place.start(env).ended;
    expect(second.code).toBe(73);
    expect(second.log).toContain('STREAM_LOCKED');
    expect(second.log).toContain(`process ${String(first.process.pid)}`);
    await done;
    first.process.kill('SIGTERM');
    expect(await first.ended).toMatchObject({ code: 0 });
  });
  it.each([
    ['other-app', 64, 'STREAM_IDENTITY'],
    ['other-graph', 64, 'STREAM_GRAPH_CHANGED'],
  ])('that is %s ends with %i and leaves the store as it was', async (variant, code, name) => {
    const { env, done } = await feeder(LINES);
    const first = place.start(env);
    await done;
    first.process.kill('SIGKILL');
    await first.ended;
    const other = await place.start({ ...env, VARIANT: variant }).ended;
    expect(other).toMatchObject({ code });
    expect(other.log).toContain(name);
    const again = place.start(env);
    await again.logged('streaming context started');
    again.process.kill('SIGTERM');
    await again.ended;
    expect(await place.rows()).toEqual(COUNTS);
  });
  it('with a function that throws ends with 1, and the mended program counts every line once', async () => {
    const { env, done } = await feeder([...LINES, 'boom']);
    const broken = await place.start({ ...env, VARIANT: 'throws' }).ended;
    expect(broken.code).toBe(1);
    expect(broken.log).toContain('the function does not like boom');
    const mended = place.start(env);
    await done;
    await mended.logged('streaming context started');
    mended.process.kill('SIGTERM');
    await mended.ended;
    expect(await place.rows()).toEqual({ ...COUNTS, boom: 1 });
  });
  it('ends with 64 on a directory that cannot be one', async () => {
    writeFileSync(join(place.root, 'file'), '');
    for (const directory of [join(place.root, 'file'), join(place.root, 'file', 'store')]) {
      const { code, log } = await place.start({ PORT: '1', DIRECTORY: directory }).ended;
      expect({ code, names: log.includes('STREAM_DIRECTORY') }).toEqual({ code: 64, names: true });
    }
  });
  it('ends with 64 on a directory it may not write, also as root', async () => {
    const { code, log } = await place.start({ PORT: '1', DIRECTORY: '/proc/millrace' }).ended;
    expect({ code, names: log.includes('STREAM_DIRECTORY') }).toEqual({ code: 64, names: true });
  });
  it('ends with 78 on a store of a newer format, and on a damaged log, and changes neither', async () => {
    const { env, done } = await feeder(LINES);
    const first = place.start(env);
    await done;
    first.process.kill('SIGKILL');
    await first.ended;
    const identity = join(place.store, 'identity');
    const log = join(place.store, 'journal', '0000000000000001.wal');
    for (const [path, damage, name] of [
      [identity, (text: Buffer) => Buffer.from(text.toString().replace('"format": 1', '"format": 2')), 'STREAM_CHECKPOINT_FORMAT'],
      [log, (bytes: Buffer) => Buffer.from(bytes).fill(0xff, 4200, 4210), 'STREAM_WAL_CORRUPT'],
    ] as const) {
      const whole = readFileSync(path);
      const damaged = damage(whole);
      writeFileSync(path, damaged);
      const refused = await place.start(env).ended;
      expect({ code: refused.code, names: refused.log.includes(name) }).toEqual({ code: 78, names: true });
      expect(readFileSync(path).equals(damaged)).toBe(true);
      writeFileSync(path, whole);
    }
    const again = place.start(env);
    await again.logged('streaming context started');
    again.process.kill('SIGTERM');
    await again.ended;
    expect(await place.rows()).toEqual(COUNTS);
  });
});

describe('a socket', () => {
  it('of plain lines is read, also after it was closed by the server', async () => {
    let connections = 0;
    const server = await place.serve((socket) => {
      connections += 1;
      socket.end(connections === 1 ? 'to be\r\nor\nnot' : 'to be\n');
    });
    const driver = place.start({ PORT: server.port });
    await until(() => connections >= 3, 'a third connection');
    await until(() => driver.logged('streaming context started').then(() => true), 'a start');
    driver.process.kill('SIGTERM');
    await driver.ended;
    const rows = await place.rows();
    expect(rows['or']).toBe(1);
    expect(rows['to be']).toBeGreaterThan(1);
    expect(rows['not']).toBeUndefined();
  });
  it.each([
    ['a line over the limit', Buffer.from(`${'x'.repeat(100_001)}\n`), 'STREAM_SOURCE_LINE_TOO_LONG'],
    ['invalid UTF-8', Buffer.from([0x61, 0xff, 10]), 'STREAM_SOURCE_NOT_UTF8'],
  ])('with %s ends the driver with 1; what came before is safe', async (_name, bytes, code) => {
    let isBad = true;
    const server = await place.serve((socket) => {
      socket.write('good\n');
      if (isBad) setTimeout(() => socket.write(bytes), 300);
    });
    const ended = await place.start({ PORT: server.port }).ended;
    expect({ code: ended.code, names: ended.log.includes(code) }).toEqual({ code: 1, names: true });
    isBad = false;
    const next = place.start({ PORT: server.port });
    await next.logged('streaming context started');
    next.process.kill('SIGTERM');
    await next.ended;
    expect((await place.rows())['good']).toBeGreaterThan(0);
  });
});

describe('acknowledged lines', () => {
  it('are sent again from where they are durable when the connection breaks, and count once', async () => {
    let connections = 0;
    const requests: string[] = [];
    const serveLines = feed(LINES, (request) => requests.push(request));
    const server = await place.serve((socket) => {
      connections += 1;
      serveLines(socket);
      if (connections < 4) setTimeout(() => socket.destroy(), 15 * connections);
    });
    const driver = place.start({ PORT: server.port, ACKNOWLEDGED: '1' });
    await until(() => requests.includes(`from ${LINES.length}`) || requests.includes(`ack ${LINES.length}`), 'the last acknowledgement');
    driver.process.kill('SIGTERM');
    await driver.ended;
    expect(await place.rows()).toEqual(COUNTS);
  });
  it.each([
    ['without a greeting', ['hello\n'], 'STREAM_SOURCE_PROTOCOL'],
    ['with a gap', ['millrace-lines 1 text 9\n0 a\n2 b\n'], 'STREAM_SOURCE_PROTOCOL'],
  ])('%s end the driver with 1, and the feeder is told why', async (_name, texts, code) => {
    let heard = '';
    const server = await place.serve((socket) => {
      socket.on('data', (chunk) => (heard += chunk.toString()));
      for (const text of texts) socket.write(text);
    });
    const ended = await place.start({ PORT: server.port, ACKNOWLEDGED: '1' }).ended;
    expect({ code: ended.code, names: ended.log.includes(code), isTold: heard.includes('error Cannot take lines of 127.0.0.1') }).toEqual({
      code: 1,
      names: true,
      isTold: true,
    });
  });
  it('of a text that is shorter than before end the driver with 1', async () => {
    const { env, done } = await feeder(LINES);
    const driver = place.start(env);
    await done;
    driver.process.kill('SIGKILL');
    await driver.ended;
    const shorter = await feeder(LINES.slice(0, 2));
    const ended = await place.start(shorter.env).ended;
    expect({ code: ended.code, names: ended.log.includes('STREAM_SOURCE_BEHIND') }).toEqual({ code: 1, names: true });
  });
});

it('leaves a table that others can read when it stands', async () => {
  mkdirSync(place.root, { recursive: true });
  const { env, done } = await feeder(LINES);
  const driver = place.start(env);
  await done;
  driver.process.kill('SIGTERM');
  await once(driver.process, 'close');
  expect(await place.rows()).toEqual(COUNTS);
});
