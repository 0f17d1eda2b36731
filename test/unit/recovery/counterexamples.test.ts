// Goal: what an ordinary crash, restart or upgrade would lose, double or refuse without one rule each. Method: the shortest trace of each, told by its name, in the simulated world; docs/counterexamples.md
// has the rules.
import { describe, expect, it } from 'vitest';
import { milliseconds, type Receiver, type Sink } from '../../../src/index.ts';
import { SeededRandom } from '../../../src/testing/index.ts';
import { copying, counting, countsOf, longWords, sum, Trial, type Build, type Pair } from '../../support/trial.ts';

const LETTERS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
const EACH_BATCH = { checkpointInterval: milliseconds(100) };

describe('cutting the log', () => {
  it('does not forget up to where a source was received: what it sends again is not counted again', async () => {
    const words = longWords(40);
    const trial = new Trial(...words);
    trial.settings = EACH_BATCH;
    await trial.crash(counting, 4000);
    expect([trial.source.isDone, trial.isCut]).toEqual([true, true]);
    await trial.finish(counting);
    expect(trial.counts()).toEqual(countsOf(words));
  });
  it('does not forget which files were taken: one that is still listed is not taken again', async () => {
    const trial = new Trial();
    trial.settings = EACH_BATCH;
    trial.disk.makeDirectory('/in');
    trial.disk.create('/in/f');
    trial.disk.open('/in/f').write(Buffer.from('a\n'), 0);
    const reading: Build = ({ words, context }) => {
      words.print();
      context
        .textFileStream('/in', { uid: 'files', newFilesOnly: false, settleTime: milliseconds(1) })
        .map((line): Pair => [line, 1])
        .saveTo(trial.sink('totals'), { uid: 'totals' });
    };
    await trial.crash(reading, 4000);
    expect([trial.rows(), trial.isCut]).toEqual([[['a', 1]], true]);
    await trial.finish(reading);
    expect(trial.rows()).toEqual([['a', 1]]);
  });
  it('keeps a block that no batch has taken while many checkpoints pass', async () => {
    const words = longWords(40);
    const trial = new Trial(...words);
    trial.settings = { ...EACH_BATCH, batchRecordsMax: 1, blockRecordsMax: 1 };
    await trial.crash(copying, 3000);
    expect([trial.source.isDone, trial.isCut, trial.rows().length < words.length]).toEqual([true, true, true]);
    await trial.start(copying);
    await trial.until(() => trial.rows().length >= words.length);
    expect(trial.rows().map(([word]) => word)).toEqual(words);
  });
});

describe('a checkpoint', () => {
  it('says up to where its ledger was folded: a block that came while it was written is not passed over', async () => {
    const trial = new Trial(...LETTERS);
    trial.settings = { ...EACH_BATCH, blockInterval: milliseconds(60) };
    const { clock } = trial;
    const acknowledged: number[] = [];
    trial.beforeWrite = (changes) => {
      if (!changes.some(({ key }) => key.startsWith('head/'))) return Promise.resolve();
      acknowledged.push(trial.source.acknowledged);
      return new Promise((resolve) => void clock.setTimer(90, () => resolve()));
    };
    await trial.crashAt('checkpoint-written', counting);
    expect(trial.source.acknowledged).toBeGreaterThan(acknowledged[0] ?? Infinity);
    trial.beforeWrite = () => Promise.resolve();
    await trial.finish(counting);
    expect(trial.counts()).toEqual(countsOf(LETTERS));
  });
  it('holds only what is durable: the power may go at each step of its writing', async () => {
    const begun = (): Trial => {
      const trial = new Trial(...LETTERS);
      trial.settings = EACH_BATCH;
      return trial;
    };
    const { names } = await begun().crash(counting, 350);
    const first = names.indexOf('store.write') - 6;
    const last = names.lastIndexOf('store.written') + 6;
    expect(last - first).toBeGreaterThan(20);
    for (let killAt = first; killAt <= last; killAt++) {
      const trial = begun();
      trial.dieAt(killAt);
      await trial.live(counting);
      trial.disk.cutPower(new SeededRandom(killAt));
      await trial.finish(counting);
      expect({ killAt, counts: trial.counts() }).toEqual({ killAt, counts: countsOf(LETTERS) });
    }
  });
  it('gets its anchor from the next start where the driver died before it: it is still believed when it is the older one', async () => {
    const words = longWords(60);
    const trial = new Trial(...words);
    trial.settings = EACH_BATCH;
    await trial.crash(counting, 2000);
    trial.feed(...words);
    const { process } = trial;
    trial.afterWrite = (changes) => {
      if (changes.some(({ kind, key }) => kind === 'put' && key.startsWith('head/'))) process.kill();
    };
    await trial.live(counting);
    const unanchored = trial.keys('head/').at(-1);
    await trial.crashAt('checkpoint-written', counting);
    const [older, newest = ''] = trial.keys('head/');
    expect([older, trial.isCut]).toEqual([unanchored, true]);
    trial.image.values.set(newest, Buffer.from('nonsense'));
    await trial.finish(counting);
    expect(trial.counts()).toEqual(countsOf([...words, ...words]));
  });
});

