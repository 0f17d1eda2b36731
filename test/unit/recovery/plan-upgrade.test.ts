// Goal: every edit of a graph has the verdict that loses nothing unseen. Method: a table of edits to one program, and random pairs of graphs against a rule that shares no code.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { GraphDescriptor, OperatorDescriptor } from '../../../src/core/graph-descriptor.ts';
import { planUpgrade, type Upgrade } from '../../../src/recovery/plan-upgrade.ts';
import type { StoreFacts } from '../../../src/recovery/upgrade-scene.ts';

type Edit = Partial<OperatorDescriptor>;

function operator(uid: string, kind: string, more: Edit = {}): OperatorDescriptor {
  return { uid, isPositional: false, kind, parents: [], isStateful: false, ...more };
}

const source = (uid: string, more: Edit = {}) => operator(uid, 'receiverStream', { codec: 'lines', ...more });
const map = (uid: string, parent: string, more: Edit = {}) => operator(uid, 'map', { parents: [parent], isPositional: true, ...more });
const state = (uid: string, parent: string, more: Edit = {}) =>
  operator(uid, 'updateStateByKey', { parents: [parent], partitions: 2, codec: 'json-2', isStateful: true, ...more });
const sink = (uid: string, parent: string, more: Edit = {}) => operator(uid, 'saveTo', { parents: [parent], ...more });
const print = (uid: string, parent: string, more: Edit = {}) => operator(uid, 'print', { parents: [parent], isPositional: true, ...more });

function graph(...operators: readonly OperatorDescriptor[]): GraphDescriptor {
  return { batchIntervalMs: 1000, operators };
}

function change(base: GraphDescriptor, uid: string, edit: Edit): GraphDescriptor {
  return graph(...base.operators.map((each) => (each.uid === uid ? { ...each, ...edit } : each)));
}

function without(base: GraphDescriptor, ...uids: readonly string[]): GraphDescriptor {
  return graph(...base.operators.filter(({ uid }) => !uids.includes(uid)));
}

function plus(base: GraphDescriptor, ...operators: readonly OperatorDescriptor[]): GraphDescriptor {
  return graph(...base.operators, ...operators);
}

const BASE = graph(source('lines'), map('map-1', 'lines'), state('counts', 'map-1'), sink('totals', 'counts'), print('print-4', 'counts'));
/** The same without a name given by the user. */
const POSITIONAL = graph(
  source('receiverStream-0', { isPositional: true }),
  map('map-1', 'receiverStream-0'),
  state('updateStateByKey-2', 'map-1', { isPositional: true }),
  sink('saveTo-3', 'updateStateByKey-2', { isPositional: true }),
);

const CODECS = { state: new Map(['counts', 'x', 'sums', 'a', 'b', 'c', 'd'].map((uid) => [uid, ['avro-1', 'json-2']])), records: ['lines', 'json-lines'] };
const NOTHING: StoreFacts = {
  states: new Map(),
  uncheckpointed: new Map(),
  inputs: new Map(),
  positioned: new Set(),
  rows: new Map(),
  unfinished: new Set(),
  codecs: CODECS,
};

/** A store in which each operator of a graph holds something. */
function full(before: GraphDescriptor, more: Partial<StoreFacts> = {}): StoreFacts {
  const uids = (is: (each: OperatorDescriptor) => boolean): readonly string[] => before.operators.filter(is).map(({ uid }) => uid);
  const sources = uids(({ parents }) => parents.length === 0);
  return {
    ...NOTHING,
    states: new Map(before.operators.filter(({ isStateful }) => isStateful).map((writtenAs) => [writtenAs.uid, { keys: 3, bytes: 183, writtenAs }])),
    inputs: new Map(sources.map((uid) => [uid, { blocks: 2, files: 0, records: 7, bytes: 400, codecs: ['lines'] }])),
    positioned: new Set(sources),
    rows: new Map(uids(({ kind }) => kind === 'saveTo').map((uid) => [uid, 2])),
    ...more,
  };
}

const FULL = full(BASE);
const VERSION_2 = { stateVersion: 2, migratesFrom: 1 };
const writtenIn = (stateVersion: number, codec = 'json-2'): StoreFacts =>
  full(BASE, { states: new Map([['counts', { keys: 3, bytes: 183, writtenAs: state('counts', 'map-1', { stateVersion, codec }) }]]) });

