// Goal: for random programs and random deaths, state and output are what a fold of the batches from scratch gives, byte for byte. Method: programs drawn from a seed, with functions that change the state
// they are handed and throw; up to ten deaths each, also inside recoveries; a fold in plain JavaScript that shares no code with the engine but the default codec.
import { describe, expect, it } from 'vitest';
import { Checkpoints } from '../../../src/checkpoint/checkpoints.ts';
import { encodeValue } from '../../../src/core/value-codec.ts';
import { milliseconds, StreamingContext } from '../../../src/index.ts';
import { JSON_CODEC, textCodec } from '../../../src/state/state-codec.ts';
import { msgpackCodec } from '../../../src/state/msgpack-codec.ts';
import { KeyedState } from '../../../src/state/keyed-state.ts';
import type { StateSettings } from '../../../src/state/state-slot.ts';
import { showValue } from '../../../src/state/state-value.ts';
import {
  createSimCheckpointStore,
  createSimSink,
  ManualClock,
  ScriptedSource,
  SeededRandom,
  SimCheckpointImage,
  SimDisk,
  SimProcess,
  SimTable,
} from '../../../src/testing/index.ts';
import { crash } from './crash.ts';
import { LIFE_SETTINGS, liveIn, type LifeWorld } from './life.ts';

const SEEDS = process.env['CHAOS_LONG'] === '1' ? 1500 : 60;
const FIRST_SEED = Number(process.env['SEED'] ?? 1);
const DEATHS_MAX = 10;

type Entry = readonly [key: string, n: number];
interface Total {
  readonly sum: number;
  readonly seen: Set<number>;
}
interface Session {
  readonly begun: number;
  readonly notes: Map<string, number>;
}
type SessionRow = readonly ['open' | 'closed', string, number];

/** A program drawn from a seed: what it does is the same in every life, over how many partitions may differ. */
interface Spec {
  readonly records: readonly Entry[];
  readonly timeoutMs: number;
  readonly checkpointMs: number;
  /** A sum of this many removes the key. */
  readonly removesAt: number;
  /** Records at which functions throw when they meet them for the first time in a life. */
  readonly throwsAt: ReadonlySet<number>;
  readonly isBinary: boolean;
}

function drawSpec(random: SeededRandom): Spec {
  const keys = Array.from({ length: 1 + random.integer(9) }, (_, index) => `k${index}`);
  const records = Array.from({ length: 12 + random.integer(40) }, (_, index): Entry => [keys[random.integer(keys.length)] ?? '', index]);
  return {
    records,
    timeoutMs: 50 + random.integer(400),
    checkpointMs: 100 * (1 + random.integer(4)),
    removesAt: 3 + random.integer(6),
    throwsAt: new Set(Array.from({ length: random.integer(6) }, () => random.integer(records.length))),
    isBinary: random.integer(2) === 0,
  };
}

interface RandomWorld extends LifeWorld {
  readonly spec: Spec;
  readonly copies: SimTable<unknown>;
  readonly totals: SimTable<unknown>;
  readonly sessions: SimTable<unknown>;
  readonly source: ScriptedSource<Entry>;
  readonly times: Set<number>;
}

/** What becomes of a total; the same in the program and in the fold. */
function total(values: readonly number[], before: Total | undefined, removesAt: number): Total | undefined {
  const seen = new Set([...(before?.seen ?? []), ...values]);
  return seen.size >= removesAt ? undefined : { sum: (before?.sum ?? 0) + values.reduce((sum, n) => sum + n, 0), seen };
}

