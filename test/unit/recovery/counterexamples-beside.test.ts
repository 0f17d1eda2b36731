// Goal: what checkpoints that are written beside the batches, and copies of them in files, would lose without one rule each. Method: the shortest trace of each, told by its name; docs/counterexamples.md has
// the rules.
import { describe, expect, it } from 'vitest';
import type { ByteWriter } from '../../../src/core/bytes.ts';
import { Checkpoints, type CheckpointDraft, type StoredHead } from '../../../src/checkpoint/checkpoints.ts';
import { acceptHead } from '../../../src/checkpoint/accept-head.ts';
import { toBatchTime } from '../../../src/core/time.ts';
import { milliseconds, type CheckpointStore } from '../../../src/index.ts';
import { Checkpointer } from '../../../src/scheduler/checkpointer.ts';
import { KeyedState } from '../../../src/state/keyed-state.ts';
import { keepValue } from '../../../src/state/state-value.ts';
import { createSimCheckpointStore, ManualClock, settle, SimCheckpointImage, SimProcess } from '../../../src/testing/index.ts';
import { journalOn, TestLog } from '../../support/test-log.ts';
import { copying, counting, countsOf, longWords, Trial } from '../../support/trial.ts';

async function simulatedStore(): Promise<{ readonly image: SimCheckpointImage; readonly store: CheckpointStore }> {
  const image = new SimCheckpointImage();
  const store = createSimCheckpointStore(image, new SimProcess());
  await store.open('create');
  return { image, store };
}

describe('a checkpoint that fails beside the batches', () => {
  it('has no successor: the next one would lack what this one was to hold', async () => {
    const { store } = await simulatedStore();
    let fails = 1;
    const failing: CheckpointStore = {
      ...store,
      write: (changes) => {
        fails -= 1;
        return fails >= 0 ? Promise.reject(new Error('no room')) : store.write(changes);
      },
    };
    const { journal } = await journalOn(new TestLog());
    const checkpoints = new Checkpoints(failing);
    const state = new KeyedState('counts');
    state.merge(1, new Map([['a', keepValue(1)]]));
    const failures: Error[] = [];
    const checkpointer = new Checkpointer({
      app: 'app',
      storeId: 'store',
      codeVersion: '0',
      graph: { batchIntervalMs: 100, operators: [] },
      interval: milliseconds(100),
      clock: new ManualClock(0),
      journal,
      checkpoints,
      states: new Map([['counts', state]]),
      retained: [],
      nextNumber: 1,
      savepointNeeds: [],
      signal: new AbortController().signal,
      onCut: () => undefined,
      onPostponed: () => undefined,
      onFailed: (error) => void failures.push(error),
      isOwner: () => true,
      onCovered: () => undefined,
    });
    for (const time of [100, 200]) {
      // As the scheduler does behind each batch; nothing changes in the second.
      if (checkpointer.isDue(toBatchTime(time))) await checkpointer.begin(toBatchTime(time));
      await settle();
    }
    expect(failures.map(({ message }) => message)).toEqual(['no room']);
    expect((await checkpoints.heads()).whole).toEqual([]);
    await expect(checkpointer.write(toBatchTime(300))).rejects.toThrow('no room');
  });
});

