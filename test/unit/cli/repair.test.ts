// Goal: a repair says what it gives up, changes nothing without consent, and does what it said with it, also when it is killed at any operation and run again.
import { beforeEach, describe, expect, it } from 'vitest';
import { encodeEvent } from '../../../src/journal/event-codec.ts';
import { SeededRandom } from '../../../src/testing/index.ts';
import { EVENTS, TestStore } from '../../support/test-store.ts';

let store: TestStore;

beforeEach(async () => {
  store = await TestStore.ofThree();
});

interface Told {
  readonly damage?: object;
  readonly cut?: { readonly lsn: number };
  readonly givenUp: readonly { readonly lsn: number; readonly kind: string }[];
  readonly unreadable: readonly object[];
  readonly checkpointsAhead: readonly object[];
  readonly steps: readonly { readonly kind: string; readonly segment: number }[];
  readonly result?: { readonly verdict: string; readonly copies: readonly string[] };
}

/** Runs a repair without consent, which must change nothing. */
async function propose(...words: readonly string[]): Promise<{ readonly code: number; readonly told: Told }> {
  const before = store.content();
  const { process, ran } = await store.runIn({}, 'wal', 'repair', '/', '--json', ...words);
  expect(store.content()).toEqual(before);
  expect(process.names.filter((name) => name.startsWith('store.'))).toEqual([]);
  return { code: ran?.code ?? -1, told: JSON.parse(ran?.out[0] ?? '{}') as Told };
}

function cutAt(lsn: number): readonly string[] {
  return ['wal', 'repair', '/', '--truncate-at', String(lsn), '--i-accept-loss'];
}

const lsnsOf = ({ givenUp }: Told): readonly number[] => givenUp.map(({ lsn }) => lsn);

async function lsnsLeft(): Promise<readonly number[]> {
  const { out } = await store.run('wal', 'dump', '/', '--json');
  return out.map((line) => (JSON.parse(line) as { lsn: number }).lsn);
}

/** The numbers from 1 up to, not including, `end`. */
function upTo(end: number): readonly number[] {
  return Array.from({ length: end - 1 }, (_unused, index) => index + 1);
}

/** Ways to damage a log of three segments, the cut, what is given up and can be read, and what cannot. */
const DAMAGES: readonly {
  readonly name: string;
  readonly damage: () => void;
  readonly lsn: number;
  readonly readable: readonly number[];
  readonly unreadable: readonly object[];
}[] = [
  { name: 'a frame of an older segment', damage: () => store.log.flip(2, 4500), lsn: 6, readable: [7, 8, 9], unreadable: [{ from: 6, to: 6 }] },
  { name: 'a frame with others behind it', damage: () => store.log.flip(2, 4310), lsn: 5, readable: [6, 7, 8, 9], unreadable: [{ from: 5, to: 5 }] },
  { name: 'a frame of the newest segment', damage: () => store.log.flip(3, 4210), lsn: 8, readable: [9], unreadable: [{ from: 8, to: 8 }] },
  { name: 'the first frame of a segment', damage: () => store.log.flip(3, 4100), lsn: 7, readable: [8, 9], unreadable: [{ from: 7, to: 7 }] },
  { name: 'zeros in the place of a frame', damage: () => zero(2, 4488, 4616), lsn: 6, readable: [7, 8, 9], unreadable: [{ from: 6, to: 6 }] },
  { name: 'the header of the newest segment', damage: () => store.log.flip(3, 50), lsn: 8, readable: [], unreadable: [{ from: 8 }] },
  { name: 'a header in the middle', damage: () => store.log.flip(2, 50), lsn: 5, readable: [7, 8, 9], unreadable: [{ from: 5, to: 6 }] },
  { name: 'the first header', damage: () => store.log.flip(1, 50), lsn: 1, readable: [4, 5, 6, 7, 8, 9], unreadable: [{ from: 1, to: 3 }] },
  { name: 'a segment cut short', damage: () => store.log.truncate(2, 4400), lsn: 5, readable: [7, 8, 9], unreadable: [{ from: 5, to: 6 }] },
  { name: 'a missing segment', damage: () => store.log.disk.remove(store.log.path(2)), lsn: 5, readable: [7, 8, 9], unreadable: [{ from: 5, to: 6 }] },
];

function zero(segment: number, from: number, to: number): void {
  store.log.disk.overwrite(store.log.path(segment), store.log.disk.readVolatile(store.log.path(segment)).fill(0, from, to));
}

