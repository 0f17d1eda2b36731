// Goal: verify names what a sink lost, holds twice, or holds of somebody else, and nothing else. Method: a program in the simulated world with a table and a file sink, stopped or killed; then what they hold is changed.
import { describe, expect, it } from 'vitest';
import { run } from '../../../src/cli/run.ts';
import type { CheckpointStore } from '../../../src/checkpoint/checkpoint-store.ts';
import { sha256Hex } from '../../../src/core/checksum.ts';
import { toBatchTime } from '../../../src/core/time.ts';
import type { Env } from '../../../src/env/env.ts';
import { milliseconds, StreamingContext, type Sink } from '../../../src/index.ts';
import type { LoggedEvent } from '../../../src/journal/apply-event.ts';
import { emptyLedger } from '../../../src/journal/ledger.ts';
import { checkRows, knownCommits } from '../../../src/recovery/verify-sink.ts';
import { createFileSink } from '../../../src/sinks/file-sink.ts';
import type { LedgerRow } from '../../../src/sinks/sink.ts';
import { createSimFileSystem, createSimSink, ScriptedSource, SimTable } from '../../../src/testing/index.ts';
import { EVENTS } from '../../support/test-store.ts';
import { World } from '../../support/world.ts';

const RECORDS = '/out/_millrace/words/files/manifest';

/** A store that a program left, and the tool on it. */
class Bench extends World {
  readonly table = new SimTable<string>();
  readonly source = new ScriptedSource<string>({ records: ['a', 'b', 'c', 'd', 'e', 'f'], window: 1 });

  program({ sinks = ['table', 'files'], app = 'words' }: { readonly sinks?: readonly string[]; readonly app?: string } = {}): StreamingContext {
    const context = new StreamingContext({ appName: app, batchInterval: milliseconds(20), blockInterval: milliseconds(20), ballastBytes: 0 });
    const words = context.receiverStream(this.source.receiver(this.process), { uid: 'source' }).repartition(1, { uid: 'one' });
    const made: Record<string, () => Sink<string>> = {
      table: () => createSimSink(this.table, this.process),
      files: () => createFileSink<string>(createSimFileSystem(this.disk, this.process), { directory: '/out', format: 'text' }),
      plain: () => ({ ...createSimSink(new SimTable<string>(), this.process), guarantee: 'at-least-once' }),
    };
    for (const uid of sinks) {
      const sink = made[uid]?.();
      if (sink !== undefined) words.saveTo(sink, { uid });
    }
    return context;
  }

  async left(end: 'stopped' | 'killed'): Promise<this> {
    const context = await StreamingContext.getOrCreate('/store', () => this.program(), this.options());
    context.awaitTermination().catch(() => undefined);
    await this.drive(context.start());
    await this.pass(450);
    if (end === 'stopped') await this.drive(context.stop());
    this.die();
    return this;
  }

  files(): readonly string[] {
    return this.disk.list('/out').filter((name) => name.startsWith('part-'));
  }

  async change(path: string, bytes: Uint8Array | undefined): Promise<void> {
    const files = createSimFileSystem(this.disk, this.process);
    if (await files.stat(path)) await files.remove(path);
    if (bytes === undefined) return;
    const handle = await files.open(path, 'create');
    handle.write([bytes], 0);
    await handle.close();
  }

  async verify(program: () => unknown = () => this.program(), ...words: readonly string[]) {
    const out: string[] = [];
    const err: string[] = [];
    const { env, checkpointStore } = this.options() as { env: Env; checkpointStore: (directory: string) => CheckpointStore };
    const tool = {
      env,
      createStore: checkpointStore,
      load: () => Promise.resolve({ default: program }),
      out: (line: string) => out.push(line),
      err: (line: string) => err.push(line),
    };
    const journal = this.disk.list('/store').includes('journal') ? this.disk.list('/store/journal').map((name) => `journal/${name}`) : [];
    const held = (): string => JSON.stringify([...this.table.ledger, ...journal.map((name) => this.disk.readVolatile(`/store/${name}`).toString('base64'))]);
    const before = held();
    const code = await run(['verify', './app.js', '/store', ...words], tool);
    this.die();
    if (held() !== before) throw new Error('verify changed something');
    return { code, out: out.join('\n'), err: err.join('\n') };
  }
}