describe('a checkpoint that is dropped', () => {
  it.each([
    ['as they were written', false],
    ['read back after a restart', true],
  ])('leaves the blobs that the two newest share with it, %s', async (_name, isReadBack) => {
    const { image, store } = await simulatedStore();
    const checkpoints = new Checkpoints(store);
    const slot = (index: number, keeps: CheckpointDraft['changed'][number]['keeps']): CheckpointDraft['changed'][number] => ({
      uid: 'counts',
      slot: index,
      entries: 1,
      kind: keeps.length === 0 ? 'base' : 'delta',
      keeps,
      replaces: [],
      write: (writer: ByteWriter) => void writer.raw(Buffer.from(`slot ${index}`)),
      written: () => undefined,
    });
    let newest: StoredHead | undefined;
    const write = async (number: number, touched: readonly number[]): Promise<void> => {
      const before = newest?.head.slots ?? [];
      const changed = touched.map((index) => slot(index, before.find((ref) => ref.slot === index)?.blobs ?? []));
      const kept = before.filter((ref) => !touched.includes(ref.slot));
      const base = { number, lsn: number, batchTime: number, app: 'app', storeId: 'store', metadata: '{}', previous: newest, ledger: Buffer.from('{}') };
      newest = await checkpoints.write({ ...base, changed, kept });
    };
    // Slot 1 never changes, slot 2 grows by a delta each time, slot 3 once.
    await write(1, [1, 2, 3]);
    await write(2, [2]);
    await write(3, [2, 3]);
    const { whole } = await checkpoints.heads();
    const written = isReadBack ? whole : [newest as StoredHead, ...whole.slice(1)];
    const [third, second, first] = written as [StoredHead, StoredHead, StoredHead];
    // What has not followed the checkpoints must look for what they share.
    await (isReadBack ? new Checkpoints(store) : checkpoints).drop(first, [third, second]);
    for (const { head } of [second, third]) {
      const refs = head.slots.flatMap(({ blobs }) => blobs);
      expect(await checkpoints.readBlobs([head.ledger, ...refs])).not.toContain(undefined);
    }
    expect([...image.values.keys()].filter((key) => key.endsWith(`1`.padStart(16, '0')))).toEqual([]);
  });
});

describe('a savepoint', () => {
  it('that is ahead of the log is not skipped: the log lost records', () => {
    const scene = { heads: [], damaged: [1], anchors: [], hasOrigin: false, log: { first: 1, last: 100 } };
    expect(acceptHead({ ...scene, savepoints: [{ name: 's', headHash: 'h', lsn: 101 }] })).toMatchObject({ kind: 'refuse', code: 'STREAM_CHECKPOINT_AHEAD' });
  });
  it('that took the place of damaged checkpoints is written into the next one whole: it may be forgotten then', async () => {
    const words = longWords(40);
    const trial = new Trial(...words);
    trial.settings = { checkpointInterval: milliseconds(100) };
    await trial.crash(counting, 3000);
    await trial.tool('savepoint', 'register', '/store', 'before');
    for (const key of trial.keys('')) trial.image.values.set(key, Buffer.from('nonsense'));
    expect(trial.isCut).toBe(true);
    await trial.finish(counting);
    await trial.tool('savepoint', 'forget', '/store', 'before');
    trial.feed(...words);
    await trial.finish(counting);
    expect(trial.counts()).toEqual(countsOf([...words, ...words]));
  });
  it('that is exported does not drop again what was dropped in its old log, and has come back since', async () => {
    const trial = new Trial('a', 'b', 'a');
    await trial.finish(counting);
    await trial.finish(copying, { accept: { dropState: ['counts'] } });
    trial.feed('a', 'a');
    await trial.finish(counting);
    expect(trial.counts()).toMatchObject({ a: 2 });
    await trial.tool('savepoint', 'export', '/store', '/out.savepoint');
    await trial.tool('savepoint', 'import', '/moved', '/out.savepoint');
    trial.directory = '/moved';
    trial.feed('a');
    await trial.finish(counting);
    expect(trial.counts()).toMatchObject({ a: 3 });
  });
  it('that is exported drops what was dropped since its checkpoint, once', async () => {
    const trial = new Trial('a', 'a');
    await trial.finish(counting);
    await trial.start(copying, { accept: { dropState: ['counts'] } });
    trial.die();
    await trial.tool('savepoint', 'export', '/store', '/out.savepoint');
    await trial.tool('savepoint', 'import', '/moved', '/out.savepoint');
    trial.directory = '/moved';
    for (const count of [1, 2]) {
      trial.feed('a');
      await trial.finish(counting);
      expect(trial.counts()).toEqual({ a: count });
    }
  });
});
