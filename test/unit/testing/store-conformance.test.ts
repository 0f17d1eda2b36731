// Goal: the conformance suite passes on each store we have, and each of its rules fails on a store that breaks it, for that reason. Method: the memory store with one thing wrong.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { CheckpointStore, StoreChange } from '../../../src/checkpoint/checkpoint-store.ts';
import { createLevelCheckpointStore } from '../../../src/checkpoint/level-checkpoint-store.ts';
import { createMemoryCheckpointStore } from '../../../src/checkpoint/memory-checkpoint-store.ts';
import {
  checkStoreConformance,
  createSimCheckpointStore,
  SimCheckpointImage,
  SimProcess,
  type StorePlace,
  type StoreUnderTest,
} from '../../../src/testing/index.ts';

const MEMORY: StoreUnderTest = { createPlace: () => ({ createStore: createMemoryCheckpointStore }), isLasting: false, isExclusive: false };

const SIMULATED: StoreUnderTest = {
  createPlace() {
    const image = new SimCheckpointImage();
    return { createStore: () => createSimCheckpointStore(image, new SimProcess()) };
  },
  isLasting: true,
  isExclusive: true,
};

const LEVEL: StoreUnderTest = {
  createPlace() {
    const root = mkdtempSync(join(tmpdir(), 'millrace-conformance-'));
    return { createStore: () => createLevelCheckpointStore(join(root, 'store')), remove: () => rmSync(root, { recursive: true }) };
  },
  isLasting: true,
  isExclusive: true,
};

/** A place in memory whose store lasts and is open once, made of another store by `change`. */
function brokenPlace(change: (store: CheckpointStore, shared: { isOpen: boolean; isMade: boolean }) => Partial<CheckpointStore>): StoreUnderTest {
  return {
    createPlace(): StorePlace {
      const image = new SimCheckpointImage();
      const shared = { isOpen: false, isMade: false };
      return {
        createStore() {
          const store = createSimCheckpointStore(image, new SimProcess());
          return { ...store, ...change(store, shared) };
        },
      };
    },
    isLasting: true,
    isExclusive: true,
  };
}

const only = (changes: readonly StoreChange[], kind: StoreChange['kind']): StoreChange[] => changes.filter((change) => change.kind === kind);

