// Goal: what is printed says what was found. Method: tables of findings, and the lines of them.
import { describe, expect, it } from 'vitest';
import { factsOf, factsText, recordJson, recordText, type RecordLine } from '../../../src/cli/describe-record.ts';
import { fsckJson, fsckLines, judgeFindings, lsnRangeText, type FsckFindings } from '../../../src/cli/fsck-report.ts';
import { checkpointsAhead, repairJson, repairLines, type RepairFindings } from '../../../src/cli/repair-report.ts';
import { CorruptionError } from '../../../src/core/errors.ts';
import { toBatchTime } from '../../../src/core/time.ts';
import { EVENTS } from '../../support/test-store.ts';

const LINE: RecordLine = {
  lsn: 7,
  segment: 2,
  offset: 4096,
  group: 5,
  bytes: 104,
  payloadBytes: 57,
  kind: 'block-added',
  facts: { stream: 'lines', blockId: '1-1', recordCount: 3, codec: 'utf8' },
};

describe('a record', () => {
  it('is a line of words', () =>
    expect(recordText(LINE)).toBe('       7  segment 2 offset     4096  group 5  104 bytes  block-added stream=lines blockId=1-1 recordCount=3 codec=utf8'));
  it('is a line of JSON, without its payload', () =>
    expect(recordJson(LINE)).toBe(
      '{"lsn":7,"segment":2,"offset":4096,"group":5,"bytes":104,"payloadBytes":57,"kind":"block-added","stream":"lines","blockId":"1-1","recordCount":3,"codec":"utf8"}',
    ));
  it('quotes words that hold spaces', () => expect(factsText({ a: 'b c', d: '', e: true, f: '"' })).toBe('a="b c" d="" e=true f="\\""'));
  it.each([
    [EVENTS.opened(2), { epoch: 2, app: 'app', codeVersion: '1' }],
    [EVENTS.block('1-2'), { stream: 'lines', blockId: '1-2', recordCount: 1 }],
    [EVENTS.planned(100, '1-1', '1-2'), { batchTime: 100, planId: 'plan-100', blocks: 2, files: 0 }],
    [EVENTS.completed(100), { batchTime: 100, sinks: 0 }],
    [EVENTS.checkpoint(3, 9), { number: 3, batchTime: 0, upToLsn: 9 }],
    [{ kind: 'closed' } as const, {}],
    [{ kind: 'source-positioned', stream: 's', files: ['a', 'b'], isComplete: true } as const, { stream: 's', files: 2, isComplete: true }],
    [{ ...EVENTS.block('1-2'), unloggedBytes: 8 } as ReturnType<typeof EVENTS.block>, { stream: 'lines', blockId: '1-2', recordCount: 1, unloggedBytes: 8 }],
  ])('$kind', (event, facts) => expect(factsOf(event)).toEqual(facts));
});

const FOUND: FsckFindings = {
  directory: 'd',
  identity: { storeId: 'ab', app: 'app', epoch: 3 },
  segments: 2,
  records: 5,
  firstLsn: 1,
  bytes: 9000,
  tornBytes: 0,
  end: { lsn: 6, segment: 2, offset: 5000 },
  damage: undefined,
  problem: undefined,
  isFolded: true,
  foreign: [],
};
const DAMAGE = new CorruptionError('STREAM_WAL_CORRUPT', 'why. Nothing was changed', { damage: { segment: 2, offset: 4096, lsnFrom: 3, lsnTo: 8 } });
const problem = (code: 'STREAM_JOURNAL_CORRUPT' | 'STREAM_JOURNAL_VERSION') => ({
  place: { lsn: 4, segment: 2, offset: 4500 },
  error: new CorruptionError(code, 'no event'),
});

describe('a check', () => {
  it.each([
    ['nothing', {}, 'clean', 0],
    ['a torn end', { tornBytes: 9 }, 'torn', 1],
    ['damage', { damage: DAMAGE }, 'corrupt', 2],
    ['a bad event', { problem: problem('STREAM_JOURNAL_CORRUPT') }, 'corrupt', 2],
    ['a bad event before a torn end', { tornBytes: 9, problem: problem('STREAM_JOURNAL_CORRUPT') }, 'corrupt', 2],
    ['an event of another version', { problem: problem('STREAM_JOURNAL_VERSION') }, 'version', 3],
    ['an event of another version before damage', { damage: DAMAGE, problem: problem('STREAM_JOURNAL_VERSION') }, 'corrupt', 2],
  ])('that found %s', (_name, found, verdict, exitCode) => expect(judgeFindings({ ...FOUND, ...found })).toEqual({ verdict, exitCode }));
  it('is told in lines', () => {
    expect(fsckLines(FOUND)).toEqual([
      'store       ab, application "app", epoch 3',
      'log         2 segments, 9000 bytes, torn 0',
      'records     5, lsn 1 to 5',
      'events      each follows from those before',
      'verdict     clean',
    ]);
  });
  it('says that a torn end is harmless', () => expect(fsckLines({ ...FOUND, tornBytes: 9 }).at(-1)).toContain('last 9 bytes: harmless'));
  it('names the place and the records of a damage, as exactly as the survey has it', () => {
    expect(fsckLines({ ...FOUND, damage: DAMAGE }).slice(-2)).toEqual([
      'damaged     records 6 to 8, segment 2 at offset 5000',
      '            STREAM_WAL_CORRUPT: why',
    ]);
  });
  it('names both a bad event and a damage', () => {
    const lines = fsckLines({ ...FOUND, damage: DAMAGE, problem: problem('STREAM_JOURNAL_CORRUPT') });
    expect(lines.filter((line) => line.startsWith('damaged'))).toEqual([
      'damaged     record 4, segment 2 at offset 4500',
      'damaged     records 6 to 8, segment 2 at offset 5000',
    ]);
  });
  it('says what it could not check, and what does not belong there', () => {
    const lines = fsckLines({ ...FOUND, firstLsn: 3, isFolded: false, foreign: ['notes.txt'] });
    expect(lines[3]).toContain('decoded only: the log was cut and begins with record 3');
    expect(lines[4]).toBe('note        "notes.txt" in journal/ belongs to nobody');
  });
  it('of an empty log', () => expect(fsckLines({ ...FOUND, records: 0, isFolded: false })[2]).toBe('records     none'));
  it('is told as an object', () => {
    expect(JSON.parse(fsckJson({ ...FOUND, damage: DAMAGE }))).toEqual({
      exitCode: 2,
      verdict: 'corrupt',
      directory: 'd',
      store: { storeId: 'ab', app: 'app', epoch: 3 },
      log: { segments: 2, records: 5, firstLsn: 1, lastLsn: 5, bytes: 9000, tornBytes: 0, isFolded: true, foreign: [] },
      damage: { lsn: 6, segment: 2, offset: 5000, lsnTo: 8, code: 'STREAM_WAL_CORRUPT', reason: 'why' },
    });
  });
  it.each([
    [3, 3, 'record 3'],
    [3, 4, 'records 3 to 4'],
    [3, undefined, 'records 3 and on'],
  ])('ranges %i to %s', (from, to, text) => expect(lsnRangeText(from, to)).toBe(text));
});