describe('verify', () => {
  it.each(['stopped', 'killed'] as const)('finds nothing in what a program left that was %s', async (end) => {
    const bench = await new Bench().left(end);
    const { code, out, err } = await bench.verify();
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(/^sink {8}"table": [1-9]\d* commits known, 1 partitions hold their last one, 0 hold one of the batch that is not complete$/m);
    expect(out).toMatch(/^data {8}not compared: rows of this sink do not tell which batch they are of$/m);
    expect(out).toMatch(new RegExp(`^data {8}${bench.files().length} commits compared with their data, 0 taken away by readers$`, 'm'));
    expect(out).toMatch(/^verdict {5}the sinks hold what the store says$/m);
  });
  it('names rows that are gone, and rows of another plan', async () => {
    const bench = await new Bench().left('stopped');
    const rows = bench.table.ledger.get('["words","table"]');
    const row = rows?.get(0) as LedgerRow;
    rows?.set(0, { ...row, planId: 'x' });
    expect(await bench.verify()).toMatchObject({ code: 2, out: expect.stringMatching(/^foreign {5}partition 0: its row is of batch \d+, plan x/m) as string });
    rows?.delete(0);
    expect(await bench.verify()).toMatchObject({ code: 2, out: expect.stringMatching(/^missing {5}partition 0: its row is missing/m) as string });
  });
  it('names files that changed, are there twice, or are of nobody, and counts those that a reader took', async () => {
    const bench = await new Bench().left('stopped');
    const [first = '', second = '', third = ''] = bench.files();
    await bench.change(`/out/${first}`, Buffer.from('x\n'));
    await bench.change(`/out/${second.replace('.txt', '.ndjson')}`, Buffer.from('"b"\n'));
    await bench.change('/out/part-7-0.txt', Buffer.from('z\n'));
    await bench.change(`/out/${third}`, undefined);
    const { code, out } = await bench.verify();
    expect(code).toBe(2);
    expect(out.split('\n').filter((line) => /^(damaged|doubled|foreign|missing)/.test(line))).toEqual([
      expect.stringMatching(new RegExp(`^damaged {5}${first} must have \\d bytes and a SHA-256 of `)),
      expect.stringMatching(/^doubled {5}part-\d+-0 must be one file: part-\d+-0.ndjson and part-\d+-0.txt are there$/),
      expect.stringMatching(/^damaged {5}part-\d+-0.ndjson must have/),
      'foreign     part-7-0.txt is there, and neither a record nor the log names a commit of it',
    ]);
    expect(out).toMatch(new RegExp(`^data {8}${bench.files().length - 1 - 1} commits compared with their data, 1 taken away by readers$`, 'm'));
  });
  it('compares a file with the log where its record is gone, and a record with the log', async () => {
    const bench = await new Bench().left('stopped');
    const [first = '', second = ''] = bench.files();
    await bench.change(`${RECORDS}/${first.replace('.txt', '.json')}`, undefined);
    expect(await bench.verify()).toMatchObject({ code: 0 });
    await bench.change(`/out/${first}`, Buffer.from('x\n'));
    const path = `${RECORDS}/${second.replace('.txt', '.json')}`;
    const [line = ''] = bench.disk.readVolatile(path).toString().split('\n');
    const other = line.replace(/"planId":"\w+"/, '"planId":"y"');
    await bench.change(path, Buffer.from(`${other}\n${sha256Hex(other)}\n`));
    const { code, out } = await bench.verify();
    expect(code).toBe(2);
    expect(out).toMatch(new RegExp(`^damaged {5}${first} must have a SHA-256 of `, 'm'));
    expect(out).toMatch(/^foreign {5}the record of part-\d+-0 must be of plan \w+ with the fingerprint \w+: it is of plan y/m);
    await bench.change(path, Buffer.from('half a record'));
    expect((await bench.verify()).out).toMatch(/^damaged {5}Cannot read .* as it must be a whole record of a file sink/m);
  });
  it('says which sinks it could not ask, and which have nothing to compare', async () => {
    const bench = await new Bench().left('stopped');
    const { code, out } = await bench.verify(() => bench.program({ sinks: ['files', 'plain'] }), '--json');
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      exitCode: 0,
      unknown: ['table'],
      sinks: [{ sink: 'files', rows: { findings: [] }, data: { findings: [], taken: 0 } }, { sink: 'plain' }],
    });
    const lines = (await bench.verify(() => bench.program({ sinks: ['plain'] }))).out;
    expect(lines).toMatch(/^sink {8}"plain": it has no ledger to compare$/m);
    expect(lines).toMatch(/^unknown {5}"files" committed, and is not in the program: it was not asked$/m);
  });
  it('refuses a program of another application, a module that makes none, and says where there is no store', async () => {
    const bench = await new Bench().left('stopped');
    expect(await bench.verify(() => bench.program({ app: 'other' }))).toMatchObject({ code: 64, err: expect.stringContaining('STREAM_IDENTITY') as string });
    expect(await bench.verify(() => 7)).toMatchObject({ code: 64, err: expect.stringContaining('Cannot verify with "./app.js"') as string });
    const empty = new Bench();
    await createSimFileSystem(empty.disk, empty.process).makeDirectory('/store');
    expect(await empty.verify()).toMatchObject({ code: 0, out: expect.stringContaining('No store was ever made') as string });
  });
});

