import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { graphFingerprint, type GraphDescriptor } from '../../../src/core/graph-descriptor.ts';
import { toBatchTime } from '../../../src/core/time.ts';
import { applyEvent, forgetBatches } from '../../../src/journal/apply-event.ts';
import { BlockCache } from '../../../src/journal/block-cache.ts';
import { decodeEvent, encodeEvent, EVENT_TYPES } from '../../../src/journal/event-codec.ts';
import type { BatchPlanned, BlockAdded, JournalEvent } from '../../../src/journal/events.ts';
import { newIdentity, readIdentity, writeIdentity, watchIdentity } from '../../../src/journal/identity.ts';
import { raiseEpoch } from '../../../src/journal/raise-epoch.ts';
import type { BlockDraft } from '../../../src/journal/journal.ts';
import { decodeLedger, emptyLedger, encodeLedger, type Ledger } from '../../../src/journal/ledger.ts';
import { lowWater, neededLsn } from '../../../src/journal/low-water.ts';
import { planBatch } from '../../../src/journal/plan-batch.ts';
import { createSimEnv, ManualClock, SeededRandom, SimDisk, SimProcess } from '../../../src/testing/index.ts';
import { journalOn, TestLog } from '../../support/test-log.ts';

const GRAPH: GraphDescriptor = {
  batchIntervalMs: 100,
  operators: [
    { uid: 'lines', isPositional: false, kind: 'socketTextStream', parents: [], codec: 'lines', isStateful: false },
    { uid: 'counts', isPositional: false, kind: 'updateStateByKey', parents: ['lines'], partitions: 2, codec: 'json-1', isStateful: true },
  ],
};
const time = toBatchTime;

function block(id: string, parts: Partial<BlockAdded> = {}): BlockAdded {
  return { kind: 'block-added', stream: 'lines', blockId: id, recordCount: 1, codec: 'lines', payload: [Buffer.from('a\n')], ...parts };
}

/** A block without a number. */
function draft(parts: Partial<BlockDraft> = {}): BlockDraft {
  return { stream: 'lines', recordCount: 1, codec: 'lines', payload: [Buffer.from('a\n')], ...parts };
}

function plan(batchTime: number, blocks: readonly string[], planId = `plan-${batchTime}`): BatchPlanned {
  return {
    kind: 'batch-planned',
    batchTime: time(batchTime),
    planId,
    inputs: new Map([['lines', { blocks }]]),
    outputs: new Map([['totals', 2]]),
    shuffles: new Map([['counts', 2]]),
    graphFingerprint: 'g',
    codeVersion: '0',
  };
}

function completed(batchTime: number, written: Record<number, string> = {}): JournalEvent {
  return {
    kind: 'batch-completed',
    batchTime: time(batchTime),
    written: new Map([['totals', new Map(Object.entries(written).map(([id, print]) => [Number(id), print]))]]),
    stateDigest: 'd',
  };
}

const opened = (epoch: number): JournalEvent => ({
  kind: 'opened',
  epoch,
  incarnation: 'i',
  storeId: 's',
  format: 1,
  app: 'a',
  codeVersion: '0',
  graph: GRAPH,
});

function fold(...events: readonly JournalEvent[]): Ledger {
  const ledger = emptyLedger();
  events.forEach((event, index) => applyEvent(ledger, { event, position: { lsn: index + 1, segment: 1, offset: index * 8, frameBytes: 8 } }));
  return ledger;
}

const RANGE = { partition: 'text', from: 0, until: 5 };
const EVENTS: readonly JournalEvent[] = [
  opened(1),
  block('1-1', { ranges: [RANGE], payload: [Buffer.from('a\nb\n')] }),
  plan(100, ['1-1']),
  completed(100, { 0: 'ff', 1: '00' }),
  { kind: 'checkpoint', number: 1, batchTime: time(100), lsn: 4, headHash: 'h' },
  { kind: 'closed' },
];