const BROKEN: readonly (readonly [rule: string, reason: string, store: StoreUnderTest])[] = [
  ['open existing refuses a place without a store', 'must reject: it resolved', brokenPlace((store) => ({ open: () => store.open('create') }))],
  [
    'open create makes a store without keys',
    'must give none: it gave format',
    brokenPlace((store) => ({
      async open(mode) {
        await store.open(mode);
        if (mode === 'create') await store.write([{ kind: 'put', key: 'format', value: Buffer.from('1') }]);
      },
    })),
  ],
  [
    'read gives values in the order of the keys',
    'read() of "c" must give "3": it gave "1"',
    brokenPlace((store) => ({ read: (keys) => store.read(keys.toSorted()) })),
  ],
  [
    'keys gives those with the prefix, in order',
    'it gave a/2 a/10 a/1/x a/1',
    brokenPlace((store) => ({ keys: async (prefix) => (await store.keys(prefix)).toReversed() })),
  ],
  [
    'write applies changes in their order',
    'read() of "b" must give nothing: it gave "1"',
    brokenPlace((store) => ({ write: (changes) => store.write([...only(changes, 'delete'), ...only(changes, 'put')]) })),
  ],
  [
    'write replaces and deletes',
    'read() of "b" must give nothing: it gave "1"',
    brokenPlace((store) => ({ write: (changes) => store.write(changes.some(({ key }) => key === 'missing') ? only(changes, 'put') : changes) })),
  ],
  [
    'write applies all changes or none',
    'read() of "a" must give "1": it gave "2"',
    brokenPlace((store) => ({
      async write(changes) {
        for (const change of changes) await store.write([change]);
      },
    })),
  ],
  [
    'read sees a write whole or not at all',
    'it saw "old" and "new"',
    brokenPlace((store) => ({
      async read(keys) {
        const half = await store.read(keys.slice(0, keys.length / 2));
        return [...half, ...(await store.read(keys.slice(keys.length / 2)))];
      },
      async write(changes) {
        await Promise.resolve();
        await store.write(changes);
      },
    })),
  ],
  [
    'what was given to write may be changed afterwards',
    'must give "value": it gave "\0\0\0\0\0"',
    brokenPlace((store) => {
      const given = new Map<string, Uint8Array>();
      return {
        async write(changes) {
          await store.write(changes);
          for (const change of changes) if (change.kind === 'put') given.set(change.key, change.value);
        },
        read: async (keys) =>
          (await store.read(keys)).map((value, index) => (value === undefined ? value : Buffer.from(given.get(keys[index] ?? '') ?? value))),
      };
    }),
  ],
  [
    'what read gave may be changed',
    'must give "value": it gave "\0\0\0\0\0"',
    brokenPlace((store) => {
      const cache = new Map<string, Uint8Array | undefined>();
      return {
        async write(changes) {
          cache.clear();
          await store.write(changes);
        },
        async read(keys) {
          for (const [index, value] of (await store.read(keys)).entries()) if (!cache.has(keys[index] ?? '')) cache.set(keys[index] ?? '', value);
          return keys.map((key) => cache.get(key));
        },
      };
    }),
  ],
  [
    'values are bytes of any kind and length',
    'read() of "all" must give 256 bytes: it gave',
    brokenPlace((store) => ({
      write: (changes) =>
        store.write(changes.map((change) => (change.kind === 'put' ? { ...change, value: Buffer.from(Buffer.from(change.value).toString()) } : change))),
    })),
  ],
  [
    'close may be called again',
    'it is closed already',
    brokenPlace((store) => {
      let isClosed = false;
      return {
        close() {
          if (isClosed) return Promise.reject(new Error('it is closed already'));
          isClosed = true;
          return store.close();
        },
      };
    }),
  ],
  [
    'what was written is there when the place is opened again',
    'read() of "a" must give "1": it gave nothing',
    brokenPlace((store, shared) => ({
      async open(mode) {
        if (mode === 'existing' && !shared.isMade) return store.open(mode);
        shared.isMade = true;
        return store.open(shared.isOpen ? 'existing' : 'create').finally(() => (shared.isOpen = true));
      },
      close: () => store.close().finally(() => (shared.isOpen = false)),
    })),
  ],
  [
    'a place is open once',
    'must reject: it resolved',
    brokenPlace((store, shared) => ({
      async open(mode) {
        if (!shared.isMade || !shared.isOpen) await store.open(mode);
        shared.isMade = true;
        shared.isOpen = true;
      },
      close: () => store.close().finally(() => (shared.isOpen = false)),
    })),
  ],
];

const STORES: readonly (readonly [string, StoreUnderTest, number])[] = [
  ['level', LEVEL, 14],
  ['simulated', SIMULATED, 14],
  ['memory', MEMORY, 12],
];

describe('checkStoreConformance()', () => {
  it.each(STORES)('passes on the %s store', async (_name, store, rules) => {
    expect(await checkStoreConformance(store)).toHaveLength(rules);
  });
  it('has a broken store for each rule', async () => {
    expect(BROKEN.map(([rule]) => rule)).toEqual(await checkStoreConformance(SIMULATED));
  });
  it.each(BROKEN)('fails a store that breaks the rule "%s"', async (rule, reason, store) => {
    await expect(checkStoreConformance(store)).rejects.toThrow(`the rule "${rule}"`);
    await expect(checkStoreConformance(store)).rejects.toThrow(reason);
  });
  it('takes the place away, also of a rule that is broken', async () => {
    let there = 0;
    const [, , store] = BROKEN[5] ?? ['', '', MEMORY];
    const createPlace = async (): Promise<StorePlace> => {
      there += 1;
      return { ...(await store.createPlace()), remove: () => void (there -= 1) };
    };
    await expect(checkStoreConformance({ ...store, createPlace })).rejects.toThrow('write replaces and deletes');
    expect(there).toBe(0);
  });
});
