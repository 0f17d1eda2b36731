// updateStateByKey: state per key over all batches. The function is called for every key in every batch, as in Spark; undefined removes the key.
import { detach } from '../../core/detach.ts';
import { VALUE_CODEC_NAME } from '../../core/value-codec.ts';
import { KEY_SLOTS, partitionOfSlot } from '../../core/key-slot.ts';
import type { Producer, RddNode } from '../../rdd/node.ts';
import { gathering } from '../../rdd/aggregators.ts';
import { shuffle, type Shuffled, type SlotGroups } from '../../rdd/shuffle.ts';
import type { SlotChanges } from '../../state/keyed-state.ts';
import type { StateEntry } from '../../state/slot-codec.ts';
import { showValue } from '../../state/state-value.ts';
import { updateSlot, type KeyedValues, type UpdateFunction } from '../../state/update-slot.ts';
import type { BatchScope, Graph, StreamNode } from '../graph.ts';
import { resolveShuffleOptions, type ShuffleOptions } from '../options.ts';

function toKeyedValues(groups: SlotGroups<unknown[]> | undefined): ReadonlyMap<string, KeyedValues> {
  return new Map([...(groups ?? [])].map(([text, { key, value }]) => [text, { key, values: value }]));
}

/** Computes a partition of the new state once, and gives its rows as often as they are asked for. */
function statefulNode(
  scope: BatchScope,
  uid: string,
  parts: { readonly shuffled: Shuffled<unknown[]>; readonly update: UpdateFunction },
): RddNode<[unknown, unknown]> {
  const { shuffled, update } = parts;
  const computed = new Map<number, Promise<readonly StateEntry[]>>();
  const compute = async (partition: number): Promise<readonly StateEntry[]> => {
    const state = scope.state(uid);
    const incoming = await shuffled.read(partition);
    const rows: StateEntry[] = [];
    const changes = new Map<number, SlotChanges>();
    for (let slot = 0; slot < KEY_SLOTS; slot++) {
      if (partitionOfSlot(slot, shuffled.partitionCount) !== partition) continue;
      const result = updateSlot(state.slot(slot), toKeyedValues(incoming.get(slot)), update);
      for (const row of result.rows) rows.push(row);
      if (result.changes.size > 0) changes.set(slot, result.changes);
    }
    scope.noteChanges(uid, partition, changes);
    return rows;
  };
  const rowsOf = (partition: number): Promise<readonly StateEntry[]> => {
    const known = computed.get(partition);
    if (known !== undefined) return known;
    const rows = compute(partition);
    computed.set(partition, rows);
    // An attempt that failed leaves nothing behind; the next one computes afresh.
    rows.catch(() => computed.delete(partition));
    return rows;
  };
  return {
    lineage: { name: 'updateStateByKey', parents: [shuffled.parent], isShuffled: true },
    partitionCount: shuffled.partitionCount,
    async prepare(partition): Promise<Producer<[unknown, unknown]>> {
      const rows = await rowsOf(partition);
      return (push) => {
        for (const { key, value } of rows) push([detach(key), showValue(value)]);
      };
    },
  };
}

/** Adds updateStateByKey to the graph. */
export function addUpdateStateByKey<K, S>(
  graph: Graph,
  parent: StreamNode<readonly [K, unknown]>,
  operator: { readonly update: UpdateFunction; readonly options: ShuffleOptions },
): StreamNode<[K, S]> {
  const kind = 'updateStateByKey';
  const { uid, numPartitions } = resolveShuffleOptions(graph, kind, operator);
  const descriptor = graph.register({ kind, uid, parents: [parent.descriptor.uid], partitions: numPartitions, codec: VALUE_CODEC_NAME, isStateful: true });
  const node: StreamNode<[K, S]> = {
    descriptor,
    partitions: () => numPartitions,
    rdd: (scope) =>
      scope.once(descriptor.uid, () => {
        const partitions = scope.shufflePartitions(descriptor.uid);
        const shuffled = shuffle(parent.rdd(scope), gathering<unknown>(), { name: `"${descriptor.uid}"`, partitions, tasks: scope.tasks });
        return statefulNode(scope, descriptor.uid, { shuffled, update: operator.update }) as RddNode<[K, S]>;
      }),
  };
  graph.addStateful(node);
  return node;
}
