// Goal: what damage, a copy, a second driver or a program that is not deterministic would lose or double without one rule each. Method: the shortest trace of each, told by its name, in the simulated world;
// docs/counterexamples.md has the rules.
import { describe, expect, it } from 'vitest';
import { milliseconds } from '../../../src/index.ts';
import { SimDisk } from '../../../src/testing/index.ts';
import { copying, counting, countsOf, longWords, Trial, type Build, type Pair } from '../../support/trial.ts';

const EACH_BATCH = { checkpointInterval: milliseconds(100) };

/** The number of the newest checkpoint, as keys of the store carry it. */
function newestNumber(trial: Trial): string {
  return trial.keys('head/').at(-1)?.slice('head/'.length) ?? '';
}

/** Another world whose directory is a copy, and whose sinks are the same. */
function copyOf(trial: Trial, ...words: readonly string[]): Trial {
  const copy = new Trial(...words);
  copy.clock.advance(trial.clock.monotonic());
  copy.disk = new SimDisk();
  for (const directory of ['/store', '/store/journal']) copy.disk.makeDirectory(directory);
  for (const path of ['/store/identity', ...trial.segments.map((name) => `/store/journal/${name}`)]) {
    copy.disk.create(path);
    copy.disk.overwrite(path, trial.disk.readVolatile(path));
  }
  for (const [key, value] of trial.image.values) copy.image.values.set(key, value);
  copy.image.isCreated = true;
  for (const [name, table] of trial.tables) copy.tables.set(name, table);
  return copy;
}

describe('a rerun of a program that is not deterministic', () => {
  it('commits nothing into one sink before every sink was compared: a record that went to the other one is not in both', async () => {
    const trial = new Trial('a');
    let goesTo = 'second';
    const either: Build = ({ words }) => {
      for (const name of ['first', 'second'])
        words
          .filter(() => goesTo === name)
          .map((word): Pair => [word, 1])
          .saveTo(trial.sink(name), { uid: name });
    };
    await trial.crashAt('partition-committed', either);
    expect([trial.rows('first'), trial.rows('second')]).toEqual([[], [['a', 1]]]);
    goesTo = 'first';
    expect(await trial.refused(either)).toMatchObject({ code: 'STREAM_BATCH_DIFFERS' });
    expect(trial.rows('first')).toEqual([]);
  });
});

describe('a damaged checkpoint', () => {
  async function cutTrial(words: readonly string[]): Promise<Trial> {
    const trial = new Trial(...words);
    trial.settings = EACH_BATCH;
    await trial.crash(counting, 3000);
    trial.feed('more'.padEnd(500, 'x'), ...words);
    await trial.crash(counting, 350);
    expect(trial.isCut).toBe(true);
    return trial;
  }
  it('has an older one behind it with values of its own: what changed since was not written over', async () => {
    const words = longWords(40);
    const trial = await cutTrial(words);
    const damaged = trial.keys('state/').filter((key) => key.includes(`/${newestNumber(trial)}/`));
    expect(damaged.length).toBeGreaterThan(0);
    for (const key of damaged) trial.image.values.set(key, Buffer.from('nonsense'));
    await trial.finish(counting);
    expect(trial.counts()).toMatchObject(countsOf([...words, ...words]));
  });
  it('that lost one value without a word is not believed with the rest', async () => {
    const words = longWords(40);
    const trial = await cutTrial(words);
    const [lost = ''] = trial.keys('state/').filter((key) => key.includes(`/${newestNumber(trial)}/`));
    expect(trial.image.values.delete(lost)).toBe(true);
    await trial.finish(counting);
    expect(trial.counts()).toMatchObject(countsOf([...words, ...words]));
  });
  it('is not skipped where it is ahead of the log: the log lost records, and is refused again when it is tried again', async () => {
    const trial = new Trial('a', 'b');
    trial.settings = EACH_BATCH;
    await trial.crash(counting);
    const { log } = trial;
    await trial.crashAt('checkpoint-written', counting);
    expect(trial.keys('head/')).toHaveLength(2);
    trial.log = log;
    for (let start = 1; start <= 2; start++) expect(await trial.refused(counting)).toMatchObject({ code: 'STREAM_CHECKPOINT_AHEAD' });
  });
});

