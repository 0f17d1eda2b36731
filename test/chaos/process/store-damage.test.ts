// Goal: whatever happens to the files of LevelDB, a driver goes on with exactly the state it had, or refuses; it never shows a value that is wrong, missing or back from the dead, and
// never an empty state where there was one. Method: stores written by a program that is killed, copies with one thing damaged each, opened by the built package in another process that
// a supervisor would start again; the state is compared with a recount that shares no code with the engine. SEED=n chooses other places.
import { copyFileSync, cpSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SeededRandom } from '../../../src/testing/index.ts';
import { breakIndex, DamagedStores, flipBit } from '../../support/damaged-stores.ts';
import { stateAt } from '../../support/damage-records.mjs';

const SEED = Number(process.env['SEED'] ?? 1);
const IS_LONG = process.env['CHAOS_LONG'] === '1';
const random = new SeededRandom(SEED);

type Verdict = 'exact' | 'refused' | 'died, then refused';
type Opened = Awaited<ReturnType<DamagedStores['open']>>;

/** What came of a copy, or what is wrong with it. */
function judge(opened: Opened, until: number): Verdict | { readonly wrong: string } {
  const { rows, error, deaths, position, table } = opened;
  if (rows !== undefined) {
    const expected = stateAt(until);
    const found = new Map(rows);
    for (const [key, state] of expected) {
      const { count, sum } = state;
      if (JSON.stringify(found.get(key)) !== JSON.stringify(state))
        return { wrong: `"${key}" must be ${JSON.stringify(state)}: it is ${JSON.stringify(found.get(key))}` };
      if (table[key] !== `${count} ${sum}`) return { wrong: `the row of "${key}" must be ${count} ${sum}: it is ${table[key]}` };
    }
    for (const key of found.keys()) if (!expected.has(key)) return { wrong: `"${key}" must not be there` };
    if (position !== until) return { wrong: `the source must go on at ${until}: it was asked to at ${position}` };
    if (error === undefined) return deaths === 0 ? 'exact' : { wrong: `it died ${deaths} times and then went on` };
  }
  const { code = '', exitCode = 0, message } = error ?? { message: 'no state and no error' };
  if (![74, 78].includes(exitCode) || !code.startsWith('STREAM_')) return { wrong: `${code}: ${message}` };
  if (deaths === 0) return 'refused';
  return code === 'STREAM_CHECKPOINT_CORRUPT' && exitCode === 78 && message.includes('an earlier start died of it') ? 'died, then refused' : { wrong: message };
}

/** Opens copies, each with a damage of its own, and counts what came of them. */
class Matrix {
  readonly stores: DamagedStores = new DamagedStores();
  readonly tally: Record<Verdict, number> = { exact: 0, refused: 0, 'died, then refused': 0 };
  readonly codes = new Set<string>();
  /** What a copy must never come to. */
  readonly wrong: string[] = [];
  until = 0;
  /** Its checkpoints from before its last life, and those of a copy that went on by itself. */
  older = '';
  other = '';

  async make({ lives, isCompacted }: Pick<StoreKind, 'lives' | 'isCompacted'>): Promise<void> {
    for (const [index, until] of lives.entries()) {
      if (index === lives.length - 1 && index > 0) {
        this.older = this.stores.keep('older');
        this.other = await this.stores.makeOther(until);
      }
      await this.stores.make(until, index === 0 && lives.length > 1 ? 'stop' : 'kill');
      this.until = until;
    }
    if (isCompacted) await this.stores.compact();
  }

  /** Damages a copy and has it opened; says what came of it. */
  async try(name: string, damage: (checkpoint: string) => void): Promise<Verdict | 'wrong'> {
    const opened = await this.stores.open(damage);
    const verdict = judge(opened, this.until);
    if (typeof verdict === 'object') {
      this.wrong.push(`SEED=${SEED}, ${name}: ${verdict.wrong}`);
      return 'wrong';
    }
    this.tally[verdict] += 1;
    if (opened.error !== undefined) this.codes.add(`${opened.error.exitCode} ${opened.error.code}`);
    return verdict;
  }

