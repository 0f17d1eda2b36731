// Goal: the command `millrace` on stores that real programs made: exit codes, nothing changed, and a repaired store that its program goes on with. Method: the built command in processes.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { feed, Workplace } from '../../support/processes.ts';

const MAIN = join(import.meta.dirname, '../../../dist/cli/main.js');
const LINES = ['to', 'be', 'or', 'not', 'to', 'be'];
const COUNTS = { to: 2, be: 2, or: 1, not: 1 };

let place: Workplace;

beforeEach(() => {
  place = new Workplace();
});
afterEach(() => place.close());

interface DumpedRecord {
  readonly lsn: number;
  readonly segment: number;
  readonly offset: number;
  readonly bytes: number;
  readonly kind: string;
}

function millrace(...words: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...words], { encoding: 'utf8' });
  return { code: status, out: stdout, err: stderr };
}

function dump(): readonly DumpedRecord[] {
  const { out } = millrace('wal', 'dump', place.store, '--json');
  return out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as DumpedRecord);
}

/** Every file and directory below the store, with its bytes and the time of its last change. */
function contentOf(directory: string): Readonly<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const name of ['', ...readdirSync(directory, { recursive: true, encoding: 'utf8' })]) {
    const path = join(directory, name);
    const stats = lstatSync(path, { bigint: true });
    found[name] = `${stats.mtimeNs} ${stats.isFile() ? createHash('sha256').update(readFileSync(path)).digest('hex') : 'directory'}`;
  }
  return found;
}

/** Runs a command that may change nothing. */
function unchanged(...words: readonly string[]) {
  const before = contentOf(place.root);
  const ran = millrace(...words);
  expect(contentOf(place.root)).toEqual(before);
  return ran;
}

function segmentPath(segment: number): string {
  return join(place.store, 'journal', `${String(segment).padStart(16, '0')}.wal`);
}

/** Damages the payload of a record. */
function damage({ segment, offset, bytes }: DumpedRecord): void {
  const log = readFileSync(segmentPath(segment));
  log[offset + bytes - 10] = (log[offset + bytes - 10] ?? 0) ^ 1;
  writeFileSync(segmentPath(segment), log);
}

function newestSegment(): number {
  return Math.max(...readdirSync(join(place.store, 'journal')).map((name) => Number(/^(\d{16})\.wal$/.exec(name)?.[1] ?? 0)));
}

/** Runs the program until it has all the lines, and ends it; or until it ends by itself. */
async function runProgram(lines: readonly string[], end: 'SIGTERM' | 'SIGKILL' | 'itself', env: Readonly<Record<string, string>> = {}) {
  let resolveDone: () => void = () => undefined;
  const done = new Promise<void>((resolve) => (resolveDone = resolve));
  const server = await place.serve(feed(lines, (request) => (request === `ack ${lines.length}` || request === `from ${lines.length}`) && resolveDone()));
  const driver = place.start({ PORT: server.port, ACKNOWLEDGED: '1', ...env });
  if (end !== 'itself') {
    await driver.logged('streaming context started');
    await done;
    driver.process.kill(end);
  }
  return driver.ended;
}