describe('a sink', () => {
  it('that is restored from a backup while the driver runs takes no further commit: the lost ones would never be missed', async () => {
    const trial = new Trial('a');
    const context = await trial.start(counting);
    await trial.until(() => trial.rows().length === 1);
    const table = trial.table('totals');
    const backup = [...table.ledger].map(([owner, rows]) => [owner, new Map(rows)] as const);
    const { process } = trial;
    await trial.until(() => process.names.filter((name) => name === 'sink.committed').length === 3);
    table.ledger.clear();
    for (const [owner, rows] of backup) table.ledger.set(owner, rows);
    const commits = table.commits.length;
    await expect(trial.drive(context.awaitTermination())).rejects.toMatchObject({ code: 'STREAM_SINK_CONFLICT' });
    expect(table.commits).toHaveLength(commits);
  });
  /** One program on the directory, and on a copy of it that was made while its record waited. */
  async function copied(): Promise<{ readonly trial: Trial; readonly copy: Trial; readonly both: (world: Trial) => Build }> {
    const both =
      (world: Trial): Build =>
      ({ words }) => {
        const pairs = words.repartition(1, { uid: 'one' }).map((word): Pair => [word, 1]);
        for (const name of ['first', 'second']) pairs.saveTo(world.sink(name), { uid: name });
      };
    const trial = new Trial('a');
    trial.settings = { batchInterval: milliseconds(10_000) };
    for (const name of ['first', 'second']) trial.table(name);
    await trial.crash(both(trial), 300);
    expect(trial.source.acknowledged).toBe(1);
    const copy = copyOf(trial, '', 'b');
    copy.settings = trial.settings;
    copy.source.acknowledged = 1;
    return { trial, copy, both };
  }
  it('lets no copy of the directory in under the epoch that it knows: two drivers would pass its fence', async () => {
    const { trial, copy, both } = await copied();
    await trial.crashAt('batch-planned', both(trial));
    expect(await copy.refused(both(copy))).toMatchObject({ code: 'STREAM_FENCED' });
  });
  it('tells the rows of a copy of the directory from those of this one: the same batch time is another plan', async () => {
    const { trial, copy, both } = await copied();
    await trial.crashAt('batch-planned', both(trial));
    await copy.crashAt('recovery-started', both(copy));
    await copy.crashAt('partition-committed', both(copy));
    expect([trial.rows('first').map(([word]) => word), trial.rows('second')]).toEqual([['a', 'b'], []]);
    await trial.crashAt('recovery-started', both(trial));
    const fences = JSON.stringify([...trial.table('second').fences.values()]);
    expect(await trial.refused(both(trial))).toMatchObject({
      code: 'STREAM_SINK_CONFLICT',
      message: expect.stringContaining('it is an old, emptied or wrong one') as string,
    });
    expect(trial.rows('second')).toEqual([]);
    expect(JSON.stringify([...trial.table('second').fences.values()])).toBe(fences);
  });
  it('is not claimed by a driver that another sink must refuse', async () => {
    const trial = new Trial('a', 'b');
    const both: Build = (parts) => {
      parts.words.map((word): Pair => [word, 1]).saveTo(trial.sink('first'), { uid: 'first' });
      copying(parts);
    };
    await trial.crash(both);
    const fences = JSON.stringify([...trial.table('first').fences.values()]);
    trial.table('totals').ledger.clear();
    expect(await trial.refused(both)).toMatchObject({ code: 'STREAM_SINK_CONFLICT' });
    expect(JSON.stringify([...trial.table('first').fences.values()])).toBe(fences);
  });
});
