// What every checkpoint store must keep, as rules that need no test framework: users run them on stores of their own, with any.
import { toError } from '../core/errors.ts';
import type { CheckpointStore, StoreChange } from '../checkpoint/checkpoint-store.ts';

/** A place of its own for one store: a directory, a schema, an object in memory. */
export interface StorePlace {
  /** Makes a store on this place, which is not open yet. Called again for each time the store is opened. */
  readonly createStore: () => CheckpointStore;
  /** Takes the place away. */
  readonly remove?: () => void | Promise<void>;
}

/** A kind of checkpoint store, and what it can do. */
export interface StoreUnderTest {
  /** Makes a new place on which there is no store yet; called for each rule. */
  readonly createPlace: () => StorePlace | Promise<StorePlace>;
  /** Whether what was written is there when the place is opened again, with `existing`. Not so for a store in the memory of its process. */
  readonly isLasting: boolean;
  /** Whether a place that is open cannot be opened a second time. */
  readonly isExclusive: boolean;
}

interface Rule {
  readonly name: string;
  readonly needs?: 'isLasting' | 'isExclusive';
  /** Throws an error that says what was found. The stores it gets from `open` are closed behind it. */
  readonly check: (open: (mode: 'create' | 'existing') => Promise<CheckpointStore>) => Promise<void>;
}

const LARGE_BYTES = 8 * 1024 * 1024;
const MANY_KEYS = 500;
const ALL_BYTES = Uint8Array.from({ length: 256 }, (_unused, index) => index);

const put = (key: string, text: string): StoreChange => ({ kind: 'put', key, value: Buffer.from(text) });
const remove = (key: string): StoreChange => ({ kind: 'delete', key });

function show(value: Uint8Array | undefined): string {
  if (value === undefined) return 'nothing';
  return value.length > 40 ? `${value.length} bytes` : `"${Buffer.from(value).toString()}"`;
}

function isSame(left: Uint8Array | undefined, right: Uint8Array | undefined): boolean {
  return left === undefined || right === undefined ? left === right : Buffer.from(left).equals(right);
}

async function expectValues(store: CheckpointStore, expected: Readonly<Record<string, string | Uint8Array | undefined>>): Promise<void> {
  const keys = Object.keys(expected);
  const values = await store.read(keys);
  if (values.length !== keys.length) throw new Error(`read() of ${keys.length} keys must give as many values: it gave ${values.length}`);
  for (const [index, key] of keys.entries()) {
    const wanted = expected[key];
    const bytes = typeof wanted === 'string' ? Buffer.from(wanted) : wanted;
    if (!isSame(values[index], bytes)) throw new Error(`read() of "${key}" must give ${show(bytes)}: it gave ${show(values[index])}`);
  }
}

async function expectKeys(store: CheckpointStore, prefix: string, expected: readonly string[]): Promise<void> {
  const found = await store.keys(prefix);
  if (found.join(' ') !== expected.join(' '))
    throw new Error(`keys("${prefix}") must give ${expected.join(' ') || 'none'}: it gave ${found.join(' ') || 'none'}`);
}

async function expectRejection(what: string, promise: Promise<unknown>): Promise<void> {
  const isRejected = await promise.then(
    () => false,
    () => true,
  );
  if (!isRejected) throw new Error(`${what} must reject: it resolved`);
}

/** A change that cannot be read to its end, as one that a program has broken. */
function brokenChange(): StoreChange {
  return {
    kind: 'put',
    key: 'broken',
    get value(): Uint8Array {
      throw new Error('this change is broken');
    },
  };
}