function createProgram(world: RandomWorld, process: SimProcess, numPartitions: number): StreamingContext {
  const { spec } = world;
  const met = new Set<string>();
  /** Throws once for each record and function of a life: after the caller has spoilt what it was handed. */
  const mayThrow = (where: string, n: number | undefined): void => {
    if (n === undefined || !spec.throwsAt.has(n) || met.has(`${where} ${n}`)) return;
    met.add(`${where} ${n}`);
    throw new Error(`record ${n} is not liked`);
  };
  const context = new StreamingContext({ appName: 'random', ...LIFE_SETTINGS, checkpointInterval: milliseconds(spec.checkpointMs), taskAttemptsMax: 50 });
  const records = context.receiverStream(world.source.receiver(process), { uid: 'source' });
  records.saveTo(createSimSink(world.copies, process), { uid: 'copies' });
  records
    .updateStateByKey<Total>(
      (values, before) => {
        const next = total(values, before, spec.removesAt);
        before?.seen.add(-1);
        mayThrow('total', values.at(-1));
        return next;
      },
      { uid: 'totals', numPartitions },
    )
    .saveTo(createSimSink(world.totals, process), { uid: 'totals-table' });
  records
    .mapWithState<Session, SessionRow>(
      (key, n, state) => {
        const { notes, begun } = state.getOption() ?? { notes: new Map<string, number>(), begun: state.time };
        if (state.isTimingOut()) return ['closed', key, notes.size];
        const next = new Map([...notes, [`n${String(n)}`, begun]]);
        notes.clear();
        state.update({ begun, notes: next });
        mayThrow('session', n);
        return ['open', key, next.size];
      },
      {
        uid: 'sessions',
        numPartitions: numPartitions + 1,
        timeout: milliseconds(spec.timeoutMs),
        state: spec.isBinary ? { codec: msgpackCodec<Session>() } : {},
      },
    )
    .saveTo(createSimSink(world.sessions, process), { uid: 'sessions-table' });
  records.foreachRDD((_rdd, { time }) => void world.times.add(time), { uid: 'times' });
  return context;
}

/** Records by batch, in the order of the source, as they were put out. */
function batchesOf(world: RandomWorld): readonly (readonly [number, readonly Entry[]])[] {
  const commits = world.copies.commits.toSorted((left, right) => left.key.batchTime - right.key.batchTime || left.key.partitionId - right.key.partitionId);
  return [...world.times]
    .sort((left, right) => left - right)
    .map((time) => [time, commits.flatMap(({ key, rows }) => (key.batchTime === time ? (rows as readonly Entry[]) : []))]);
}

function grouped(entries: readonly Entry[]): Map<string, number[]> {
  const groups = new Map<string, number[]>();
  for (const [key, n] of entries) groups.set(key, [...(groups.get(key) ?? []), n]);
  return groups;
}

interface Folded {
  readonly totals: Map<string, Total>;
  readonly sessions: Map<string, Session & { readonly at: number }>;
  /** What was put out, by batch. */
  readonly rows: { readonly totals: string[]; readonly sessions: string[] };
}

/** The fold from scratch. */
function fold(world: RandomWorld): Folded {
  const { removesAt, timeoutMs } = world.spec;
  const totals = new Map<string, Total>();
  const sessions = new Map<string, Session & { readonly at: number }>();
  const rows = { totals: [] as string[], sessions: [] as string[] };
  for (const [time, entries] of batchesOf(world)) {
    const groups = grouped(entries);
    for (const key of new Set([...totals.keys(), ...groups.keys()])) {
      const next = total(groups.get(key) ?? [], totals.get(key), removesAt);
      if (next === undefined) totals.delete(key);
      else totals.set(key, next);
    }
    for (const [key, value] of totals) rows.totals.push(encodeValue([time, key, value]));
    for (const [key, values] of groups) {
      for (const n of values) {
        const { begun = time, notes = new Map<string, number>() } = sessions.get(key) ?? {};
        sessions.set(key, { begun, notes: new Map([...notes, [`n${n}`, begun]]), at: time });
        rows.sessions.push(encodeValue([time, ['open', key, notes.size + 1]]));
      }
    }
    for (const [key, { at, notes }] of sessions) {
      if (at >= time - timeoutMs) continue;
      sessions.delete(key);
      rows.sessions.push(encodeValue([time, ['closed', key, notes.size]]));
    }
  }
  return { totals, sessions, rows };
}