describe('checkRows()', () => {
  const identity = { storeId: 's', epoch: 5 };
  const row = (batchTime: number): LedgerRow => ({ batchTime: toBatchTime(batchTime), planId: `p${batchTime}`, epoch: 1, fingerprint: 'f', rows: 1 });
  const ledger = { ...emptyLedger(), expected: new Map([['t', new Map([[0, { batchTime: toBatchTime(100), planId: 'p100', fingerprint: 'f' }]])]]) };
  const fence = (epoch: number, storeId = 's') => ({ epoch, storeId, incarnation: 'i' });
  it.each([
    ['the last commit', { fence: fence(5), rows: new Map([[0, row(100)]]) }, []],
    ['no fence', { rows: new Map([[0, row(100)]]) }, []],
    ['a fence of another store', { fence: fence(5, 'x'), rows: new Map([[0, row(100)]]) }, ['foreign']],
    ['a fence of a later epoch', { fence: fence(6), rows: new Map([[0, row(100)]]) }, ['foreign']],
    ['nothing', { rows: new Map<number, LedgerRow>() }, ['missing']],
    ['an older row', { rows: new Map([[0, row(50)]]) }, ['missing']],
    ['a newer row, and one of a partition that never committed', { rows: new Map([0, 1].map((partition) => [partition, row(200)])) }, ['foreign', 'foreign']],
  ])('%s', (_name, view, kinds) => expect(checkRows(view, ledger, { sink: 't', identity }).findings.map(({ kind }) => kind)).toEqual(kinds));
});

describe('knownCommits()', () => {
  it('are those of complete batches whose plan is in the log, and the last one of each partition', () => {
    const completed = (batchTime: number) => ({ ...EVENTS.completed(batchTime), written: new Map([['t', new Map([[0, `f${batchTime}`]])]]) });
    const events = [EVENTS.planned(300), completed(300), EVENTS.planned(400), completed(400), completed(200), EVENTS.planned(500)].map(
      (event): LoggedEvent => ({ event, position: { lsn: 1, segment: 1, offset: 0, frameBytes: 0 } }) as unknown as LoggedEvent,
    );
    const expected = new Map([['t', new Map([[1, { batchTime: toBatchTime(100), planId: 'p100', fingerprint: 'f' }]])]]);
    expect(knownCommits(events, { ...emptyLedger(), expected }, 't').map(({ batchTime, partitionId, planId }) => [batchTime, partitionId, planId])).toEqual([
      [100, 1, 'p100'],
      [300, 0, 'plan-300'],
      [400, 0, 'plan-400'],
    ]);
  });
});
