// A partitioned dataset that is computed on demand. Narrow operators are fused: a partition is one loop that pushes each record through all of them.

/** Pushes every record of a partition into `push`, in order. Synchronous; may be called again and then pushes the same records. */
export type Producer<T> = (push: (value: T) => void) => void;

/** A dataset. */
export interface RddNode<out T> {
  readonly partitionCount: number;
  /** Gets ready to compute a partition: loads its bytes or waits for the shuffle before it. */
  prepare(partition: number): Promise<Producer<T>>;
}

/** Applies a narrow operator to each partition. */
export function narrow<T, U>(parent: RddNode<T>, operator: (push: (value: U) => void) => (value: T) => void): RddNode<U> {
  return {
    partitionCount: parent.partitionCount,
    async prepare(partition) {
      const produce = await parent.prepare(partition);
      return (push) => produce(operator(push));
    },
  };
}

/** map: one record becomes one. */
export function mapNode<T, U>(parent: RddNode<T>, f: (value: T) => U): RddNode<U> {
  return narrow(parent, (push) => (value) => push(f(value)));
}

/** flatMap: one record becomes any number. */
export function flatMapNode<T, U>(parent: RddNode<T>, f: (value: T) => Iterable<U>): RddNode<U> {
  return narrow(parent, (push) => (value) => {
    const results = f(value);
    if (Array.isArray(results)) {
      const items: readonly U[] = results;
      for (let index = 0; index < items.length; index++) push(items[index] as U);
    } else for (const result of results) push(result);
  });
}

/** filter: a record stays or goes. */
export function filterNode<T>(parent: RddNode<T>, f: (value: T) => boolean): RddNode<T> {
  return narrow(parent, (push) => (value) => {
    if (f(value)) push(value);
  });
}

/** The records of a partition. */
export async function collectPartition<T>(node: RddNode<T>, partition: number): Promise<T[]> {
  const produce = await node.prepare(partition);
  const rows: T[] = [];
  produce((value) => rows.push(value));
  return rows;
}
