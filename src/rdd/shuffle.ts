// The shuffle: records of equal key meet in one partition. The map side combines within its partition; the reduce side merges in the order of the map partitions,
// slot by slot, so that the same inputs always give the same rows in the same order.
import { detach } from '../core/detach.ts';
import { KEY_SLOTS, keyText, partitionOfSlot, slotOfText } from '../core/key-slot.ts';
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

/** The result of a shuffle, partition by partition. */
export interface Shuffled<C> {
  readonly partitionCount: number;
  /** The keys of each slot of a partition that has any, in the order of the slots. Runs the map side when it is asked first. */
  read(partition: number): Promise<ReadonlyMap<number, SlotGroups<C>>>;
}

async function runMapSide<K, V, C>(parent: RddNode<readonly [K, V]>, partition: number, aggregator: Aggregator<V, C>): Promise<MapOutput<C>> {
  const produce = await parent.prepare(partition);
  const cells = new Map<string, Cell<C>>();
  produce((pair) => {
    const key = pair[0];
    const text = typeof key === 'string' && key.charCodeAt(0) !== 0 ? key : keyText(key);
    const cell = cells.get(text);
    if (cell === undefined) cells.set(text, { key, value: aggregator.create(pair[1]) });
    else cell.value = aggregator.add(cell.value, pair[1]);
  });
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

/** Shuffles pairs into `partitions` ranges of slots. */
export function shuffle<K, V, C>(
  parent: RddNode<readonly [K, V]>,
  aggregator: Aggregator<V, C>,
  options: { readonly name: string; readonly partitions: number; readonly tasks: TaskRunner },
): Shuffled<C> {
  const { name, partitions, tasks } = options;
  let outputs: Promise<readonly MapOutput<C>[]> | undefined;
  const mapAll = async (): Promise<readonly MapOutput<C>[]> => {
    const done: MapOutput<C>[] = [];
    for (let partition = 0; partition < parent.partitionCount; partition++) {
      done.push(await tasks.run(`map partition ${partition} of ${name}`, () => runMapSide(parent, partition, aggregator)));
    }
    return done;
  };
  return {
    partitionCount: partitions,
    async read(partition) {
      outputs ??= mapAll();
      const read = await outputs;
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

/** An aggregator that reduces with `f`. */
export function reducing<V>(f: (left: V, right: V) => V): Aggregator<V, V> {
  return {
    create: (value) => value,
    add: f,
    merge(parts) {
      let result = detach(parts[0]) as V;
      for (let index = 1; index < parts.length; index++) result = f(result, detach(parts[index]) as V);
      return result;
    },
  };
}

/** An aggregator that gathers all values in order. */
export function gathering<V>(): Aggregator<V, V[]> {
  return {
    create: (value) => [value],
    add: (values, value) => {
      values.push(value);
      return values;
    },
    merge(parts) {
      const all: V[] = [];
      for (const part of parts) for (const value of part) all.push(detach(value));
      return all;
    },
  };
}

/** The rows of a shuffle that reduces: pairs of key and value, slot by slot. */
export function shuffledPairs<K, V>(shuffled: Shuffled<V>): RddNode<[K, V]> {
  return {
    partitionCount: shuffled.partitionCount,
    async prepare(partition) {
      const slots = await shuffled.read(partition);
      return (push) => {
        for (const groups of slots.values()) for (const { key, value } of groups.values()) push([detach(key as K), value]);
      };
    },
  };
}