/** An edit, what the store holds, the verdict, and what the sentences say or which consents they ask for. */
type Row = readonly [string, GraphDescriptor, GraphDescriptor, StoreFacts, Upgrade['verdict'], readonly string[]];

const ROWS: readonly Row[] = [
  ['the same', BASE, BASE, FULL, 'unchanged', []],
  ['the same, in an empty store', BASE, BASE, NOTHING, 'unchanged', []],
  ['a uid that is given what it was by position', BASE, change(BASE, 'print-4', { isPositional: false }), FULL, 'unchanged', []],
  [
    'a map that is named',
    BASE,
    graph(source('lines'), map('words', 'lines', { isPositional: false }), state('counts', 'words'), ...BASE.operators.slice(3)),
    FULL,
    'compatible',
    ['map "map-1" is gone', 'map "words" is new'],
  ],
  [
    'a filter in place of a map',
    BASE,
    graph(source('lines'), operator('filter-1', 'filter', { parents: ['lines'], isPositional: true }), state('counts', 'filter-1'), ...BASE.operators.slice(3)),
    FULL,
    'compatible',
    ['parents was "map-1", is "filter-1"'],
  ],
  [
    'a stateless operator of another kind under its uid',
    BASE,
    change(BASE, 'map-1', { kind: 'flatMap' }),
    FULL,
    'compatible',
    ['flatMap "map-1": kind was map, is flatMap'],
  ],
  ['a new map', BASE, plus(BASE, map('map-5', 'counts')), FULL, 'compatible', ['map "map-5" is new']],
  ['a print that is gone', BASE, without(BASE, 'print-4'), FULL, 'compatible', ['print "print-4" is gone']],
  ['a new print', BASE, plus(BASE, print('print-5', 'map-1')), FULL, 'compatible', ['print "print-5" is new']],
  ['a new sink', BASE, plus(BASE, sink('copies', 'lines')), FULL, 'compatible', ['saveTo "copies" is new']],
  ['a new source', BASE, plus(BASE, source('more')), FULL, 'compatible', ['receiverStream "more" is new']],
  ['a new operator with state', BASE, plus(BASE, state('sums', 'lines')), FULL, 'compatible', ['updateStateByKey "sums" is new: its state starts empty']],
  [
    'an operator that keeps state from here on',
    graph(source('lines'), operator('x', 'reduceByKey', { parents: ['lines'] })),
    graph(source('lines'), state('x', 'lines')),
    NOTHING,
    'compatible',
    ['keeps state from here on'],
  ],
  ['partitions of the state', BASE, change(BASE, 'counts', { partitions: 8 }), FULL, 'compatible', ['updateStateByKey "counts": partitions was 2, is 8']],
  [
    'partitions of a shuffle',
    plus(BASE, operator('sums', 'reduceByKey', { parents: ['lines'], partitions: 1 })),
    plus(BASE, operator('sums', 'reduceByKey', { parents: ['lines'], partitions: 4 })),
    FULL,
    'compatible',
    ['reduceByKey "sums": partitions was 1, is 4'],
  ],
  [
    'the batch interval',
    BASE,
    { ...BASE, batchIntervalMs: 500 },
    FULL,
    'compatible',
    ['the batch interval was 1000 ms, is 500 ms: the next batch is later than every one that was planned'],
  ],
  [
    'the order of two outputs',
    BASE,
    graph(...BASE.operators.slice(0, 3), print('print-4', 'counts'), sink('totals', 'counts')),
    FULL,
    'compatible',
    ['the order was'],
  ],
  [
    'the parent of a sink with a uid',
    BASE,
    change(BASE, 'totals', { parents: ['map-1'] }),
    FULL,
    'compatible',
    ['saveTo "totals": parents was "counts", is "map-1"'],
  ],
  // State
  [
    'state that is gone',
    BASE,
    without(BASE, 'counts', 'totals', 'print-4'),
    full(BASE, { rows: new Map() }),
    'consent',
    ['updateStateByKey "counts" is gone: 3 keys, 183 bytes of state would be dropped', 'dropState counts'],
  ],
  [
    'state that is gone and empty',
    BASE,
    without(BASE, 'counts', 'totals', 'print-4'),
    NOTHING,
    'compatible',
    ['updateStateByKey "counts" is gone: it holds no state'],
  ],
  [
    'state that is gone, none of it in a checkpoint yet',
    BASE,
    without(BASE, 'counts', 'totals', 'print-4'),
    { ...NOTHING, uncheckpointed: new Map([['counts', 2]]) },
    'consent',
    ['the state that 2 batches in no checkpoint made would be dropped', 'dropState counts'],
  ],
  [
    'a window that is gone',
    plus(BASE, operator('recent', 'window', { parents: ['lines'], isStateful: true, partitions: 1 })),
    BASE,
    full(plus(BASE, operator('recent', 'window', { parents: ['lines'], isStateful: true, partitions: 1 }))),
    'consent',
    ['window "recent" is gone', 'dropState recent'],
  ],
  [
    'a shuffle that is gone, its batches in no checkpoint',
    plus(BASE, operator('sums', 'reduceByKey', { parents: ['lines'] })),
    BASE,
    full(BASE, { uncheckpointed: new Map([['sums', 2]]) }),
    'compatible',
    ['reduceByKey "sums" is gone'],
  ],
  [
    'a uid with state that is stateless now',
    BASE,
    change(BASE, 'counts', { kind: 'reduceByKey', isStateful: false }),
    FULL,
    'consent',
    ['is reduceByKey now, which keeps no state: 3 keys', 'dropState counts'],
  ],
  [
    'a renamed state',
    BASE,
    graph(...BASE.operators.slice(0, 2), state('sums', 'map-1'), sink('totals', 'sums')),
    FULL,
    'consent',
    ['dropState counts', 'updateStateByKey "sums" is new: its state starts empty'],
  ],
  [
    'another kind of state',
    BASE,
    change(BASE, 'counts', { kind: 'mapWithState' }),
    FULL,
    'incompatible',
    ['its state was made by updateStateByKey, which it cannot go on with. Give it a uid of its own'],
  ],
  [
    'another kind of state, of which there is none',
    BASE,
    change(BASE, 'counts', { kind: 'mapWithState' }),
    NOTHING,
    'compatible',
    ['kind was updateStateByKey, is mapWithState'],
  ],
  [
    'a state codec that is read',
    BASE,
    change(BASE, 'counts', { codec: 'avro-1' }),
    FULL,
    'compatible',
    ['was written with the codec json-2 and is written with avro-1'],
  ],
  [
    'a state codec that is not',
    BASE,
    BASE,
    writtenIn(1, 'json-0'),
    'incompatible',
    ['was written with the codec json-0, and the program reads avro-1, json-2'],
  ],
  ['a state version with migrations', BASE, change(BASE, 'counts', VERSION_2), FULL, 'compatible', ['3 keys are migrated from version 1 to 2']],
  [
    'a state version without migrations',
    BASE,
    change(BASE, 'counts', { stateVersion: 2 }),
    FULL,
    'incompatible',
    ['its migrations to version 2 begin at version 2'],
  ],
  [
    'a state version whose migrations begin too late',
    BASE,
    change(BASE, 'counts', { stateVersion: 3, migratesFrom: 2 }),
    FULL,
    'incompatible',
    ['begin at version 2'],
  ],
  [
    'a state version that is rolled back',
    change(BASE, 'counts', VERSION_2),
    BASE,
    writtenIn(2),
    'incompatible',
    ['was written in version 2, this program knows version 1: it was rolled back'],
  ],
  [
    'a state version that is rolled back before any checkpoint was written in it',
    change(BASE, 'counts', VERSION_2),
    BASE,
    writtenIn(1),
    'compatible',
    ['stateVersion was 2, is none'],
  ],
  // Sinks
  [
    'a sink that is gone',
    BASE,
    without(BASE, 'totals'),
    FULL,
    'consent',
    ['saveTo "totals" is gone: what 2 partitions of it committed last would be forgotten', 'forgetSink totals'],
  ],
  ['a sink that is gone and never committed', BASE, without(BASE, 'totals'), NOTHING, 'compatible', ['saveTo "totals" is gone: it never committed']],
  [
    'a sink that is gone, an unfinished plan names it',
    BASE,
    without(BASE, 'totals'),
    { ...NOTHING, unfinished: new Set(['totals']) },
    'consent',
    ['an unfinished batch writes to it', 'forgetSink totals'],
  ],
  [
    'a renamed sink',
    BASE,
    graph(...BASE.operators.slice(0, 3), sink('sums', 'counts'), print('print-4', 'counts')),
    FULL,
    'consent',
    ['forgetSink totals', 'saveTo "sums" is new'],
  ],
  ['a sink that is a print now', BASE, change(BASE, 'totals', { kind: 'print' }), FULL, 'consent', ['saveTo "totals" is print now', 'forgetSink totals']],
  // Sources
  [
    'a stream that is gone while records wait',
    BASE,
    without(BASE, 'lines', 'map-1'),
    full(BASE),
    'consent',
    ['receiverStream "lines" is gone: 2 blocks with 7 records, 400 bytes would be dropped', 'dropInput lines'],
  ],
  [
    'a stream that is gone, its files in a batch that must run again',
    BASE,
    without(BASE, 'lines', 'map-1'),
    full(BASE, { inputs: new Map([['lines', { blocks: 0, files: 1, records: 0, bytes: 9, codecs: [] }]]) }),
    'consent',
    ['1 file, 9 bytes would be dropped', 'dropInput lines'],
  ],
  [
    'a stream that is gone and nothing waits',
    BASE,
    without(BASE, 'lines', 'map-1'),
    full(BASE, { inputs: new Map() }),
    'compatible',
    ['receiverStream "lines" is gone: nothing of it waits, where it was stays known'],
  ],
  [
    'a stream of another kind while records wait',
    BASE,
    change(BASE, 'lines', { kind: 'socketTextStream' }),
    FULL,
    'incompatible',
    ['socketTextStream "lines" was receiverStream, and 2 blocks with 7 records, 400 bytes of it wait: give the new stream another uid'],
  ],
  [
    'a stream of another kind whose positions are known',
    BASE,
    change(BASE, 'lines', { kind: 'socketTextStream' }),
    full(BASE, { inputs: new Map() }),
    'incompatible',
    ['what was taken from it is remembered'],
  ],
  [
    'a stream of another kind that never had a record',
    BASE,
    change(BASE, 'lines', { kind: 'socketTextStream' }),
    NOTHING,
    'compatible',
    ['kind was receiverStream, is socketTextStream'],
  ],
  [
    'the codec of a stream',
    BASE,
    change(BASE, 'lines', { codec: 'json-lines' }),
    FULL,
    'compatible',
    ['its codec was lines, is json-lines; each block is read by its own'],
  ],
  [
    'blocks in a codec that is not read',
    BASE,
    BASE,
    full(BASE, { inputs: new Map([['lines', { blocks: 1, files: 0, records: 1, bytes: 1, codecs: ['avro'] }]]) }),
    'incompatible',
    ['blocks wait in the codec avro'],
  ],
  ['a stream that comes back', without(BASE, 'lines'), BASE, full(BASE), 'compatible', ['receiverStream "lines" is back: it goes on from where it was']],
  [
    'a uid of a stream that is a map now',
    BASE,
    change(BASE, 'lines', { kind: 'map', parents: ['x'] }),
    FULL,
    'consent',
    ['receiverStream "lines" is map now', 'dropInput lines'],
  ],
  // Positions
  ['the same without given uids', POSITIONAL, POSITIONAL, full(POSITIONAL), 'unchanged', []],
  [
    'a map in place of another before a state by position',
    POSITIONAL,
    change(change(POSITIONAL, 'map-1', { kind: 'filter', uid: 'filter-1' }), 'updateStateByKey-2', { parents: ['filter-1'] }),
    full(POSITIONAL),
    'incompatible',
    ['updateStateByKey "updateStateByKey-2" has its uid by position', '{ uid: "updateStateByKey-2" }'],
  ],
  [
    'the same, its uid given now',
    POSITIONAL,
    change(
      change(change(POSITIONAL, 'map-1', { kind: 'filter', uid: 'filter-1' }), 'updateStateByKey-2', { parents: ['filter-1'], isPositional: false }),
      'saveTo-3',
      { isPositional: false },
    ),
    full(POSITIONAL),
    'compatible',
    ['filter "filter-1" is new'],
  ],
  [
    'a map in front of everything',
    POSITIONAL,
    graph(
      source('receiverStream-0', { isPositional: true }),
      map('map-1', 'receiverStream-0'),
      map('map-2', 'map-1'),
      state('updateStateByKey-3', 'map-2', { isPositional: true }),
      sink('saveTo-4', 'updateStateByKey-3', { isPositional: true }),
    ),
    full(POSITIONAL),
    'consent',
    [
      'dropState updateStateByKey-2',
      'forgetSink saveTo-3',
      'If updateStateByKey "updateStateByKey-3" is the same, give it { uid: "updateStateByKey-2" } in its options',
    ],
  ],
  [
    'a stream in front',
    POSITIONAL,
    graph(
      source('receiverStream-0', { isPositional: true }),
      source('receiverStream-1', { isPositional: true }),
      map('map-2', 'receiverStream-1'),
      state('updateStateByKey-2', 'map-2'),
    ),
    full(POSITIONAL, { rows: new Map() }),
    'incompatible',
    ['receiverStream "receiverStream-0" has its uid by position'],
  ],
  [
    'a stream in front, nothing held of the other',
    POSITIONAL,
    plus(POSITIONAL, source('receiverStream-4', { isPositional: true })),
    NOTHING,
    'compatible',
    ['receiverStream "receiverStream-4" is new'],
  ],
  [
    'two positional streams that are swapped',
    graph(source('a-0', { isPositional: true }), source('a-1', { isPositional: true }), map('m', 'a-0'), print('p', 'a-1')),
    graph(source('a-0', { isPositional: true }), source('a-1', { isPositional: true }), map('m', 'a-1'), print('p', 'a-0')),
    { ...NOTHING, positioned: new Set(['a-0']) },
    'incompatible',
    ['receiverStream "a-0" has its uid by position'],
  ],
  [
    'two positional states that are swapped',
    graph(source('a'), source('b'), state('s-2', 'a', { isPositional: true }), state('s-3', 'b', { isPositional: true })),
    graph(source('a'), source('b'), state('s-2', 'b', { isPositional: true }), state('s-3', 'a', { isPositional: true })),
    full(graph(state('s-2', 'a'), state('s-3', 'b'))),
    'incompatible',
    ['updateStateByKey "s-2" has its uid by position', 'updateStateByKey "s-3" has its uid by position'],
  ],
  [
    'two positional sinks that are swapped',
    graph(source('a'), source('b'), sink('s-2', 'a', { isPositional: true }), sink('s-3', 'b', { isPositional: true })),
    graph(source('a'), source('b'), sink('s-2', 'b', { isPositional: true }), sink('s-3', 'a', { isPositional: true })),
    {
      ...NOTHING,
      rows: new Map([
        ['s-2', 1],
        ['s-3', 1],
      ]),
    },
    'incompatible',
    ['saveTo "s-2" has its uid by position'],
  ],
  ['a store without a graph', graph(), BASE, NOTHING, 'compatible', ['updateStateByKey "counts" is new']],
];

