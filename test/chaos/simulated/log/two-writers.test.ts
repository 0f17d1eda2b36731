// Goal: a driver that was stopped (as by SIGSTOP) and wakes after another has taken over acknowledges nothing that the other does not have, and nothing comes twice. Method: the first one
// is stopped at every step of its start and of its appends, before and after the step takes effect; the second one starts, appends, and lets it go on.
import { describe, expect, it } from 'vitest';
import { createSimEnv, ManualClock, SeededRandom, settle, SimDisk, SimProcess, type SimProcessOptions } from '../../../../src/testing/index.ts';
import { newIdentity, readIdentity, watchIdentity, writeIdentity } from '../../../../src/journal/identity.ts';
import { raiseEpoch } from '../../../../src/journal/raise-epoch.ts';
import { openWal } from '../../../../src/wal/open-wal.ts';
import { scanWal } from '../../../../src/wal/scan.ts';
import { SegmentTakenError } from '../../../../src/wal/segment-files.ts';
import type { Wal } from '../../../../src/wal/wal.ts';

interface Driver {
  readonly wal: Wal;
  /** What its recovery found. */
  readonly found: readonly string[];
}

class Store {
  readonly disk = new SimDisk();
  #drivers = 0;
  /** What was acknowledged, by any driver, in the order in which it was told. */
  readonly acknowledged: string[] = [];

  async make(): Promise<void> {
    this.disk.makeDirectory('/journal');
    this.disk.syncDirectory('/');
    const env = this.#env(new SimProcess());
    await writeIdentity(env, '/', newIdentity(env, 'app'));
  }

  #env(process: SimProcess) {
    return createSimEnv({ disk: this.disk, process, clock: new ManualClock(0), random: new SeededRandom((this.#drivers += 1)) });
  }

  /** Starts a driver as a recovery does: raise, watch, scan, open; scan again if the segment was taken. */
  async start(process: SimProcess): Promise<Driver> {
    const env = this.#env(process);
    const identity = await readIdentity(env, '/', true);
    if (identity === undefined) throw new Error('there is no identity');
    const mine = await raiseEpoch(env, '/', identity);
    const watch = await watchIdentity(env, '/', mine);
    for (let scans = 0; scans < 5; scans++) {
      const found: string[] = [];
      const scanOptions = { files: env.files, directory: '/journal', storeId: mine.storeId, payloadBytesMax: 1 << 16, isSynced: true };
      const scan = await scanWal(scanOptions, (frame) => found.push(Buffer.from(frame.payload).toString()));
      try {
        const { wal } = await openWal(
          {
            env,
            directory: '/journal',
            storeId: mine.storeId,
            epoch: mine.epoch,
            incarnation: mine.incarnation,
            segmentBytesMax: 4300,
            recordBytesMax: 1000,
            groupBytesMax: 1000,
            idleMarkMs: 1000,
            isPrepared: false,
            isOwner: () => watch.isOwner(),
            onPoisoned: () => undefined,
          },
          scan,
        );
        return { wal, found };
      } catch (error) {
        if (!(error instanceof SegmentTakenError) || !watch.isOwner()) throw error;
      }
    }
    throw new Error('five scans were not enough');
  }

  /** Appends, and notes what is acknowledged. Resolves with the codes of what was not. */
  async append(wal: Wal, ...texts: readonly string[]): Promise<readonly string[]> {
    const codes: string[] = [];
    for (const text of texts) {
      try {
        await wal.append({ type: 1, payload: [Buffer.from(text)] });
        this.acknowledged.push(text);
      } catch (error) {
        codes.push((error as { code?: string }).code ?? String(error));
      }
    }
    return codes;
  }
}

const FIRST_TEXTS = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];

/** The first driver's life: it starts and appends. */
async function live(store: Store, process: SimProcess): Promise<readonly string[]> {
  try {
    const { wal } = await store.start(process);
    return await store.append(wal, ...FIRST_TEXTS);
  } catch (error) {
    return [(error as { code?: string }).code ?? String(error)];
  }
}

async function stepsOf(): Promise<readonly string[]> {
  const store = new Store();
  await store.make();
  const process = new SimProcess();
  expect(await live(store, process)).toEqual([]);
  return process.names;
}

describe('a driver that is stopped while another takes over', () => {
  it('acknowledges nothing that the other lacks, at every step, and nothing comes twice', async () => {
    const names = await stepsOf();
    const raisedAt = names.findIndex((name) => name.startsWith('file.rename')) + 1;
    let pauses = 0;
    const codes = new Set<string>();
    for (let at = 1; at <= names.length; at++) {
      for (const isAfter of [false, true]) {
        const where = `stopped ${isAfter ? 'after' : 'before'} step ${at}, ${names[at - 1]}`;
        const store = new Store();
        await store.make();
        const options: SimProcessOptions = { pauseAt: { at, isAfter } };
        const first = new SimProcess(options);
        const life = live(store, first);
        if ((await Promise.race([first.paused.then(() => 'paused'), life.then(() => 'over')])) === 'over') continue;
        pauses += 1;
        const told = [...store.acknowledged];
        const second = await store.start(new SimProcess());
        const secondCodes = await store.append(second.wal, 'x');
        first.resume();
        for (const code of await life) codes.add(code);
        await settle();
        const moreCodes = await store.append(second.wal, 'y');
        const last = await store.start(new SimProcess()).catch((error: unknown) => {
          throw new Error(`${where}: ${(error as Error).message}`, { cause: error });
        });
        // Whoever was told something finds it, once.
        expect({ where, missing: store.acknowledged.filter((text) => !last.found.includes(text)) }).toEqual({ where, missing: [] });
        expect({ where, count: new Set(last.found).size }).toEqual({ where, count: last.found.length });
        // A driver that had not raised the epoch yet does so when it wakes: then it is the newer one.
        if (at < raisedAt || (at === raisedAt && !isAfter)) continue;
        expect({ where, codes: [...secondCodes, ...moreCodes] }).toEqual({ where, codes: [] });
        const late = store.acknowledged.filter((text) => !told.includes(text) && FIRST_TEXTS.includes(text));
        expect({ where, missing: [...told, ...late].filter((text) => !second.found.includes(text)) }).toEqual({ where, missing: [] });
        expect({ where, log: last.found }).toEqual({ where, log: [...second.found, 'x', 'y'] });
      }
    }
    expect(pauses).toBeGreaterThan(60);
    expect([...codes].sort()).toEqual(expect.arrayContaining(['STREAM_FENCED']));
  });
});
