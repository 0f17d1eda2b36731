// A second fixed run: two receivers that share the log, a directory into which files are moved while it runs, a join, and two sinks, one of them files.
import { StreamingContext } from '../../../src/index.ts';
import { createFileSink } from '../../../src/sinks/file-sink.ts';
import {
  createSimFileSystem,
  createSimSink,
  ManualClock,
  ScriptedSource,
  SeededRandom,
  SimCheckpointImage,
  SimDisk,
  SimTable,
  type SimProcess,
  type SimProcessOptions,
} from '../../../src/testing/index.ts';
import { LIFE_SETTINGS, liveIn, type Life, type LifeWorld } from './life.ts';

type Entry = readonly [string, number];
type Copy = readonly ['left' | 'right' | 'file', string, number];

const KEYS = ['a', 'b', 'c'];
const entries = (count: number): readonly Entry[] => Array.from({ length: count }, (_, index) => [KEYS[index % KEYS.length] ?? '', index]);
const LEFT = entries(7);
const RIGHT = entries(6);
const FILES = [entries(2), entries(3), entries(1)];

/** Everything that survives a process. */
export interface JoinWorld extends LifeWorld {
  readonly copies: SimTable<Copy>;
  readonly left: ScriptedSource<Entry>;
  readonly right: ScriptedSource<Entry>;
}

/** Makes a world in which nothing has happened. Files are moved in by the clock, whoever lives then. */
export function createJoinWorld(seed: number): JoinWorld {
  const disk = new SimDisk();
  const clock = new ManualClock(1_700_000_000_000);
  for (const directory of ['/in', '/aside']) disk.makeDirectory(directory);
  disk.syncDirectory('/');
  for (const [index, records] of FILES.entries()) {
    clock.setTimer(50 + index * 130, () => {
      const path = `/aside/f${index}`;
      disk.create(path);
      const file = disk.open(path);
      file.write(Buffer.from(records.map((record) => `${JSON.stringify(record)}\n`).join('')), 0);
      file.sync();
      disk.rename(path, `/in/f${index}`);
      disk.syncDirectory('/in');
    });
  }
  return {
    disk,
    clock,
    image: new SimCheckpointImage(),
    random: new SeededRandom(seed),
    copies: new SimTable(),
    left: new ScriptedSource({ records: LEFT, window: 3 }),
    right: new ScriptedSource({ records: RIGHT, window: 2 }),
  };
}

function createProgram(world: JoinWorld, process: SimProcess): StreamingContext {
  const context = new StreamingContext({
    appName: 'join',
    ...LIFE_SETTINGS,
    defaultParallelism: 2,
  });
  const left = context.receiverStream(world.left.receiver(process), { uid: 'left' });
  const right = context.receiverStream(world.right.receiver(process), { uid: 'right' });
  const files = context.textFileStream('/in', { uid: 'files', newFilesOnly: false });
  const copies = [
    left.map(([key, n]): Copy => ['left', key, n]),
    right.map(([key, n]): Copy => ['right', key, n]),
    files.map((line): Copy => ['file', ...(JSON.parse(line) as [string, number])]),
  ];
  context.union(copies, { uid: 'all' }).saveTo(createSimSink(world.copies, process), { uid: 'copies' });
  left
    .join(right, { uid: 'joined' })
    .saveTo(createFileSink(createSimFileSystem(world.disk, process), { directory: '/out', format: 'ndjson' }), { uid: 'pairs' });
  return context;
}

function copiedAt(world: JoinWorld): ReadonlyMap<number, readonly Copy[]> {
  const batches = new Map<number, Copy[]>();
  for (const { key, rows } of world.copies.commits) batches.set(key.batchTime, [...(batches.get(key.batchTime) ?? []), ...rows]);
  return batches;
}

const count = (world: JoinWorld, of: Copy[0]): number => [...copiedAt(world).values()].flat().filter(([source]) => source === of).length;

/** Runs the program until both sources are done and all files are copied. */
export function liveJoin(world: JoinWorld, options: SimProcessOptions = {}): Promise<Life> {
  const isDone = (): boolean => world.left.isDone && world.right.isDone && count(world, 'file') >= FILES.flat().length;
  return liveIn(world, { create: (process) => createProgram(world, process), isDone }, options);
}

/** The pairs in the files of the sink, by batch. Reads the disk, nothing else. */
function pairsAt(world: JoinWorld): ReadonlyMap<number, readonly string[]> {
  const batches = new Map<number, string[]>();
  for (const name of world.disk.list('/out')) {
    const time = Number(/^part-(\d+)-\d+\.ndjson$/.exec(name)?.[1]);
    if (Number.isNaN(time)) continue;
    const lines = world.disk.readVolatile(`/out/${name}`).toString().trimEnd().split('\n');
    batches.set(time, [...(batches.get(time) ?? []), ...lines]);
  }
  return batches;
}

/** What is wrong in the sinks: records lost or doubled, pairs that are not those of their batch. Shares no code with the engine. */
export function joinFindings(world: JoinWorld): readonly string[] {
  const wrong: string[] = [];
  const all = [...copiedAt(world).values()].flat().map((copy) => JSON.stringify(copy));
  const expected = [
    ...LEFT.map(([key, n]) => JSON.stringify(['left', key, n])),
    ...RIGHT.map(([key, n]) => JSON.stringify(['right', key, n])),
    ...FILES.flat().map(([key, n]) => JSON.stringify(['file', key, n])),
  ];
  if (all.toSorted().join() !== expected.toSorted().join()) wrong.push(`copies are ${all.toSorted().join(' ')}`);
  const pairs = pairsAt(world);
  const copied = copiedAt(world);
  for (const time of new Set([...pairs.keys(), ...copied.keys()])) {
    const rows = copied.get(time) ?? [];
    const truth = rows.flatMap(([side, key, n]) =>
      side === 'left' ? rows.filter(([other, same]) => other === 'right' && same === key).map(([, , m]) => JSON.stringify([key, [n, m]])) : [],
    );
    const found = pairs.get(time) ?? [];
    if (found.toSorted().join() !== truth.toSorted().join()) wrong.push(`batch ${time} joined ${found.join(' ')}, not ${truth.join(' ')}`);
  }
  if ([...pairs.values()].flat().length === 0) wrong.push('nothing was joined');
  return wrong;
}