describe('without consent', () => {
  it.each(DAMAGES)('says what $name costs, and changes nothing', async ({ damage, lsn, readable, unreadable }) => {
    damage();
    for (const words of [[], ['--truncate-at', String(lsn)]]) {
      const { code, told } = await propose(...words);
      expect({ code, cut: told.cut?.lsn, readable: lsnsOf(told), unreadable: told.unreadable }).toEqual({ code: 2, cut: lsn, readable, unreadable });
    }
    expect((await propose('--truncate-at', String(lsn + 1))).code).toBe(64);
  });
  it('says where what is given up stands, also behind a damage', async () => {
    store.log.flip(2, 4310);
    expect((await propose()).told.givenUp[0]).toMatchObject({ lsn: 6, segment: 2, offset: 4488, stream: 'lines', blockId: '2-1', recordCount: 1 });
  });
  it('there is nothing to repair in a whole log, nor in one with a torn end', async () => {
    expect(await propose()).toMatchObject({ code: 0, told: { steps: [], givenUp: [] } });
    store.log.flip(3, 4400);
    expect(await propose()).toMatchObject({ code: 0, told: { steps: [], givenUp: [] } });
  });
  it('any record of a whole log may be asked about', async () => {
    const { code, told } = await propose('--truncate-at', '6');
    expect({ code, givenUp: lsnsOf(told) }).toEqual({ code: 0, givenUp: [6, 7, 8, 9] });
    expect((await propose('--truncate-at', '10')).told.steps).toEqual([]);
    expect((await propose('--truncate-at', '11')).code).toBe(64);
  });
  it('a record before the first of the log may not', async () => {
    store.log.disk.remove(store.log.path(1));
    expect((await propose('--truncate-at', '3')).code).toBe(64);
    expect((await propose('--truncate-at', '4')).code).toBe(0);
  });
  it('a record that is no event is proposed, one of another version is not', async () => {
    const wal = await store.log.open();
    await wal.append({ type: 1, payload: [Buffer.from('no event')] });
    expect(await propose()).toMatchObject({ code: 2, told: { cut: { lsn: 10 } } });
    store = await TestStore.ofThree();
    await (await store.log.open()).append({ ...encodeEvent({ kind: 'closed' }), type: 99 });
    expect((await propose()).code).toBe(3);
  });
  it('checkpoints that the log names and that would be ahead are listed', async () => {
    await store.append(await store.log.open(), EVENTS.checkpoint(1, 5), EVENTS.checkpoint(2, 7));
    expect((await propose('--truncate-at', '6')).told.checkpointsAhead).toEqual([{ number: 2, lsn: 7 }]);
  });
});

