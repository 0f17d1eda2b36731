import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ListenerBus } from '../../../src/core/listener.ts';
import { firstLine, parseGreeting, stripNumbers } from '../../../src/sources/acknowledged-lines.ts';
import { BlockBuilder } from '../../../src/sources/block-builder.ts';
import { LineSplitter } from '../../../src/sources/line-splitter.ts';
import type { Receiver, ReceiverContext } from '../../../src/sources/receiver.ts';
import { ReceiverRunner } from '../../../src/sources/receiver-runner.ts';
import { recordCodec } from '../../../src/sources/record-codec.ts';
import { createSimEnv, ManualClock, SeededRandom, settle } from '../../../src/testing/index.ts';
import { journalOn, TestLog } from '../../support/test-log.ts';

describe('LineSplitter', () => {
  const line = fc.string({ unit: 'grapheme', maxLength: 20 }).filter((text) => !/[\n\r]/.test(text));
  it('gives the same lines however the bytes come', () =>
    fc.assert(
      fc.property(fc.array(line), fc.constantFrom('\n', '\r\n'), fc.array(fc.nat(400)), (lines, end, cuts) => {
        const bytes = Buffer.from(lines.map((text) => text + end).join(''));
        const splitter = new LineSplitter(1000, 'h:1');
        let got = '';
        let count = 0;
        const bounds = [0, ...cuts.filter((cut) => cut < bytes.length).sort((left, right) => left - right), bytes.length];
        for (let index = 1; index < bounds.length; index++) {
          const run = splitter.push(bytes.subarray(bounds[index - 1], bounds[index]));
          got += run?.bytes.toString() ?? '';
          count += run?.count ?? 0;
        }
        expect([got, count]).toEqual([lines.map((text) => `${text}\n`).join(''), lines.length]);
      }),
    ));
  it('refuses a line over the limit, whole or not, and takes one at the limit', () => {
    expect(new LineSplitter(3, 'h:1').push(Buffer.from('abc\r\nabc\n'))?.count).toBe(2);
    const tooLong = expect.objectContaining({ code: 'STREAM_SOURCE_LINE_TOO_LONG', message: expect.stringContaining('at most 3 bytes: it has 4') }) as Error;
    expect(() => new LineSplitter(3, 'h:1').push(Buffer.from('ok\nabcd\n'))).toThrow(tooLong);
    expect(() => new LineSplitter(3, 'h:1').push(Buffer.from('abcde'))).toThrow(expect.objectContaining({ code: 'STREAM_SOURCE_LINE_TOO_LONG' }) as Error);
  });
  it('refuses invalid UTF-8 and names the line', () => {
    expect(() => new LineSplitter(9, 'h:1').push(Buffer.from([0x61, 10, 0xff, 10]))).toThrow(
      expect.objectContaining({ code: 'STREAM_SOURCE_NOT_UTF8', message: expect.stringContaining('line 2') }) as Error,
    );
  });
});

describe('the protocol of acknowledged lines', () => {
  it('reads a greeting', () => expect(parseGreeting('h:1', 'millrace-lines 1 text-7 120')).toEqual({ textId: 'text-7', lines: 120 }));
  it.each(['', 'hello', 'millrace-lines 2 a 1', 'millrace-lines 1 a b', 'millrace-lines 1  1'])('refuses the greeting %o', (text) =>
    expect(() => parseGreeting('h:1', text)).toThrow(expect.objectContaining({ code: 'STREAM_SOURCE_PROTOCOL' }) as Error),
  );
  it('goes on where it was, and begins a new text at its beginning', () => {
    expect([firstLine('h:1', { textId: 't', lines: 9 }, 5), firstLine('h:1', { textId: 't', lines: 9 }, undefined)]).toEqual([5, 0]);
  });
  it('refuses a text that is shorter than what was received from it', () =>
    expect(() => firstLine('h:1', { textId: 't', lines: 4 }, 5)).toThrow(
      expect.objectContaining({ code: 'STREAM_SOURCE_BEHIND', message: expect.stringContaining('at least the 5 lines') }) as Error,
    ));
  it('takes the numbers off', () => {
    const { bytes, count, until } = stripNumbers('h:1', Buffer.from('7 a b\n8 \n9 10 c\n'), 7);
    expect([bytes.toString(), count, until]).toEqual(['a b\n\n10 c\n', 3, 10]);
  });
  it.each(['8 a\n', '7 a\n7 b\n', '7 a\n9 b\n', 'a\n', '7\n'])('refuses %s where line 7 comes next', (text) =>
    expect(() => stripNumbers('h:1', Buffer.from(text), 7)).toThrow(expect.objectContaining({ code: 'STREAM_SOURCE_PROTOCOL' }) as Error),
  );
});