const RULES: readonly Rule[] = [
  {
    name: 'open existing refuses a place without a store',
    check: async (open) => expectRejection("open('existing') of a place without a store", open('existing')),
  },
  {
    name: 'open create makes a store without keys',
    async check(open) {
      await expectKeys(await open('create'), '', []);
    },
  },
  {
    name: 'read gives values in the order of the keys',
    async check(open) {
      const store = await open('create');
      await store.write([put('a', '1'), put('b', '2'), put('c', '3')]);
      await expectValues(store, { c: '3', missing: undefined, a: '1', b: '2' });
      const twice = await store.read(['a', 'a']);
      if (!isSame(twice[0], twice[1]) || twice.length !== 2)
        throw new Error(`read() of one key twice must give its value twice: it gave ${twice.length} values`);
      if ((await store.read([])).length > 0) throw new Error('read() of no keys must give no values');
    },
  },
  {
    name: 'keys gives those with the prefix, in order',
    async check(open) {
      const store = await open('create');
      await store.write(['b/1', 'a/2', 'a/10', 'a', 'ab', 'a/1', 'a/1/x', 'A'].map((key) => put(key, key)));
      await expectKeys(store, 'a/', ['a/1', 'a/1/x', 'a/10', 'a/2']);
      await expectKeys(store, '', ['A', 'a', 'a/1', 'a/1/x', 'a/10', 'a/2', 'ab', 'b/1']);
      await expectKeys(store, 'c', []);
    },
  },
  {
    name: 'write applies changes in their order',
    async check(open) {
      const store = await open('create');
      await store.write([put('a', '1'), put('a', '2'), put('b', '1'), remove('b'), remove('c'), put('c', '1')]);
      await expectValues(store, { a: '2', b: undefined, c: '1' });
    },
  },
  {
    name: 'write replaces and deletes',
    async check(open) {
      const store = await open('create');
      await store.write([put('a', '1'), put('b', '1')]);
      await store.write([put('a', '2'), remove('b'), remove('missing')]);
      await store.write([]);
      await expectValues(store, { a: '2', b: undefined, missing: undefined });
      await expectKeys(store, '', ['a']);
    },
  },
  {
    name: 'write applies all changes or none',
    async check(open) {
      const store = await open('create');
      await store.write([put('a', '1'), put('b', '1')]);
      await expectRejection('write() of a change that cannot be read', (async () => store.write([put('a', '2'), remove('b'), brokenChange()]))());
      await expectValues(store, { a: '1', b: '1', broken: undefined });
    },
  },
  {
    name: 'read sees a write whole or not at all',
    async check(open) {
      const store = await open('create');
      const keys = Array.from({ length: MANY_KEYS }, (_unused, index) => `key/${index}`);
      await store.write(keys.map((key) => put(key, 'old')));
      const writing = store.write(keys.map((key) => put(key, 'new')));
      const seen = new Set((await store.read(keys)).map(show));
      await writing;
      if (seen.size > 1) throw new Error(`read() beside a write() must see it whole or not at all: it saw ${[...seen].join(' and ')}`);
      await expectValues(store, Object.fromEntries(keys.map((key) => [key, 'new'])));
    },
  },
  {
    name: 'what was given to write may be changed afterwards',
    async check(open) {
      const store = await open('create');
      const value = Buffer.from('value');
      await store.write([{ kind: 'put', key: 'a', value }]);
      value.fill(0);
      await expectValues(store, { a: 'value' });
    },
  },
  {
    name: 'what read gave may be changed',
    async check(open) {
      const store = await open('create');
      await store.write([put('a', 'value')]);
      (await store.read(['a']))[0]?.fill(0);
      await expectValues(store, { a: 'value' });
    },
  },
  {
    name: 'values are bytes of any kind and length',
    async check(open) {
      const store = await open('create');
      const large = Buffer.alloc(LARGE_BYTES, ALL_BYTES);
      const part = Buffer.concat([ALL_BYTES, ALL_BYTES]).subarray(100, 300);
      await store.write([
        { kind: 'put', key: 'none', value: new Uint8Array() },
        { kind: 'put', key: 'all', value: ALL_BYTES },
        { kind: 'put', key: 'part', value: part },
        { kind: 'put', key: 'large', value: large },
      ]);
      await expectValues(store, { none: '', all: ALL_BYTES, part, large });
    },
  },
  {
    name: 'close may be called again',
    async check(open) {
      const store = await open('create');
      await store.close();
      await store.close();
    },
  },
  {
    name: 'what was written is there when the place is opened again',
    needs: 'isLasting',
    async check(open) {
      const first = await open('create');
      await first.write([put('a', '1'), put('b', '1')]);
      await first.write([put('c', '1'), remove('b')]);
      await first.close();
      const second = await open('existing');
      await expectValues(second, { a: '1', b: undefined, c: '1' });
      await second.write([remove('a')]);
      await second.close();
      await expectKeys(await open('existing'), '', ['c']);
    },
  },
  {
    name: 'a place is open once',
    needs: 'isExclusive',
    async check(open) {
      const first = await open('create');
      await first.write([put('a', '1')]);
      await expectRejection('open() of a place that is open', open('existing'));
      await expectValues(first, { a: '1' });
    },
  },
];

async function checkRule(store: StoreUnderTest, { check }: Rule): Promise<void> {
  const place = await store.createPlace();
  const opened: CheckpointStore[] = [];
  try {
    await check(async (mode) => {
      const made = place.createStore();
      opened.push(made);
      await made.open(mode);
      return made;
    });
    for (const each of opened) await each.close();
  } catch (error) {
    // What the rule found is what counts.
    for (const each of opened) await each.close().catch(() => undefined);
    throw error;
  } finally {
    await place.remove?.();
  }
}

/**
 * Checks that a checkpoint store keeps the rules that recovery rests on, on places of its own. What no program can see from inside is not checked: that a write which resolved
 * survives the loss of power.
 *
 * @returns The names of the rules that were checked: all that the store says it can do.
 * @throws {Error} With the name of the first rule that the store breaks, and what was found.
 * @example
 * ```ts
 * import { checkStoreConformance, createSimCheckpointStore, SimCheckpointImage, SimProcess } from 'millrace/testing';
 *
 * const rules = await checkStoreConformance({
 *   createPlace() {
 *     const image = new SimCheckpointImage();
 *     return { createStore: () => createSimCheckpointStore(image, new SimProcess()) };
 *   },
 *   isLasting: true,
 *   isExclusive: true,
 * });
 * console.assert(rules.length > 10);
 * ```
 */
export async function checkStoreConformance(store: StoreUnderTest): Promise<readonly string[]> {
  const rules = RULES.filter(({ needs }) => needs === undefined || store[needs]);
  for (const rule of rules) {
    try {
      await checkRule(store, rule);
    } catch (thrown) {
      const error = toError(thrown);
      throw new Error(`Cannot use this checkpoint store as it must keep the rule "${rule.name}": ${error.message}`, { cause: error });
    }
  }
  return rules.map(({ name }) => name);
}
