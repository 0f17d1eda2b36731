// Goal: what was given up by consent is folded the same at every recovery, and nothing else goes with it. Method: events in tables.
import { describe, expect, it } from 'vitest';
import { toBatchTime } from '../../../src/core/time.ts';
import { applyEvent } from '../../../src/journal/apply-event.ts';
import { decodeEvent, encodeEvent } from '../../../src/journal/event-codec.ts';
import type { BatchPlanned, JournalEvent } from '../../../src/journal/events.ts';
import { decodeLedger, emptyLedger, encodeLedger, type Ledger } from '../../../src/journal/ledger.ts';
import { neededLsn } from '../../../src/journal/low-water.ts';
import { planReplacement } from '../../../src/journal/plan-batch.ts';

const time = toBatchTime;
const FILE = { name: 'f', size: 5, inode: '1', pieceBytes: 10, hashes: ['h'] };

function block(blockId: string, stream = 'lines'): JournalEvent {
  return { kind: 'block-added', stream, blockId, recordCount: 1, codec: 'lines', payload: [], ranges: [{ partition: blockId, from: 0, until: 1 }] };
}

function plan(batchTime: number, inputs: BatchPlanned['inputs'], planId = `plan-${batchTime}`): BatchPlanned {
  const outputs = new Map([['totals', 2]]);
  return {
    kind: 'batch-planned',
    batchTime: time(batchTime),
    planId,
    inputs,
    outputs,
    shuffles: new Map([['counts', 2]]),
    graphFingerprint: 'g',
    codeVersion: '0',
  };
}

const blocks = (...names: readonly string[]): BatchPlanned['inputs'] => new Map([['lines', { blocks: names }]]);
const rows = (...pairs: readonly (readonly [number, string])[]) => new Map([['totals', new Map(pairs)]]);

function completed(batchTime: number, written = rows()): JournalEvent {
  return { kind: 'batch-completed', batchTime: time(batchTime), written, stateDigest: 'd' };
}

function replaced(batchTime: number, by: number, committed = rows()): JournalEvent {
  return { kind: 'batch-replaced', batchTime: time(batchTime), by: time(by), committed };
}

function forgotten(what: Partial<Extract<JournalEvent, { kind: 'forgotten' }>>): JournalEvent {
  return { kind: 'forgotten', states: [], sinks: [], streams: [], ...what };
}

function fold(...events: readonly JournalEvent[]): Ledger {
  const ledger = emptyLedger();
  events.forEach((event, index) => applyEvent(ledger, { event, position: { lsn: index + 1, segment: 1, offset: index * 8, frameBytes: 8 } }));
  return ledger;
}

/** Two batches: the first completed, the second committed in one partition. */
const TWO: readonly JournalEvent[] = [
  block('1-1'),
  block('1-2'),
  block('1-3'),
  plan(100, blocks('1-1')),
  completed(100, rows([0, 'a'], [1, 'b'])),
  plan(
    200,
    new Map([
      ['lines', { blocks: ['1-2'] }],
      ['files', { blocks: [], files: [FILE] }],
    ]),
  ),
];

const expectedOf = (ledger: Ledger) =>
  [...(ledger.expected.get('totals') ?? [])].map(([partition, row]) => [partition, row.batchTime, row.planId, row.fingerprint]);

describe('events', () => {
  it.each([forgotten({ states: ['counts'], sinks: ['totals'], streams: ['lines'] }), replaced(100, 300, rows([0, 'ff']))])(
    '$kind is read as it was written',
    (event) => {
      const { type, payload } = encodeEvent(event);
      expect(decodeEvent(type, Buffer.concat(payload), 1)).toEqual(event);
    },
  );
});