  /** Flips bits at places of a file. */
  async flip(name: string, places: readonly number[]): Promise<void> {
    for (const at of places) {
      const bit = random.integer(8);
      await this.try(`bit ${bit} of byte ${at} of ${name}`, (checkpoint) => flipBit(join(checkpoint, name), at, bit));
    }
  }

  /** Puts files of the older copy in their places. */
  restore(checkpoint: string, which: (name: string) => boolean): void {
    for (const name of readdirSync(this.older)) if (which(name)) copyFileSync(join(this.older, name), join(checkpoint, name));
  }
}

/** Places all over a file, the first and the last bytes among them. */
function spread(bytes: number, count: number): readonly number[] {
  return Array.from({ length: Math.min(count, bytes) }, (_unused, index) => Math.floor((index * (bytes - 1)) / Math.max(1, Math.min(count, bytes) - 1)));
}

const many = (count: number): number => (IS_LONG ? 5 * count : count);

function empty(directory: string): void {
  for (const name of readdirSync(directory)) rmSync(join(directory, name));
}

type Damage = (matrix: Matrix) => Promise<void>;

const DAMAGES: Readonly<Record<string, Damage>> = {
  async 'bits that flip in its .log'(matrix) {
    const [name = ''] = matrix.stores.files(/\.log$/);
    await matrix.flip(name, spread(matrix.stores.read(name).length, many(40)));
  },
  async 'a .log that is cut or gone'(matrix) {
    const [name = ''] = matrix.stores.files(/\.log$/);
    const { length } = matrix.stores.read(name);
    for (const part of [0, 0.01, 0.25, 0.5, 0.75, 0.99])
      await matrix.try(`${name} cut to ${part}`, (checkpoint) => truncateSync(join(checkpoint, name), Math.floor(length * part)));
    await matrix.try(`${name} removed`, (checkpoint) => rmSync(join(checkpoint, name)));
  },
  async 'damage of its MANIFEST and CURRENT'(matrix) {
    const [name = ''] = matrix.stores.files(/^MANIFEST/);
    const { length } = matrix.stores.read(name);
    for (const less of [1, 10, 40, length])
      await matrix.try(`${name} short by ${less}`, (checkpoint) => truncateSync(join(checkpoint, name), Math.max(0, length - less)));
    await matrix.try(`${name} removed`, (checkpoint) => rmSync(join(checkpoint, name)));
    await matrix.flip(name, spread(length, many(30)));
    for (const text of ['', 'MANIFEST-000001', 'MANIFEST-999999\n', '\0\0\0\0'])
      await matrix.try(`CURRENT is ${JSON.stringify(text)}`, (checkpoint) => writeFileSync(join(checkpoint, 'CURRENT'), text));
    expect(await matrix.try('CURRENT removed', (checkpoint) => rmSync(join(checkpoint, 'CURRENT')))).toBe('refused');
  },
  async 'the loss of its directory, and of all that is in it'(matrix) {
    expect(await matrix.try('removed', (checkpoint) => rmSync(checkpoint, { recursive: true }))).toBe('refused');
    expect(await matrix.try('emptied', empty)).toBe('refused');
  },
  async 'bits that flip in its tables, and tables that are cut or gone'(matrix) {
    const names = matrix.stores.files(/\.ldb$/);
    expect(names).not.toEqual([]);
    for (const name of names) {
      const { length } = matrix.stores.read(name);
      await matrix.flip(
        name,
        Array.from({ length: Math.ceil(many(120) / names.length) }, () => random.integer(length)),
      );
      // The index and the footer: where LevelDB checks by assertions.
      await matrix.flip(
        name,
        Array.from({ length: many(40) }, () => length - 1 - random.integer(Math.min(length, 1500))),
      );
      await matrix.try(`${name} cut in half`, (checkpoint) => truncateSync(join(checkpoint, name), length >> 1));
      await matrix.try(`${name} removed`, (checkpoint) => rmSync(join(checkpoint, name)));
    }
  },
  async 'an older copy of its files, all or some'(matrix) {
    const names = readdirSync(matrix.older);
    await matrix.try('all of an older copy', (checkpoint) => {
      empty(checkpoint);
      matrix.restore(checkpoint, () => true);
    });
    await matrix.try('an older copy over it', (checkpoint) => matrix.restore(checkpoint, () => true));
    await matrix.try('an older MANIFEST and CURRENT', (checkpoint) => matrix.restore(checkpoint, (name) => /^(MANIFEST|CURRENT)/.test(name)));
    await matrix.try('older tables', (checkpoint) => matrix.restore(checkpoint, (name) => name.endsWith('.ldb')));
    for (const each of names) await matrix.try(`an older ${each}`, (checkpoint) => matrix.restore(checkpoint, (name) => name === each));
    for (const each of matrix.stores.files(/\.(ldb|log)$/)) {
      await matrix.try(`all older but ${each}`, (checkpoint) => {
        for (const name of readdirSync(checkpoint)) if (name !== each) rmSync(join(checkpoint, name));
        matrix.restore(checkpoint, (name) => name !== each);
      });
    }
  },
  async 'the checkpoints of a copy that went on by itself'(matrix) {
    await matrix.try('the checkpoints of another life', (checkpoint) => {
      empty(checkpoint);
      cpSync(matrix.other, checkpoint, { recursive: true });
    });
  },
  async 'tables that kill its driver: once, and it is refused from then on'(matrix) {
    if (matrix.stores.files(/\.ldb$/).length === 0) await matrix.stores.compact();
    const verdict = await matrix.try('a broken index', (checkpoint) => {
      for (const name of matrix.stores.files(/\.ldb$/)) breakIndex(join(checkpoint, name));
    });
    expect(verdict).toBe('died, then refused');
  },
  async 'a driver that was killed while it opened it: another process tries it first'(matrix) {
    expect(await matrix.try('a mark', (checkpoint) => writeFileSync(join(checkpoint, '..', 'opening'), ''))).toBe('exact');
  },
};