/** What the newest checkpoint holds of an operator, as texts. */
async function stored(world: RandomWorld, uid: string, settings: StateSettings): Promise<readonly string[]> {
  const store = createSimCheckpointStore(world.image, new SimProcess());
  world.image.owner = undefined;
  await store.open('existing');
  const checkpoints = new Checkpoints(store);
  const [newest] = (await checkpoints.heads()).whole;
  const refs = newest?.head.slots.filter((slot) => slot.uid === uid) ?? [];
  const slots = await Promise.all(
    refs.map(async (ref) => ({ ref, payloads: (await checkpoints.readBlobs(ref.blobs)).map((blob) => blob ?? new Uint8Array()) })),
  );
  const state = new KeyedState(uid, settings, slots);
  const texts: string[] = [];
  for (let slot = 0; slot < 1024; slot++) for (const [key, entry] of state.slot(slot)) texts.push(encodeValue([key, showValue(entry, state.codec), entry.at]));
  return texts.sort();
}

function committed(table: SimTable<unknown>, row: (time: number, row: unknown) => string): readonly string[] {
  return table.commits.flatMap(({ key, rows }) => rows.map((each) => row(key.batchTime, each))).sort();
}

async function live(seed: number): Promise<{ readonly world: RandomWorld; readonly deaths: number }> {
  const random = new SeededRandom(seed);
  const spec = drawSpec(random);
  const world: RandomWorld = {
    spec,
    disk: new SimDisk(),
    image: new SimCheckpointImage(),
    clock: new ManualClock(1_700_000_000_000),
    random: new SeededRandom(seed + 1),
    copies: new SimTable(),
    totals: new SimTable(),
    sessions: new SimTable(),
    source: new ScriptedSource<Entry>({ records: spec.records, window: 1 + random.integer(3) }),
    times: new Set(),
  };
  let deaths = 0;
  for (let life = 0; life <= DEATHS_MAX; life++) {
    // Every third death comes so early that it falls into the recovery from the one before.
    const killAt = life === DEATHS_MAX ? undefined : 1 + random.integer(life % 3 === 2 ? 60 : 500);
    const numPartitions = 1 + random.integer(4);
    const program = { create: (process: SimProcess) => createProgram(world, process, numPartitions), isDone: () => world.source.isDone };
    const { end } = await liveIn(world, program, killAt === undefined ? {} : { killAt });
    if (end.kind === 'failed') throw new Error(`seed ${seed}, life ${life}: ${end.error.message}`, { cause: end.error });
    if (end.kind === 'died') {
      deaths += 1;
      crash(world, random.integer(2) === 0 ? 'kill' : 'power', seed + life);
    }
  }
  return { world, deaths };
}

describe('random programs', () => {
  it(`are what a fold from scratch gives, seeds ${FIRST_SEED} to ${FIRST_SEED + SEEDS - 1}`, async () => {
    let deaths = 0;
    let closed = 0;
    for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
      const { world, deaths: died } = await live(seed);
      deaths += died;
      const expected = fold(world);
      const records = world.copies.commits.flatMap(({ rows }) => rows.map((row) => (row as Entry)[1]));
      const { totals, sessions } = expected;
      closed += expected.rows.sessions.filter((row) => row.includes('closed')).length;
      expect({
        seed,
        records: records.toSorted((left, right) => left - right),
        totals: await stored(world, 'totals', { codecs: [JSON_CODEC], isOrdered: false, isScanned: true }),
        sessions: await stored(world, 'sessions', {
          codecs: [world.spec.isBinary ? textCodec(msgpackCodec()) : JSON_CODEC, JSON_CODEC],
          isOrdered: true,
          isScanned: false,
        }),
        totalRows: committed(world.totals, (time, row) => encodeValue([time, ...(row as Entry)])),
        sessionRows: committed(world.sessions, (time, row) => encodeValue([time, row])),
      }).toEqual({
        seed,
        records: world.spec.records.map(([, n]) => n),
        totals: [...totals].map(([key, value]) => encodeValue([key, value, 0])).sort(),
        sessions: [...sessions].map(([key, { begun, notes, at }]) => encodeValue([key, { begun, notes }, at])).sort(),
        totalRows: expected.rows.totals.sort(),
        sessionRows: expected.rows.sessions.sort(),
      });
    }
    // Not vacuous.
    expect(deaths).toBeGreaterThan(SEEDS);
    expect(closed).toBeGreaterThan(SEEDS);
  });
});