describe('events', () => {
  it.each(EVENTS.map((event) => [event.kind, event] as const))('%s is read as it was written', (_kind, event) => {
    const { type, payload } = encodeEvent(event);
    expect(decodeEvent(type, Buffer.concat(payload), 1)).toEqual(event);
  });
  it('have types that never change: they are on disk', () =>
    expect(EVENT_TYPES).toEqual({
      opened: 1,
      'block-added': 2,
      'batch-planned': 3,
      'batch-completed': 4,
      checkpoint: 5,
      closed: 6,
      'source-positioned': 7,
      forgotten: 8,
      'batch-replaced': 9,
    }));
  it('of an unknown type or version refuse to open, the version named', () => {
    const { payload } = encodeEvent({ kind: 'closed' });
    expect(() => decodeEvent(99, Buffer.concat(payload), 3)).toThrow(
      expect.objectContaining({ code: 'STREAM_JOURNAL_VERSION', message: expect.stringContaining('found type 99') }) as Error,
    );
    const newer = Buffer.from(Buffer.concat(payload).toString().replace('"v":1', '"v":2'));
    expect(() => decodeEvent(6, newer, 3)).toThrow(
      expect.objectContaining({ code: 'STREAM_JOURNAL_VERSION', message: expect.stringContaining('found version 2') }) as Error,
    );
  });
  it('that are no events are corruption, whatever the bytes', () =>
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.integer({ min: 1, max: 9 }), (bytes, type) => {
        expect(() => decodeEvent(type, bytes, 1)).toThrow(expect.objectContaining({ exitCode: 78 }) as Error);
      }),
    ));
});

describe('the fold', () => {
  it('keeps what waits, is planned, was received and must be in the sinks', () => {
    const ledger = fold(
      ...EVENTS,
      opened(2),
      block('2-1', { ranges: [{ ...RANGE, from: 5, until: 6 }] }),
      block('2-2', { stream: 'other' }),
      plan(200, ['2-1']),
    );
    expect(ledger.waiting.map(({ blockId }) => blockId)).toEqual(['2-2']);
    expect(ledger.batches.map(({ batchTime, completion }) => [batchTime, completion !== undefined])).toEqual([
      [100, true],
      [200, false],
    ]);
    expect(ledger.positions.get('lines')?.get('text')).toBe(6);
    expect(ledger.expected.get('totals')?.get(1)).toEqual({ batchTime: 100, planId: 'plan-100', fingerprint: '00' });
    expect(ledger.partitionsMax.get('totals')).toBe(2);
    forgetBatches(ledger, time(100));
    expect(ledger.batches.map(({ batchTime }) => batchTime)).toEqual([200]);
  });
  it('keeps the row of a partition that later batches left empty', () => {
    const ledger = fold(plan(100, []), completed(100, { 0: 'a', 1: 'b' }), plan(200, []), completed(200, { 0: 'c' }));
    expect([...(ledger.expected.get('totals') ?? [])].map(([id, row]) => [id, row.batchTime])).toEqual([
      [0, 200],
      [1, 100],
    ]);
  });
  it.each<readonly [string, readonly JournalEvent[]]>([
    ['a second plan for a batch time', [plan(100, []), completed(100), plan(100, [])]],
    ['a plan for an earlier batch time', [plan(200, []), plan(100, [])]],
    ['a block that is already there', [block('1-1'), block('1-1')]],
    ['a block of an older epoch', [block('2-1'), block('1-9')]],
    ['a plan with a block that does not wait', [plan(100, ['1-1'])]],
    ['a plan with a block of another stream', [block('1-1', { stream: 'other' }), plan(100, ['1-1'])]],
    ['a completion without a plan', [completed(100)]],
    ['a completion out of order', [plan(100, []), plan(200, []), completed(200)]],
    ['a second completion', [plan(100, []), completed(100), completed(100)]],
    ['a range that leaves a gap', [block('1-1', { ranges: [RANGE] }), block('1-2', { ranges: [{ ...RANGE, from: 6, until: 7 }] })]],
    ['a range that was received before', [block('1-1', { ranges: [RANGE] }), block('1-2', { ranges: [RANGE] })]],
    ['an epoch that does not grow', [opened(2), opened(2)]],
  ])('refuses %s', (_name, events) => expect(() => fold(...events)).toThrow(expect.objectContaining({ code: 'STREAM_JOURNAL_CORRUPT' }) as Error));
  it('refuses a record out of order', () => {
    expect(() => applyEvent(emptyLedger(), { event: opened(1), position: { lsn: 2, segment: 1, offset: 0, frameBytes: 8 } })).toThrow('it follows record 0');
  });
});