describe('with consent', () => {
  it.each(DAMAGES)('cuts $name, keeps the bytes, and the log goes on', async ({ damage, lsn }) => {
    damage();
    const before = filesNow();
    const { code, out } = await store.run(...cutAt(lsn), '--json');
    expect({ code, told: JSON.parse(out[0] ?? '') as Told }).toMatchObject({ code: 0, told: { result: { verdict: 'clean' } } });
    expect(await lsnsLeft()).toEqual(upTo(lsn));
    expectKept(before);
    await store.append(await store.log.open(), { kind: 'closed' });
    expect(await lsnsLeft()).toEqual(upTo(lsn + 1));
  });
  it.each([1, 2, 4, 6, 7, 9])('a cut at %i that is done survives a power cut', async (lsn) => {
    for (let seed = 1; seed < 12; seed++) {
      store = await TestStore.ofThree();
      const before = filesNow();
      expect((await store.run(...cutAt(lsn))).code).toBe(0);
      store.log.disk.cutPower(new SeededRandom(seed));
      expect({ seed, left: await lsnsLeft() }).toEqual({ seed, left: upTo(lsn) });
      expectKept(before);
    }
  });
  it('run a second time it changes nothing', async () => {
    store.log.flip(2, 4500);
    await store.run(...cutAt(6));
    const before = store.content();
    expect((await store.run(...cutAt(6))).code).toBe(0);
    expect(store.content()).toEqual(before);
  });
  it('a cut inside a group leaves the records of the group before it', async () => {
    const wal = await store.log.open();
    await Promise.all(['3-2', '3-3', '3-4'].map((id) => store.append(wal, EVENTS.block(id))));
    expect((await store.run(...cutAt(11))).code).toBe(0);
    expect(await lsnsLeft()).toEqual(upTo(11));
    await store.append(await store.log.open(), EVENTS.block('3-5'));
    expect(await lsnsLeft()).toEqual(upTo(12));
  });
  it('a copy of an earlier repair is never written over', async () => {
    const whole = store.log.disk.readVolatile(store.log.path(3));
    await store.run(...cutAt(9));
    const cut = store.log.disk.readVolatile(store.log.path(3));
    await store.run(...cutAt(8));
    expect(store.log.disk.readVolatile(`${store.log.path(3)}.broken-5000`).equals(whole)).toBe(true);
    expect(store.log.disk.readVolatile(`${store.log.path(3)}.broken-5001`).equals(cut)).toBe(true);
  });
  it('is refused while a checkpoint was folded from what would go, with the number that is allowed', async () => {
    await store.writeCheckpoint(1, 3);
    await store.writeCheckpoint(2, 6);
    const before = store.content();
    const { code, err } = await store.run(...cutAt(6));
    expect({ code, text: err.join('\n') }).toEqual({ code: 2, text: expect.stringMatching(/checkpoint 2 .* record 6, .* allowed is 7\. Nothing was changed/) });
    expect(store.content()).toEqual(before);
    expect((await store.run(...cutAt(7))).code).toBe(0);
    expect(await lsnsLeft()).toEqual(upTo(7));
  });
  it('is refused where no number is allowed', async () => {
    store.log.flip(1, 4300);
    await store.writeCheckpoint(1, 6);
    expect((await store.run(...cutAt(2))).err.join('\n')).toContain('would be 7, the log is whole up to record 1 only');
  });
  it('is refused while the checkpoints cannot be read', async () => {
    store.image.isCreated = false;
    const before = store.content();
    expect((await store.run(...cutAt(6))).code).toBe(74);
    expect(store.content()).toEqual(before);
  });
  it('is refused while a driver has the directory', async () => {
    store.log.disk.lock('/');
    expect((await store.run(...cutAt(6))).code).toBe(4);
  });
  it('changes nothing of the log when there is no room for the copies', async () => {
    const before = filesNow();
    store.log.disk.capacityBytes = 15_000;
    expect((await store.run(...cutAt(6))).code).toBe(74);
    expect(filesNow()).toEqual(before);
  });
});

/** The log segments, by name. */
function filesNow(): ReadonlyMap<string, Buffer> {
  const names = store.log.segments().filter((name) => name.endsWith('.wal'));
  return new Map(names.map((name) => [name, store.log.disk.readVolatile(`/journal/${name}`)]));
}

/** Every segment that is not as it was stands in a copy, byte for byte. */
function expectKept(before: ReadonlyMap<string, Buffer>): void {
  const now = filesNow();
  for (const [name, bytes] of before) {
    if (now.get(name)?.equals(bytes) === true) continue;
    const copies = store.log.segments().filter((other) => other.startsWith(`${name}.broken-`) && !other.endsWith('.tmp'));
    expect({ name, isKept: copies.some((copy) => store.log.disk.readVolatile(`/journal/${copy}`).equals(bytes)) }).toEqual({ name, isKept: true });
  }
}

const CUTS: readonly { readonly name: string; readonly damage: () => void; readonly lsn: number }[] = [
  ...DAMAGES,
  { name: 'nothing, in the middle of the log', damage: () => undefined, lsn: 2 },
  { name: 'nothing, at the first record of a segment', damage: () => undefined, lsn: 4 },
  { name: 'nothing, at the first record of the newest segment', damage: () => undefined, lsn: 7 },
  { name: 'nothing, at the first record', damage: () => undefined, lsn: 1 },
];

describe.each(['kill', 'power'] as const)('death by %s at every operation of a repair of', (kind) => {
  it.each(CUTS)('$name: run again, the log is the same and the original is kept', async ({ damage, lsn }) => {
    const reached = new Set<string>();
    for (let killAt = 1; ; killAt++) {
      store = await TestStore.ofThree();
      damage();
      const before = filesNow();
      const { ran, process } = await store.runIn({ killAt }, ...cutAt(lsn));
      if (ran !== undefined) break;
      reached.add(process.names.at(-1)?.split(' ')[0] ?? '');
      if (kind === 'power') store.log.disk.cutPower(new SeededRandom(killAt));
      expectKept(before);
      const again = await store.run(...cutAt(lsn));
      expect({ killAt, code: again.code, err: again.err }).toEqual({ killAt, code: 0, err: [] });
      expect({ killAt, left: await lsnsLeft() }).toEqual({ killAt, left: upTo(lsn) });
      expectKept(before);
    }
    for (const step of ['file.link', 'file.syncDirectory', 'file.remove']) expect(reached).toContain(step);
  });
});
