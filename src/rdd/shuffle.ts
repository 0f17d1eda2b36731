// The shuffle: records of equal key meet in one partition. The map side combines within its partition; the reduce side merges in the order of the map partitions,
// slot by slot, so that the same inputs always give the same rows in the same order.
import { detach } from '../core/detach.ts';
import { KEY_SLOTS, keyText, partitionOfSlot, slotOfText } from '../core/key-slot.ts';
import { memoised } from '../core/memoised.ts';
import type { TaskRunner } from '../executor/task-runner.ts';
import type { RddNode } from './node.ts';

/** How the values of a key come together. */
export interface Aggregator<in V, C> {
  /** Begins with the first value. */
  create(value: V): C;
  /** Adds a value on the map side; may change `combined`. */
  add(combined: C, value: V): C;
  /** Brings the results of the map partitions together, in their order; must not change them, since a retry reads them again. */
  merge(parts: readonly C[]): C;
}

/** A key with what its values came to. */
export interface Combined<out C> {
  readonly key: unknown;
  readonly value: C;
}

/** Keys of one slot by their text. */
export type SlotGroups<C> = ReadonlyMap<string, Combined<C>>;

interface Cell<C> {
  readonly key: unknown;
  value: C;
}

/** The output of one map partition: per slot, the keys in the order in which they were first seen. */
type MapOutput<C> = ReadonlyMap<number, readonly (readonly [string, Cell<C>])[]>;

/** How a shuffle is done. */
export interface ShuffleSettings {
  /** Names it in errors. */
  readonly name: string;
  /** How many partitions it makes. */
  readonly partitions: number;
  readonly tasks: TaskRunner;
  /** So many keys stand in one `Map` at most. */
  readonly outputKeysMax?: number;
}

/** The result of a shuffle, partition by partition. */
export interface Shuffled<C> {
  /** What was shuffled. */
  readonly parent: RddNode<unknown>;
  readonly partitionCount: number;
  /** The keys of each slot of a partition that has any, in the order of the slots. Runs the map side when it is asked first. */
  read(partition: number): Promise<ReadonlyMap<number, SlotGroups<C>>>;
}

/** A `Map` of V8 takes no more than 2^24 keys: a map partition with more than half of that has several outputs, which are merged as those of several partitions. */
const OUTPUT_KEYS_MAX = 2 ** 23;

async function runMapSide<K, V, C>(
  parent: RddNode<readonly [K, V]>,
  partition: number,
  { aggregator, outputKeysMax }: { readonly aggregator: Aggregator<V, C>; readonly outputKeysMax: number },
): Promise<readonly MapOutput<C>[]> {
  const produce = await parent.prepare(partition);
  const outputs: MapOutput<C>[] = [];
  let cells = new Map<string, Cell<C>>();
  produce((pair) => {
    const key = pair[0];
    const text = typeof key === 'string' && key.charCodeAt(0) !== 0 ? key : keyText(key);
    const cell = cells.get(text);
    if (cell === undefined) cells.set(text, { key, value: aggregator.create(pair[1]) });
    else cell.value = aggregator.add(cell.value, pair[1]);
    if (cells.size < outputKeysMax) return;
    outputs.push(bySlot(cells));
    cells = new Map();
  });
  outputs.push(bySlot(cells));
  return outputs;
}

function bySlot<C>(cells: ReadonlyMap<string, Cell<C>>): MapOutput<C> {
  const slots = new Map<number, (readonly [string, Cell<C>])[]>();
  for (const entry of cells) {
    const slot = slotOfText(entry[0]);
    const entries = slots.get(slot);
    if (entries === undefined) slots.set(slot, [entry]);
    else entries.push(entry);
  }
  return slots;
}

function mergeSlot<C>(outputs: readonly MapOutput<C>[], slot: number, aggregator: Aggregator<never, C>): SlotGroups<C> | undefined {
  const parts = new Map<string, { readonly key: unknown; readonly values: C[] }>();
  for (const output of outputs) {
    for (const [text, cell] of output.get(slot) ?? []) {
      const part = parts.get(text);
      if (part === undefined) parts.set(text, { key: cell.key, values: [cell.value] });
      else part.values.push(cell.value);
    }
  }
  if (parts.size === 0) return undefined;
  const groups = new Map<string, Combined<C>>();
  for (const [text, { key, values }] of parts) groups.set(text, { key, value: aggregator.merge(values) });
  return groups;
}

/** Runs `work` for each partition of a dataset, one after another, each as a task of its own. */
export async function eachPartition<R>(
  parent: RddNode<unknown>,
  settings: Pick<ShuffleSettings, 'name' | 'tasks'>,
  work: (partition: number) => Promise<R>,
): Promise<readonly R[]> {
  const done: R[] = [];
  for (let partition = 0; partition < parent.partitionCount; partition++) {
    done.push(await settings.tasks.run(`map partition ${partition} of ${settings.name}`, () => work(partition)));
  }
  return done;
}

/** Shuffles pairs into ranges of slots. */
export function shuffle<K, V, C>(parent: RddNode<readonly [K, V]>, aggregator: Aggregator<V, C>, settings: ShuffleSettings): Shuffled<C> {
  const { partitions, outputKeysMax = OUTPUT_KEYS_MAX } = settings;
  const mapAll = memoised(async () => {
    const outputs = await eachPartition(parent, settings, (partition) => runMapSide(parent, partition, { aggregator, outputKeysMax }));
    return outputs.flat();
  });
  return {
    parent,
    partitionCount: partitions,
    async read(partition) {
      const read = await mapAll();
      const slots = new Map<number, SlotGroups<C>>();
      for (let slot = 0; slot < KEY_SLOTS; slot++) {
        if (partitionOfSlot(slot, partitions) !== partition) continue;
        const groups = mergeSlot(read, slot, aggregator);
        if (groups !== undefined) slots.set(slot, groups);
      }
      return slots;
    },
  };
}

/** The rows of a shuffle: pairs of key and value, slot by slot. */
export function shuffledPairs<K, V>(name: string, shuffled: Shuffled<V>): RddNode<[K, V]> {
  return {
    lineage: { name, parents: [shuffled.parent], isShuffled: true },
    partitionCount: shuffled.partitionCount,
    async prepare(partition) {
      const slots = await shuffled.read(partition);
      return (push) => {
        for (const groups of slots.values()) for (const { key, value } of groups.values()) push([detach(key as K), value]);
      };
    },
  };
}