describe('record codecs', () => {
  const decoded = (name: string, text: string): unknown[] => {
    const records: unknown[] = [];
    recordCodec(name).decode(Buffer.from(text), (record) => records.push(record));
    return records;
  };
  it('give back what they took', () => {
    for (const [name, records] of [
      ['lines', ['', 'a b', 'ü']],
      ['json-lines', [{ a: 'x\ny' }, [1], null, undefined, new Map([['k', new Date(5)]])]],
    ] as const) {
      expect(decoded(name, records.map((record) => `${recordCodec(name).encode(record)}\n`).join(''))).toEqual(records);
    }
  });
  it.each([
    ['lines', 'a\nb'],
    ['lines', 7],
    ['lines', '\ud800'],
    ['json-lines', Symbol('s')],
  ])('%s refuses %s', (name, record) => expect(() => recordCodec(name).encode(record)).toThrow(expect.objectContaining({ code: 'STREAM_CODEC' }) as Error));
  it('of unknown names are refused', () => expect(() => recordCodec('xml')).toThrow('found "xml"'));
});

describe('BlockBuilder', () => {
  it('joins ranges that continue, and refuses others without a change', () => {
    const builder = new BlockBuilder();
    builder.add(Buffer.from('a\n'), 1, { partition: 'p', from: 0, until: 1 });
    builder.add(Buffer.from('b\n'), 1, { partition: 'p', from: 1, until: 2 });
    expect(() => builder.add(Buffer.from('d\n'), 1, { partition: 'p', from: 3, until: 4 })).toThrow(
      expect.objectContaining({ code: 'STREAM_RECEIVER' }) as Error,
    );
    expect(builder.take()).toMatchObject({ bytes: 4, recordCount: 2, ranges: [{ partition: 'p', from: 0, until: 2 }] });
    expect(builder.take()).toBeUndefined();
  });
});

/** A receiver whose calls a test makes by hand. */
async function handReceiver(
  limits: { readonly blockBytesMax?: number; readonly blockRecordsMax?: number; readonly bufferBytesMax?: number } = {},
  stay?: () => Promise<void>,
) {
  const log = new TestLog();
  const clock = new ManualClock(0);
  const { journal } = await journalOn(log, { clock });
  const failures: Error[] = [];
  let runs = 0;
  let hand: ReceiverContext<string> | undefined;
  let end: (error?: Error) => void = () => undefined;
  const receiver: Receiver<string> = {
    codec: 'lines',
    run: (context) => {
      runs += 1;
      hand = context;
      if (stay !== undefined) return stay();
      return new Promise((resolve, reject) => {
        end = (error) => (error === undefined ? resolve() : reject(error));
        context.signal.addEventListener('abort', () => resolve());
      });
    },
  };
  const runner = new ReceiverRunner({
    env: createSimEnv({ disk: log.disk, process: log.process, clock, random: new SeededRandom(1) }),
    app: 'app',
    uid: 'lines',
    receiver: receiver as Receiver<unknown>,
    journal,
    isLogged: true,
    fail: (error) => failures.push(error),
    listeners: new ListenerBus((error) => failures.push(error)),
    limits: {
      blockIntervalMs: 200,
      blockBytesMax: 1000,
      blockRecordsMax: 1000,
      bufferBytesMax: 1000,
      recordBytesMax: 500,
      restartDelayMs: 2000,
      backlogBytesMax: 1e9,
      logBytesMax: 1e12,
      rate: 1e9,
      ...limits,
    },
  });
  runner.start();
  if (hand === undefined) throw new Error('the receiver was not started');
  return { log, journal, clock, runner, failures, context: hand, runs: () => runs, end: (error?: Error) => end(error) };
}

const range = (from: number) => ({ partition: 'p', from, until: from + 1 });