describe('a batch whose rows every sink has', () => {
  it('runs its other outputs again all the same: the driver died before they had run', async () => {
    const trial = new Trial('a', 'b');
    const seen: string[] = [];
    const both: Build = (parts) => {
      const { process } = trial;
      copying(parts);
      parts.words.foreachRDD(async (rdd) => void (process.isAlive && seen.push(...(await rdd.collect()))), { uid: 'seen' });
    };
    await trial.crashAt('partition-committed', both);
    expect([trial.rows().length, seen]).toEqual([2, []]);
    await trial.finish(both);
    expect([trial.rows().length, seen]).toEqual([2, ['a', 'b']]);
  });
});

describe('a completed batch that is computed again for its state', () => {
  const counted =
    (add: (values: readonly number[], before?: number) => number, show: (count: number) => number): Build =>
    ({ words, trial }) =>
      words
        .map((word): Pair => [word, 1])
        .updateStateByKey<number>(add, { uid: 'counts' })
        .map(([word, count]): Pair => [word, show(count)])
        .saveTo(trial.sink('totals'), { uid: 'totals' });
  it('must make the same state, also where no output shows it', async () => {
    const trial = new Trial('a', 'b');
    await trial.crash(counted(sum, () => 1));
    expect(
      await trial.refused(
        counted(
          (values, before) => sum(values, before) + 1,
          () => 1,
        ),
      ),
    ).toMatchObject({ code: 'STREAM_BATCH_DIFFERS' });
  });
  it('must give the same rows, also where the state is the same', async () => {
    const trial = new Trial('a', 'b');
    await trial.crash(counted(sum, (count) => count));
    expect(await trial.refused(counted(sum, (count) => -count))).toMatchObject({ code: 'STREAM_BATCH_DIFFERS' });
  });
});

describe('a receiver', () => {
  it('is not told that a record came while its block is on its way to the disk: killed now, the record comes again', async () => {
    const trial = new Trial();
    trial.settings = { blockRecordsMax: 1 };
    const told: (number | undefined)[] = [];
    const { process } = trial;
    const asking: Receiver<string> = {
      codec: 'lines',
      run: async (context) => {
        const stored = context.store('a', { partition: 'p', from: 0, until: 1 });
        told.push(context.position('p'));
        await stored;
        if (process.isAlive) told.push(context.position('p'));
        await new Promise(() => undefined);
      },
    };
    await trial.crash(({ context }) => context.receiverStream(asking, { uid: 'asking' }).print());
    expect(told).toEqual([undefined, 1]);
  });
});