describe('planUpgrade()', () => {
  it('has a table that is not short', () => expect(ROWS.length).toBeGreaterThan(40));
  it.each(ROWS)('%s', (_name, before, now, facts, verdict, says) => {
    const upgrade = planUpgrade({ before, now, facts });
    const consents = upgrade.changes.flatMap(({ consent, uid }) => (consent === undefined ? [] : [`${consent} ${String(uid)}`]));
    const told = [...upgrade.changes.map(({ sentence }) => sentence), ...consents];
    expect({ verdict: upgrade.verdict, told }).toEqual({ verdict, told });
    expect(says.filter((text) => !told.some((sentence) => sentence.includes(text)))).toEqual([]);
    expect(consents.filter((consent) => !says.includes(consent))).toEqual([]);
  });
  it('says nothing of a store that holds nothing and never had a graph', () =>
    expect(planUpgrade({ before: undefined, now: BASE, facts: NOTHING })).toMatchObject({ verdict: 'unchanged', changes: [] }));
  it('lists the state that is migrated, by what the checkpoint says and not by what started last', () => {
    const now = change(BASE, 'counts', VERSION_2);
    expect(planUpgrade({ before: now, now, facts: FULL })).toMatchObject({ verdict: 'compatible', migrations: [{ uid: 'counts', from: 1, to: 2, keys: 3 }] });
    expect(planUpgrade({ before: now, now, facts: writtenIn(2) }).migrations).toEqual([]);
  });
  it('warns of uids by position where something is held under them', () => {
    const { warnings } = planUpgrade({ before: POSITIONAL, now: POSITIONAL, facts: NOTHING });
    expect(warnings.map((warning) => /"(.*?)"/.exec(warning)?.[1])).toEqual(['receiverStream-0', 'updateStateByKey-2', 'saveTo-3']);
    expect(planUpgrade({ before: BASE, now: BASE, facts: FULL }).warnings).toEqual([]);
  });
});