describe('a repair', () => {
  const checkpoint: RecordLine = { ...LINE, lsn: 9, kind: 'checkpoint', facts: { number: 4, batchTime: 100, upToLsn: 8 } };
  const found: RepairFindings = {
    directory: 'd',
    damage: { lsn: 6, segment: 2, offset: 5000, lsnTo: 6, code: 'STREAM_WAL_CORRUPT', reason: 'why' },
    tornBytes: 0,
    cut: { lsn: 6, keep: { segment: 2, offset: 5000, fileBytes: 8000 }, isVoid: false },
    givenUp: [LINE, { ...LINE, lsn: 8, kind: 'batch-planned', facts: { batchTime: toBatchTime(100), planId: 'p', blocks: 1, files: 0 } }, checkpoint],
    unreadable: [{ from: 6, to: 6 }],
    steps: [
      { kind: 'copy', segment: 2 },
      { kind: 'zero', segment: 2, from: 5000, to: 8000 },
    ],
  };
  it('is proposed with all that it gives up, and the command that does it', () => {
    expect(repairLines(found, { kind: 'proposed' })).toEqual([
      'damaged     record 6, segment 2 at offset 5000',
      '            STREAM_WAL_CORRUPT: why',
      'cut         before record 6: the log ends in segment 2 at offset 5000',
      'given up    3 records that can still be read',
      '            7  block-added stream=lines blockId=1-1 recordCount=3',
      '            8  batch-planned batchTime=100',
      '            9  checkpoint number=4 batchTime=100 upToLsn=8',
      'unreadable  record 6',
      'checkpoint  4 was folded up to record 8: while the store holds it, the log is not cut, the state would be ahead of it',
      'sinks       one that holds a batch that is given up is refused at the next start',
      'step        copy 0000000000000002.wal to 0000000000000002.wal.broken-<time>',
      'step        overwrite 0000000000000002.wal with zeros from offset 5000 to 8000',
      'Nothing was changed. To give this up and cut the log:',
      '  millrace wal repair d --truncate-at 6 --i-accept-loss',
    ]);
  });
  it('that is done names what was kept and what the log is now', () => {
    const lines = repairLines(found, { kind: 'done', copies: ['x.wal.broken-1'], verdict: 'clean', damage: undefined });
    expect(lines.slice(-2)).toEqual(['kept        x.wal.broken-1', 'result      clean']);
    expect(repairLines(found, { kind: 'done', copies: [], verdict: 'corrupt', damage: DAMAGE }).at(-1)).toContain('why');
  });
  it('of a log that needs none', () => {
    const whole = { ...found, damage: undefined, cut: undefined, givenUp: [], unreadable: [], steps: [] };
    expect(repairLines(whole, { kind: 'proposed' })).toEqual(['The log is whole.', 'There is nothing to repair.']);
    expect(repairLines({ ...whole, tornBytes: 3 }, { kind: 'proposed' })[0]).toContain('torn end, which the next start cuts');
  });
  it('counts a checkpoint only if it was folded from what is given up', () => {
    expect(checkpointsAhead(found)).toEqual([{ number: 4, lsn: 8 }]);
    expect(checkpointsAhead({ ...found, cut: { lsn: 9, keep: undefined, isVoid: false } })).toEqual([]);
    expect(checkpointsAhead({ ...found, cut: undefined })).toEqual([]);
  });
  it('is told as an object', () => {
    const told: unknown = JSON.parse(repairJson(found, { kind: 'done', copies: ['x'], verdict: 'clean', damage: undefined }, 0));
    expect(told).toMatchObject({ exitCode: 0, isDone: true, unreadable: [{ from: 6, to: 6 }], checkpointsAhead: [{ number: 4, lsn: 8 }] });
    expect(told).toMatchObject({ result: { copies: ['x'], verdict: 'clean' }, givenUp: [{ lsn: 7, blockId: '1-1' }, { lsn: 8 }, { lsn: 9, number: 4 }] });
  });
});