describe('a start', () => {
  it('asks an empty partition for no row: it wrote none', async () => {
    const trial = new Trial('a');
    const spread: Build = ({ words }) =>
      words
        .map((word): Pair => [word, 1])
        .reduceByKey((left, right) => left + right, { uid: 'sums', numPartitions: 4 })
        .saveTo(trial.sink('totals'), { uid: 'totals' });
    await trial.crash(spread);
    expect(trial.rows()).toEqual([['a', 1]]);
    trial.feed('a', 'b', 'c', 'd', 'e', 'f');
    await trial.finish(spread);
    expect(trial.table('totals').ledger.values().next().value?.size).toBeGreaterThan(1);
  });
  it('asks a sink without a ledger for no row', async () => {
    const trial = new Trial('a', 'b');
    const taken: Pair[] = [];
    const plain = (): Sink<Pair> => ({
      guarantee: 'idempotent',
      look: () => Promise.resolve({ rows: new Map() }),
      open: () => Promise.resolve({ rows: new Map() }),
      prepare: (rows) => ({ fingerprint: 'f'.repeat(32), rowCount: rows.length, payload: rows }),
      commit: (_key, rows) => {
        taken.push(...(rows.payload as readonly Pair[]));
        return Promise.resolve('committed');
      },
      close: () => Promise.resolve(),
    });
    const plainly: Build = ({ words }) => words.map((word): Pair => [word, 1]).saveTo(plain(), { uid: 'plain' });
    await trial.crash(plainly);
    expect(taken).toHaveLength(2);
    await trial.finish(plainly);
    expect(taken).toHaveLength(2);
  });
  it('leaves it where a stream of new files began: a file that came behind that and before any batch is taken', async () => {
    const trial = new Trial();
    trial.disk.makeDirectory('/in');
    const write = (name: string): void => {
      trial.disk.create(`/in/${name}`);
      trial.disk.open(`/in/${name}`).write(Buffer.from(`${name}\n`), 0);
    };
    write('old');
    const reading: Build = ({ words, context }) => {
      words.print();
      context
        .textFileStream('/in', { uid: 'files', settleTime: milliseconds(1) })
        .map((line): Pair => [line, 1])
        .saveTo(trial.sink('totals'), { uid: 'totals' });
    };
    await trial.start(reading);
    trial.die();
    write('new');
    await trial.finish(reading);
    expect(trial.rows()).toEqual([['new', 1]]);
  });
});

describe('a batch that is replaced twice', () => {
  const last: Build = ({ words, trial }) =>
    words
      .map((word): Pair => ['last', Number(word)])
      .updateStateByKey<number>((values, before = 0) => values.at(-1) ?? before, { uid: 'last' })
      .saveTo(trial.sink('totals'), { uid: 'totals' });
  async function bound(trial: Trial): Promise<readonly number[]> {
    const { message } = await trial.refused(last);
    return JSON.parse(/replaceBatches: (\[.*?\])/.exec(message)?.[1] ?? '[]') as readonly number[];
  }
  it('still runs before those behind it: an upgrade died in its first batch, and the next version closed that too', async () => {
    const trial = new Trial('1', '2', '3', '4', '5', '6');
    const version = (name: string): void => void (trial.settings = { version: name, blockInterval: milliseconds(60) });
    version('1');
    await trial.crash(last);
    expect(trial.counts()).toEqual({ last: 6 });
    version('2');
    await trial.crashAt('batch-planned', last, 1, { accept: { replaceBatches: await bound(trial) } });
    version('3');
    const replaceBatches = await bound(trial);
    expect(replaceBatches).toHaveLength(1);
    await trial.finish(last, { accept: { replaceBatches } });
    expect(trial.counts()).toEqual({ last: 6 });
  });
});

describe('a task that is tried again', () => {
  it('reads the shuffle that the committed partitions were made of, though the program would make another', async () => {
    const trial = new Trial(...LETTERS);
    trial.settings = { taskAttemptsMax: 3, blockInterval: milliseconds(20), batchInterval: milliseconds(500) };
    let calls = 0;
    let fails = 1;
    const flaky: Build = ({ words }) =>
      words
        .map((word): Pair => {
          calls += 1;
          // The second time each word is another, and may be in another partition.
          return [calls > 8 ? `${word}!` : word, 1];
        })
        .reduceByKey((left, right) => left + right, { uid: 'sums', numPartitions: 2 })
        .map((row) => {
          if (trial.rows().length > 0 && fails-- > 0) throw new Error('now and then');
          return row;
        })
        .saveTo(trial.sink('totals'), { uid: 'totals' });
    await trial.crash(flaky, 2000);
    expect(fails).toBeLessThan(1);
    expect(
      trial
        .rows()
        .map(([word]) => word)
        .toSorted(),
    ).toEqual(LETTERS);
  });
});