describe('ledgers', () => {
  it('are read as they were written', () => {
    const ledger = fold(...EVENTS, opened(2), block('2-1', { ranges: [{ ...RANGE, from: 5, until: 6 }] }), plan(200, ['2-1']));
    expect(decodeLedger(encodeLedger(ledger))).toEqual(ledger);
  });
});

describe('planBatch()', () => {
  it('takes all that waits, by stream and in order, and the counts that follow', () => {
    const ledger = fold(block('1-1'), block('1-2', { stream: 'b' }), block('1-3'));
    const planned = planBatch(ledger, {
      batchTime: time(100),
      planId: 'p',
      streams: ['lines', 'b', 'idle'],
      offers: new Map(),
      limits: { recordsMax: 1e9, bytesMax: 1e9 },
      filePartitions: () => 0,
      partitionsOf: (blocks) => ({ outputs: new Map([['copy', blocks.get('lines') ?? 0]]), shuffles: new Map() }),
      graphFingerprint: 'g',
      codeVersion: '0',
    });
    expect([...planned.inputs].map(([stream, { blocks }]) => [stream, ...blocks])).toEqual([['lines', '1-1', '1-3'], ['b', '1-2'], ['idle']]);
    expect(planned.outputs.get('copy')).toBe(2);
  });
});

describe('low water', () => {
  it('is the beginning until two checkpoints stand', () => expect([lowWater([]), lowWater([7]), lowWater([9, 4])]).toEqual([0, 0, 4]));
  it('keeps every block that waits or is in an unfinished plan', () => {
    expect(neededLsn(fold(block('1-1'), plan(100, ['1-1']), completed(100)))).toBe(3);
    expect(neededLsn(fold(block('1-1'), plan(100, ['1-1'])))).toBe(1);
    expect(neededLsn(fold(block('1-1'), block('1-2'), plan(100, ['1-1']), completed(100)))).toBe(2);
  });
});

describe('the block cache', () => {
  it('keeps no more than its limit', () => {
    const cache = new BlockCache(10);
    cache.put('1-1', [Buffer.alloc(6)]);
    cache.put('1-2', [Buffer.alloc(6)]);
    expect([cache.get('1-1')?.length, cache.get('1-2')]).toEqual([6, undefined]);
    cache.delete('1-1');
    cache.put('1-2', [Buffer.alloc(3), Buffer.alloc(3)]);
    expect(cache.get('1-2')?.length).toBe(6);
  });
});

describe('Journal', () => {
  it('reads a block from the log when it is not kept in memory', async () => {
    for (const cacheBytes of [0, 100]) {
      const log = new TestLog();
      const { journal } = await journalOn(log, { cacheBytes });
      await journal.appendBlock(draft({ payload: [Buffer.from('a\n'), Buffer.from('b\n')] }));
      const reads = log.process.names.filter((name) => name.startsWith('file.read')).length;
      const [waiting] = journal.ledger.waiting;
      expect(waiting === undefined ? '' : Buffer.from(await journal.readBlock(waiting)).toString()).toBe('a\nb\n');
      expect(log.process.names.filter((name) => name.startsWith('file.read')).length - reads).toBe(cacheBytes === 0 ? 1 : 0);
    }
  });
  it('refuses a block that does not continue what was appended, though it is not durable yet', async () => {
    const { journal } = await journalOn(new TestLog());
    const first = journal.appendBlock(draft({ ranges: [RANGE] }));
    await expect(journal.appendBlock(draft({ ranges: [RANGE] }))).rejects.toMatchObject({ code: 'STREAM_RECEIVER' });
    await first;
    expect(journal.ledger.waiting).toHaveLength(1);
  });
});