describe('ReceiverRunner', () => {
  it('answers when the block is durable, not before', async () => {
    const { clock, context, journal, log } = await handReceiver();
    let isAnswered = false;
    const stored = context.store('a').then(() => (isAnswered = true));
    clock.advance(199);
    await settle();
    expect([isAnswered, journal.ledger.waiting.length]).toEqual([false, 0]);
    clock.advance(1);
    await stored;
    expect(journal.ledger.waiting).toMatchObject([{ blockId: '1-1', recordCount: 1, codec: 'lines' }]);
    log.disk.cutPower(new SeededRandom(1));
    await log.open();
    expect(await log.read()).toHaveLength(1);
  });
  it('seals a block by count and by bytes', async () => {
    const byCount = await handReceiver({ blockRecordsMax: 2 });
    await Promise.all(['a', 'b'].map((text) => byCount.context.store(text)));
    const byBytes = await handReceiver({ blockBytesMax: 4 });
    await Promise.all(['a', 'b'].map((text) => byBytes.context.store(text)));
    expect([byCount.journal.ledger.waiting.length, byBytes.journal.ledger.waiting.length]).toEqual([1, 1]);
  });
  it('refuses what does not fit its buffer, and has room again when the block is durable', async () => {
    const { context, clock, runner } = await handReceiver({ bufferBytesMax: 8 });
    const first = context.store('abcde');
    await expect(context.store('fgh')).rejects.toMatchObject({ code: 'STREAM_RECEIVER_BUFFER_FULL' });
    const ready = context.ready();
    clock.advance(200);
    await Promise.all([first, ready]);
    const second = context.store('fgh');
    await runner.stop(true);
    await second;
  });
  it('refuses a record over the limit', async () => {
    const { context } = await handReceiver();
    await expect(context.store('x'.repeat(500))).rejects.toMatchObject({ code: 'STREAM_RECORD_TOO_LARGE' });
  });
  it('drops at settle what is not on its way, and lets what is settle', async () => {
    const { context, clock, journal } = await handReceiver({ blockRecordsMax: 1000 });
    const first = context.store('a', range(0));
    clock.advance(200);
    const second = context.store('b', range(1));
    await context.settle();
    await first;
    await expect(second).rejects.toMatchObject({ code: 'STREAM_ABORTED' });
    expect([context.position('p'), journal.ledger.waiting.length]).toEqual([1, 1]);
  });
  it('starts a receiver again after a pause, its buffer dropped', async () => {
    const receiver = await handReceiver();
    const dropped = receiver.context.store('a', range(0));
    receiver.end(new Error('connection lost'));
    await settle();
    expect(receiver.runs()).toBe(1);
    receiver.clock.advance(199);
    receiver.clock.advance(1801);
    await settle();
    expect(receiver.runs()).toBe(2);
    await dropped.catch(() => undefined);
  });
  it('stops gracefully with what it had buffered durable, or at once without it', async () => {
    const graceful = await handReceiver();
    const kept = graceful.context.store('a');
    await graceful.runner.stop(true);
    await kept;
    const hasty = await handReceiver();
    const lost = hasty.context.store('a');
    await hasty.runner.stop(false);
    await expect(lost).rejects.toMatchObject({ code: 'STREAM_ABORTED' });
    expect([graceful.journal.ledger.waiting.length, hasty.journal.ledger.waiting.length]).toEqual([1, 0]);
  });
  it('does not wait for a receiver that does not end when it must stop at once', async () => {
    const { runner, context } = await handReceiver({}, () => new Promise(() => undefined));
    const dropped = context.store('a');
    await runner.stop(false);
    await expect(dropped).rejects.toMatchObject({ code: 'STREAM_ABORTED' });
    await expect(context.store('b')).rejects.toMatchObject({ code: 'STREAM_ABORTED' });
  });
  it('stops the context when a block cannot be logged', async () => {
    const { log, context, failures, clock } = await handReceiver();
    log.disk.failNextSync = true;
    const stored = context.store('a');
    clock.advance(200);
    await expect(stored).rejects.toMatchObject({ code: 'STREAM_WAL_POISONED' });
    expect(failures).toMatchObject([{ exitCode: 74 }]);
  });
});