describe('zero silent loss', () => {
  const uids = ['a', 'b', 'c', 'd'];
  const kinds = ['receiverStream', 'socketTextStream', 'map', 'reduceByKey', 'updateStateByKey', 'mapWithState', 'saveTo', 'print'];
  const isState = (kind: string) => kind === 'updateStateByKey' || kind === 'mapWithState';
  const isInput = (kind: string) => kind.endsWith('Stream');
  const operators = fc
    .uniqueArray(fc.record({ uid: fc.constantFrom(...uids), kind: fc.constantFrom(...kinds), isPositional: fc.boolean(), parent: fc.constantFrom(...uids) }), {
      selector: ({ uid }) => uid,
    })
    .map((list) =>
      list.map(({ uid, kind, isPositional, parent }, index) => {
        // A parent stands before its children; one that is not there is like one that the test leaves out.
        const parents = isInput(kind) ? [] : [list.slice(0, index).some((each) => each.uid === parent) ? parent : 'z'];
        return operator(uid, kind, { isPositional, parents, isStateful: isState(kind) });
      }),
    );
  const subset = fc.subarray(uids);
  const held = fc.record({ states: subset, uncheckpointed: subset, inputs: subset, positioned: subset, rows: subset, unfinished: subset });

  it('what today does not carry is consented to or refused, for any two graphs and any store', () => {
    let lossy = 0;
    fc.assert(
      fc.property(operators, operators, held, (before, now, holds) => {
        const facts: StoreFacts = {
          states: new Map(holds.states.map((uid) => [uid, { keys: 1, bytes: 1, writtenAs: before.find((each) => each.uid === uid) }])),
          uncheckpointed: new Map(holds.uncheckpointed.map((uid) => [uid, 1])),
          inputs: new Map(holds.inputs.map((uid) => [uid, { blocks: 1, files: 0, records: 1, bytes: 1, codecs: ['lines'] }])),
          positioned: new Set(holds.positioned),
          rows: new Map(holds.rows.map((uid) => [uid, 1])),
          unfinished: new Set(holds.unfinished),
          codecs: CODECS,
        };
        const was = (uid: string) => before.find((each) => each.uid === uid)?.kind;
        const is = (uid: string) => now.find((each) => each.uid === uid)?.kind ?? '';
        const lost = [
          ...holds.states.filter((uid) => !isState(is(uid)) || (was(uid) !== undefined && was(uid) !== is(uid))),
          ...holds.uncheckpointed.filter((uid) => isState(was(uid) ?? '') && was(uid) !== is(uid)),
          ...holds.inputs.filter((uid) => !isInput(is(uid)) || (was(uid) !== undefined && was(uid) !== is(uid))),
          ...[...holds.rows, ...holds.unfinished].filter((uid) => is(uid) !== 'saveTo'),
        ];
        const upgrade = planUpgrade({ before: graph(...before), now: graph(...now), facts });
        if (lost.length > 0) lossy += 1;
        for (const uid of lost) {
          // Named one by one: a consent for one uid is none for another.
          expect(upgrade.changes.some((each) => each.uid === uid && each.verdict !== 'compatible')).toBe(true);
        }
        if (lost.length > 0) expect(['consent', 'incompatible']).toContain(upgrade.verdict);
      }),
      { numRuns: 2000 },
    );
    expect(lossy).toBeGreaterThan(1000);
  });
});