describe('the identity', () => {
  function simulated() {
    const disk = new SimDisk();
    return { disk, env: createSimEnv({ disk, process: new SimProcess(), clock: new ManualClock(0), random: new SeededRandom(1) }) };
  }
  it('is durable once it is raised', async () => {
    for (let seed = 0; seed < 20; seed++) {
      const { disk, env } = simulated();
      const first = newIdentity(env, 'app');
      await writeIdentity(env, '/', first);
      const raised = await raiseEpoch(env, '/', first);
      disk.cutPower(new SeededRandom(seed));
      expect(await readIdentity(env, '/', true)).toEqual(raised);
      expect(raised).toMatchObject({ epoch: 1, storeId: first.storeId });
    }
  });
  it('is watched: the driver that raised it last is the owner, and nobody else', async () => {
    const { env } = simulated();
    await writeIdentity(env, '/', newIdentity(env, 'app'));
    const read = async () => (await readIdentity(env, '/', true)) ?? newIdentity(env, 'none');
    const first = await raiseEpoch(env, '/', await read());
    const watch = await watchIdentity(env, '/', first);
    expect(watch.isOwner()).toBe(true);
    const second = await raiseEpoch(env, '/', await read());
    expect(watch.isOwner()).toBe(false);
    await expect(watchIdentity(env, '/', first)).rejects.toMatchObject({
      code: 'STREAM_FENCED',
      message: expect.stringContaining('another one of epoch 2') as string,
    });
    expect((await watchIdentity(env, '/', second)).isOwner()).toBe(true);
    await env.files.remove('/identity');
    expect(watch.isOwner()).toBe(false);
  });
  it('is raised above what another driver has made of it since it was read', async () => {
    const { env } = simulated();
    await writeIdentity(env, '/', newIdentity(env, 'app'));
    const readByBoth = (await readIdentity(env, '/', true)) ?? newIdentity(env, 'none');
    const second = await raiseEpoch(env, '/', readByBoth);
    const third = await raiseEpoch(env, '/', readByBoth);
    expect([second.epoch, third.epoch]).toEqual([1, 2]);
    expect(await readIdentity(env, '/', true)).toEqual(third);
  });
  it('is made once: another one replaces nothing', async () => {
    const { env } = simulated();
    const first = newIdentity(env, 'app');
    await writeIdentity(env, '/', first);
    await expect(writeIdentity(env, '/', newIdentity(env, 'app'))).rejects.toMatchObject({ code: 'STREAM_FENCED' });
    expect(await readIdentity(env, '/', true)).toEqual(first);
    expect(await env.files.list('/')).toEqual(['identity']);
  });
  it('is not raised where another store has taken the place', async () => {
    const { env } = simulated();
    const first = newIdentity(env, 'app');
    await writeIdentity(env, '/', newIdentity(env, 'app'));
    await expect(raiseEpoch(env, '/', first)).rejects.toMatchObject({ code: 'STREAM_FENCED' });
    expect((await readIdentity(env, '/', true))?.epoch).toBe(0);
  });
  it('refuses damage, and a newer format by its number', async () => {
    const { disk, env } = simulated();
    await writeIdentity(env, '/', newIdentity(env, 'app'));
    const text = disk.readVolatile('/identity').toString();
    for (const [other, code] of [
      [text.replace('"epoch": 0', '"epoch": 1'), 'STREAM_IDENTITY'],
      [text.slice(0, 20), 'STREAM_IDENTITY'],
      [text.replace('"format": 1', '"format": 2'), 'STREAM_CHECKPOINT_FORMAT'],
    ] as const) {
      disk.overwrite('/identity', Buffer.from(other));
      await expect(readIdentity(env, '/', true)).rejects.toMatchObject({ code, exitCode: 78 });
    }
  });
});

describe('graphFingerprint()', () => {
  it('changes with everything that shapes bytes, and with nothing else', () => {
    const [lines, counts] = GRAPH.operators;
    const other = (change: object): string => graphFingerprint({ ...GRAPH, operators: [lines as never, { ...counts, ...change } as never] });
    expect(new Set([{}, { uid: 'x' }, { kind: 'x' }, { parents: [] }, { partitions: 3 }, { codec: 'x' }].map(other)).size).toBe(6);
    expect(other({ isPositional: true })).toBe(graphFingerprint(GRAPH));
  });
});