describe('fsck', () => {
  it('of a store that was stopped ends with 0 and changes nothing', async () => {
    expect(await runProgram(LINES, 'SIGTERM')).toMatchObject({ code: 0 });
    const { code, out, err } = unchanged('fsck', place.store);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(/application "program", epoch 1\n.*\nrecords {5}\d+, lsn 1 to \d+\nevents .*\nverdict {5}clean\n$/);
    expect(unchanged('fsck', place.store, '--json').code).toBe(0);
  });
  it('of a store whose program was killed ends with 0, with torn bytes at its end with 1', async () => {
    await runProgram(LINES, 'SIGKILL');
    expect([0, 1]).toContain(unchanged('fsck', place.store).code);
    appendFileSync(segmentPath(newestSegment()), Buffer.alloc(100, 0xaa));
    const { code, out } = unchanged('fsck', place.store);
    expect({ code, says: out.includes('harmless') }).toEqual({ code: 1, says: true });
    await runProgram(LINES, 'SIGTERM');
    expect(await place.rows()).toEqual(COUNTS);
    expect(millrace('fsck', place.store).code).toBe(0);
  });
  it('of a damaged log and of a missing identity ends with 2, of another format with 3', async () => {
    await runProgram(LINES, 'SIGTERM');
    const identity = join(place.store, 'identity');
    const text = readFileSync(identity, 'utf8');
    writeFileSync(identity, text.replace('"format": 1', '"format": 2'));
    expect(unchanged('fsck', place.store).code).toBe(3);
    rmSync(identity);
    expect(unchanged('fsck', place.store)).toMatchObject({ code: 2, err: expect.stringContaining('STREAM_IDENTITY') as string });
    writeFileSync(identity, text);
    const block = dump().find(({ kind }) => kind === 'block-added');
    if (block === undefined) throw new Error('a block was received');
    damage(block);
    const { code, out } = unchanged('fsck', place.store, '--json');
    expect({ code, told: JSON.parse(out) as unknown }).toMatchObject({
      code: 2,
      told: { verdict: 'corrupt', damage: { lsn: block.lsn, offset: block.offset } },
    });
  });
  it('beside a driver ends with 4 and leaves the driver alone', async () => {
    const server = await place.serve(feed(LINES));
    const driver = place.start({ PORT: server.port, ACKNOWLEDGED: '1' });
    await driver.logged('streaming context started');
    for (const words of [
      ['fsck', place.store],
      ['wal', 'dump', place.store],
      ['wal', 'repair', place.store, '--truncate-at', '1', '--i-accept-loss'],
    ]) {
      const { code, err } = millrace(...words);
      expect({ code, names: err.includes(`process ${String(driver.process.pid)}`) }).toEqual({ code: 4, names: true });
    }
    driver.process.kill('SIGTERM');
    expect(await driver.ended).toMatchObject({ code: 0 });
  });
  it('of nothing ends with 64, of a directory without a store with 0', () => {
    expect(millrace('fsck', join(place.root, 'nowhere'))).toMatchObject({ code: 64, out: '', err: expect.stringContaining('STREAM_DIRECTORY') as string });
    expect(millrace('fsck', join(MAIN, 'below'))).toMatchObject({ code: 64, err: expect.stringContaining('STREAM_DIRECTORY') as string });
    for (const words of [[], ['mend'], ['fsck'], ['fsck', place.root, '--fix']]) expect(millrace(...words).code).toBe(64);
    mkdirSync(place.store);
    expect(unchanged('fsck', place.store)).toMatchObject({ code: 0, out: expect.stringContaining('No store was ever made') as string });
  });
  it('runs as a command of its own, also when nobody reads to the end', async () => {
    await runProgram(LINES, 'SIGTERM');
    expect(spawnSync(MAIN, ['fsck', place.store]).status).toBe(0);
    const { status, stderr } = spawnSync('bash', ['-c', `set -o pipefail; ${MAIN} wal dump ${place.store} | true`], { encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });
});

describe('plan', () => {
  const PROGRAM = join(import.meta.dirname, '../../support/word-program.mjs');

  /** Runs `plan` with the program; `env` says which variant of it. */
  function plan(env: Readonly<Record<string, string>>, ...words: readonly string[]) {
    const before = contentOf(join(place.store, 'journal'));
    const { status, stdout } = spawnSync(process.execPath, [MAIN, 'plan', PROGRAM, place.store, '--json', ...words], {
      encoding: 'utf8',
      env: { ...process.env, TABLE: place.table, ...env },
    });
    expect(contentOf(join(place.store, 'journal'))).toEqual(before);
    return { code: status, told: JSON.parse(stdout) as { readonly verdict: string; readonly needed: object } };
  }

  it('prints the consents that a start asks for, and the start goes on with them', async () => {
    expect(await runProgram(LINES, 'SIGTERM')).toMatchObject({ code: 0 });
    expect(plan({})).toMatchObject({ code: 0, told: { verdict: 'unchanged', needed: {} } });
    const other = { VARIANT: 'other-graph' };
    const { code, told } = plan(other);
    expect({ code, told }).toMatchObject({ code: 64, told: { verdict: 'consent', needed: { dropState: ['counts'] } } });
    expect(plan(other, '--accept', 'drop-state=counts').code).toBe(0);
    expect(await runProgram(LINES, 'itself', other)).toMatchObject({ code: 64, log: expect.stringContaining('STREAM_GRAPH_CHANGED') as string });
    expect(await runProgram(['to'], 'SIGTERM', { ...other, ACCEPT: JSON.stringify(told.needed) })).toMatchObject({ code: 0 });
    expect(await place.rows()).toEqual({ ...COUNTS, to: 1 });
  });
  it('sees what drain brings to an end', async () => {
    await runProgram(LINES, 'SIGKILL', { CHECKPOINT_MS: '3600000' });
    expect(await runProgram([], 'itself', { DRAIN: '1' })).toMatchObject({ code: 0 });
    expect(plan({})).toMatchObject({ code: 0, told: { verdict: 'unchanged', again: [] } });
    expect(await place.rows()).toEqual(COUNTS);
  });
});

describe('wal dump', () => {
  it('prints every record as an object', async () => {
    await runProgram(LINES, 'SIGTERM');
    expect(unchanged('wal', 'dump', place.store).code).toBe(0);
    const records = dump();
    expect(records.map(({ lsn }) => lsn)).toEqual(records.map((_record, index) => index + 1));
    expect(new Set(records.map(({ kind }) => kind))).toEqual(new Set(['opened', 'block-added', 'batch-planned', 'batch-completed', 'checkpoint', 'closed']));
  });
});

describe('wal repair', () => {
  /** A store whose last block is damaged: no batch with it was completed, and no checkpoint comes behind it. */
  async function damagedStore(): Promise<DumpedRecord> {
    await runProgram(LINES, 'SIGTERM');
    const end = dump().length;
    expect(await runProgram([...LINES, 'boom'], 'itself', { VARIANT: 'throws', CHECKPOINT_MS: '3600000' })).toMatchObject({ code: 1 });
    const block = dump().find(({ lsn, kind }) => lsn > end && kind === 'block-added');
    if (block === undefined) throw new Error('the block of "boom" was received');
    damage(block);
    return block;
  }

  it('changes nothing without consent, and says what it would give up', async () => {
    const block = await damagedStore();
    const { code, out } = unchanged('wal', 'repair', place.store);
    expect(code).toBe(2);
    expect(out).toContain(`unreadable  record ${block.lsn}\n`);
    expect(out).toMatch(/batch-planned batchTime=\d+\n/);
    expect(out).toContain(`--truncate-at ${block.lsn} --i-accept-loss`);
    expect(unchanged('wal', 'repair', place.store, '--truncate-at', String(block.lsn), '--json')).toMatchObject({ code: 2 });
    expect(unchanged('wal', 'repair', place.store, '--truncate-at', String(block.lsn + 1)).code).toBe(64);
  });
  it('with consent cuts the log and keeps the bytes; the program starts again and counts what is left, and what is sent again', async () => {
    const block = await damagedStore();
    const before = new Map(readdirSync(join(place.store, 'journal')).map((name) => [name, readFileSync(join(place.store, 'journal', name))]));
    expect(await runProgram(LINES, 'itself')).toMatchObject({ code: 78 });
    const repair = ['wal', 'repair', place.store, '--truncate-at', String(block.lsn), '--i-accept-loss'];
    const { code, out } = millrace(...repair);
    expect({ code, isClean: out.includes('result      clean') }).toEqual({ code: 0, isClean: true });
    const copies = readdirSync(join(place.store, 'journal')).filter((name) => name.includes('.broken-'));
    expect(copies.length).toBeGreaterThan(0);
    for (const copy of copies) {
      const original = before.get(copy.replace(/\.broken-\d+$/, ''));
      expect(original?.equals(readFileSync(join(place.store, 'journal', copy)))).toBe(true);
    }
    expect(millrace(...repair).code).toBe(0);
    expect(millrace('fsck', place.store).code).toBe(0);
    expect(dump()).toHaveLength(block.lsn - 1);
    expect(await runProgram(LINES, 'SIGTERM')).toMatchObject({ code: 0 });
    expect(await place.rows()).toEqual(COUNTS);
    expect(await runProgram([...LINES, 'boom'], 'SIGTERM')).toMatchObject({ code: 0 });
    expect(await place.rows()).toEqual({ ...COUNTS, boom: 1 });
    expect(millrace('fsck', place.store).code).toBe(0);
  });
  it('refuses a cut that a checkpoint would be ahead of, names the number that is allowed, and leaves the log as it was', async () => {
    await runProgram(LINES, 'SIGTERM');
    const log = contentOf(join(place.store, 'journal'));
    const { code, err } = millrace('wal', 'repair', place.store, '--truncate-at', '2', '--i-accept-loss');
    const allowed = /the smallest number that is allowed is (\d+)/.exec(err)?.[1] ?? '';
    expect({ code, isNamed: allowed !== '' }).toEqual({ code: 2, isNamed: true });
    expect(contentOf(join(place.store, 'journal'))).toEqual(log);
    expect(millrace('wal', 'repair', place.store, '--truncate-at', allowed, '--i-accept-loss').code).toBe(0);
    expect(await runProgram(LINES, 'SIGTERM')).toMatchObject({ code: 0 });
    expect(await place.rows()).toEqual(COUNTS);
  });
});