describe('batch-replaced', () => {
  const both = [...TWO, replaced(200, 400, rows([1, 'c'])), replaced(100, 300, rows([0, 'a'], [1, 'b']))];
  it('keeps the inputs for the batches that take them, in their order, and the log that holds them', () => {
    const ledger = fold(...both);
    expect(ledger.batches).toEqual([]);
    expect(ledger.replacing.map(({ by, inputs }) => [by, inputs.get('lines')?.blocks.map(({ blockId }) => blockId)])).toEqual([
      [300, ['1-1']],
      [400, ['1-2']],
    ]);
    expect(ledger.waiting.map(({ blockId }) => blockId)).toEqual(['1-3']);
    expect(neededLsn(fold(...both, forgotten({ streams: [] })))).toBe(1);
  });
  it('expects of the sinks what they hold: the rows of the unfinished batch, and no older ones in their place', () => {
    expect(expectedOf(fold(...both))).toEqual([
      [0, 100, 'plan-100', 'a'],
      [1, 200, 'plan-200', 'c'],
    ]);
  });
  it('hands the inputs to the plan of the promised batch', () => {
    const before = fold(...both);
    const [first] = before.replacing;
    if (first === undefined) throw new Error('something was replaced');
    const request = {
      planId: 'p',
      streams: ['lines'],
      filePartitions: () => 0,
      partitionsOf: () => ({ outputs: new Map(), shuffles: new Map() }),
      graphFingerprint: 'h',
      codeVersion: '1',
    };
    const ledger = fold(...both, planReplacement(first, request));
    expect(ledger.batches.map(({ batchTime, inputs }) => [batchTime, inputs.get('lines')?.blocks.map(({ blockId }) => blockId)])).toEqual([[300, ['1-1']]]);
    expect(ledger.replacing.map(({ by }) => by)).toEqual([400]);
  });
  it('hands files over that are not taken a second time', () => {
    const ledger = fold(
      ...TWO,
      replaced(200, 300),
      plan(
        300,
        new Map([
          ['lines', { blocks: ['1-2'] }],
          ['files', { blocks: [], files: [FILE] }],
        ]),
      ),
    );
    expect(ledger.batches.at(-1)?.inputs.get('files')?.files).toEqual([FILE]);
    expect([...(ledger.files.get('files')?.names ?? [])]).toEqual(['f']);
  });
  it('survives being written into a checkpoint', () => {
    const ledger = fold(...both, forgotten({ states: ['counts'], sinks: ['totals'], streams: ['files'] }));
    expect(decodeLedger(encodeLedger(ledger))).toEqual(ledger);
  });
  it.each<readonly [string, readonly JournalEvent[]]>([
    ['an older batch before a newer one', [replaced(100, 300)]],
    ['a batch that is not there', [replaced(150, 300)]],
    ['a batch by one that was planned', [replaced(200, 200)]],
    ['a batch by one that is promised already', [replaced(200, 300), replaced(100, 300)]],
    ['a plan before the promised one', [replaced(200, 300), plan(250, blocks('1-2'))]],
    ['a plan that leaves some of the inputs', [replaced(200, 300), plan(300, blocks('1-2'))]],
    ['a plan that takes more than the inputs', [replaced(200, 300), plan(300, blocks('1-2', '1-3'))]],
  ])('refuses %s', (_name, events) => expect(() => fold(...TWO, ...events)).toThrow(expect.objectContaining({ code: 'STREAM_JOURNAL_CORRUPT' }) as Error));
});

describe('forgotten', () => {
  it('drops what the sinks had to hold, and nothing else', () => {
    const ledger = fold(...TWO, forgotten({ sinks: ['totals'] }));
    expect([ledger.expected.size, ledger.waiting.length, ledger.partitionsMax.get('totals')]).toEqual([0, 1, 2]);
  });
  it('drops what waits of a stream, also of batches that were replaced; positions and names of files stay', () => {
    const ledger = fold(...TWO, block('1-4', 'other'), replaced(200, 300), forgotten({ streams: ['lines', 'files'] }));
    expect([ledger.waiting.map(({ blockId }) => blockId), ledger.waitingBytes]).toEqual([['1-4'], 8]);
    expect(ledger.replacing.map(({ inputs }) => inputs.size)).toEqual([0]);
    expect([ledger.positions.get('lines')?.size, ledger.files.get('files')?.names.size]).toEqual([3, 1]);
  });
  it('says up to where state is dropped', () => {
    expect(fold(...TWO, forgotten({ states: ['counts'] })).givenUp.states.get('counts')).toEqual({ lsn: 7, batchTime: 200 });
  });
});