interface StoreKind {
  readonly name: string;
  /** Up to where each life came; all but the first of several are killed. */
  readonly lives: readonly number[];
  /** Whether what is in the log of LevelDB is brought into tables. */
  readonly isCompacted: boolean;
  /** Damages that it cannot have. */
  readonly without: RegExp;
}

const STORES: readonly StoreKind[] = [
  { name: 'of one life, its log whole', lives: [700], isCompacted: false, without: /its tables|copy/ },
  { name: 'of one life, its log whole, in tables', lives: [700], isCompacted: true, without: /copy|\.log/ },
  { name: 'of three lives, its log cut', lives: [400, 700, 1000], isCompacted: false, without: /^$/ },
];

describe.each(STORES)('a store $name', (kind) => {
  let matrix: Matrix;

  beforeAll(async () => {
    matrix = new Matrix();
    await matrix.make(kind);
  });
  afterAll(async () => {
    process.stderr.write(`store-damage: ${JSON.stringify(matrix.tally)} ${[...matrix.codes].sort().join(', ')}\n`);
    await matrix.stores.close();
  });

  it('that is whole is recovered exactly', async () => {
    expect([await matrix.try('no damage', () => undefined), matrix.wrong]).toEqual(['exact', []]);
  });
  it.each(Object.entries(DAMAGES).filter(([name]) => !kind.without.test(name)))('survives %s', async (_name, damage) => {
    await damage(matrix);
    expect(matrix.wrong).toEqual([]);
  });
  it('was damaged so that it is refused, and so that nothing came of it', () => {
    expect(matrix.tally.exact).toBeGreaterThan(5);
    expect(matrix.tally.refused).toBeGreaterThan(5);
  });
});
