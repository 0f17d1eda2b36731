// A partitioned dataset that is computed on demand. Narrow operators are fused: a partition is one loop that pushes each record through all of them.

/** Pushes every record of a partition into `push`, in order. Synchronous; called at most once for each `prepare`. */
export type Producer<T> = (push: (value: T) => void) => void;

/** Where a dataset comes from, for people. */
export interface Lineage {
  /** The operator that made it. */
  readonly name: string;
  readonly parents: readonly RddNode<unknown>[];
  /** Whether a shuffle stands between it and its parents. */
  readonly isShuffled: boolean;
}

/** A dataset. */
export interface RddNode<out T> {
  readonly lineage: Lineage;
  readonly partitionCount: number;
  /** Gets ready to compute a partition: loads its bytes or waits for the shuffle before it. */
  prepare(partition: number): Promise<Producer<T>>;
}

/** A source of records: a lineage that ends here. */
export function leaf(name: string): Lineage {
  return { name, parents: [], isShuffled: false };
}

/** Applies a narrow operator to each partition. */
function narrow<T, U>(name: string, parent: RddNode<T>, operator: (push: (value: U) => void) => (value: T) => void): RddNode<U> {
  return {
    lineage: { name, parents: [parent], isShuffled: false },
    partitionCount: parent.partitionCount,
    async prepare(partition) {
      const produce = await parent.prepare(partition);
      return (push) => produce(operator(push));
    },
  };
}

/** map: one record becomes one. */
export function mapNode<T, U>(parent: RddNode<T>, f: (value: T) => U, name = 'map'): RddNode<U> {
  return narrow(name, parent, (push) => (value) => push(f(value)));
}

function pushAll<U>(results: Iterable<U>, push: (value: U) => void): void {
  if (Array.isArray(results)) {
    const items: readonly U[] = results;
    for (let index = 0; index < items.length; index++) push(items[index] as U);
  } else for (const result of results) push(result);
}

/** flatMap: one record becomes any number. */
export function flatMapNode<T, U>(parent: RddNode<T>, f: (value: T) => Iterable<U>, name = 'flatMap'): RddNode<U> {
  return narrow(name, parent, (push) => (value) => pushAll(f(value), push));
}

/** mapValues: a value becomes another, its key stays. */
export function mapValuesNode<K, V, U>(parent: RddNode<readonly [K, V]>, f: (value: V) => U): RddNode<[K, U]> {
  return mapNode(parent, ([key, value]): [K, U] => [key, f(value)], 'mapValues');
}

/** flatMapValues: a value becomes any number, each with its key. */
export function flatMapValuesNode<K, V, U>(parent: RddNode<readonly [K, V]>, f: (value: V) => Iterable<U>): RddNode<[K, U]> {
  return flatMapNode(parent, ([key, value]) => Array.from(f(value), (each): [K, U] => [key, each]), 'flatMapValues');
}

/** filter: a record stays or goes. */
export function filterNode<T>(parent: RddNode<T>, f: (value: T) => boolean): RddNode<T> {
  return narrow('filter', parent, (push) => (value) => {
    if (f(value)) push(value);
  });
}

/** mapPartitions: all records of a partition become any number. The partition stands in memory while `f` runs. */
export function mapPartitionsNode<T, U>(parent: RddNode<T>, f: (rows: readonly T[]) => Iterable<U>, name = 'mapPartitions'): RddNode<U> {
  return {
    lineage: { name, parents: [parent], isShuffled: false },
    partitionCount: parent.partitionCount,
    async prepare(partition) {
      const produce = await parent.prepare(partition);
      return (push) => pushAll(f(gather(produce)), push);
    },
  };
}

/** union: the partitions of all parents, one parent after another. */
export function unionNode<T>(parents: readonly RddNode<T>[]): RddNode<T> {
  const places = parents.flatMap((parent) => Array.from({ length: parent.partitionCount }, (_, partition) => ({ parent, partition })));
  return {
    lineage: { name: 'union', parents, isShuffled: false },
    partitionCount: places.length,
    async prepare(partition) {
      const place = places[partition];
      return place === undefined ? () => undefined : place.parent.prepare(place.partition);
    },
  };
}

/** Rows that are there already, cut into ranges of nearly equal size. */
export function rowsNode<T>(name: string, rows: readonly T[], partitionCount: number): RddNode<T> {
  return {
    lineage: leaf(name),
    partitionCount,
    async prepare(partition) {
      const from = Math.floor((partition * rows.length) / partitionCount);
      const until = Math.floor(((partition + 1) * rows.length) / partitionCount);
      return (push) => {
        for (let index = from; index < until; index++) push(rows[index] as T);
      };
    },
  };
}

/** All that a producer pushes. */
export function gather<T>(produce: Producer<T>): T[] {
  const rows: T[] = [];
  produce((value) => rows.push(value));
  return rows;
}

/** The records of a partition. */
export async function collectPartition<T>(node: RddNode<T>, partition: number): Promise<T[]> {
  return gather(await node.prepare(partition));
}

/** The lineage as text, in the form of Spark's `toDebugString`: a line per dataset, `(partitions)` where a stage begins, `+-` where a shuffle stands before it. */
export function debugString(node: RddNode<unknown>): string {
  const lines: string[] = [];
  const visit = (current: RddNode<unknown>, indent: string, isStage: boolean): void => {
    const { name, parents, isShuffled } = current.lineage;
    const count = `(${current.partitionCount}) `;
    lines.push(`${indent}${isStage ? count : ` |${' '.repeat(count.length - 2)}`}${name}`);
    const below = `${indent.replace('+-', '  ')}${isShuffled ? ' ' : ''}`;
    for (const parent of parents) visit(parent, isShuffled ? `${below}+-` : indent.replace('+-', '  '), isShuffled);
  };
  visit(node, '', true);
  return lines.join('\n');
}
