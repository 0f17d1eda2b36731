// mapWithState: state per key, touched only where a key has data or its timeout has passed. What the function returns is the stream; the state itself is another one.
import { detach } from '../../core/detach.ts';
import { mapSlot, withChanges, type MapFunction } from '../../state/map-slot.ts';
import type { SlotChanges } from '../../state/state-slot.ts';
import { showRow } from '../../state/update-slot.ts';
import type { Producer, RddNode } from '../../rdd/node.ts';
import type { BatchScope, Graph, StreamNode } from '../graph.ts';
import { resolveMapWithStateOptions, resolveOperatorOptions, type MapWithStateOptions, type OperatorOptions } from '../options.ts';
import { addStateful, slotsOf, type ComputedState, type StatefulStream } from './stateful.ts';

const NO_CHANGES: SlotChanges = new Map();

/** Adds mapWithState to the graph. */
export function addMapWithState<K, S, U>(
  graph: Graph,
  parent: StreamNode<readonly [K, unknown]>,
  { map, options }: { readonly map: MapFunction; readonly options: MapWithStateOptions<K, S> },
): StatefulStream<unknown, U> {
  const kind = 'mapWithState';
  const resolved = resolveMapWithStateOptions(graph, kind, options as MapWithStateOptions);
  const { timeoutMs, state } = resolved;
  const [codec] = state.settings.codecs;
  return addStateful<unknown, U>(graph, parent, {
    kind,
    ...resolved,
    isForAllSlots: timeoutMs !== undefined,
    compute: (entries, incoming, { batchTime }) => mapSlot(entries, incoming, { map, codec, batchTime, timeoutMs }),
    show: (row) => detach(row) as U,
  });
}

/** All keys with their state, as the batch leaves it. */
function snapshotNode<K, S>(computed: ComputedState<unknown>, isOrdered: boolean): RddNode<[K, S]> {
  const { shuffled, state } = computed;
  return {
    lineage: { name: 'stateSnapshots', parents: [shuffled.parent], isShuffled: true },
    partitionCount: shuffled.partitionCount,
    async prepare(partition): Promise<Producer<[K, S]>> {
      const { changes } = await computed.partition(partition);
      return (push) => {
        for (const slot of slotsOf(partition, shuffled.partitionCount)) {
          for (const [text, entry] of withChanges(state.slot(slot), changes.get(slot) ?? NO_CHANGES, isOrdered))
            push(showRow({ text, entry }, state.codec) as [K, S]);
        }
      };
    },
  };
}

/** Adds the stream of all states to the graph. */
export function addStateSnapshots<K, S>(
  graph: Graph,
  of: StatefulStream<unknown, unknown>,
  { isOrdered, options }: { readonly isOrdered: boolean; readonly options: OperatorOptions },
): StreamNode<[K, S]> {
  const kind = 'stateSnapshots';
  const { uid } = resolveOperatorOptions(kind, options);
  const descriptor = graph.register({ kind, uid, parents: [of.node.descriptor.uid], isStateful: false });
  return {
    descriptor,
    partitions: (inputs) => of.node.partitions(inputs),
    rdd: (scope: BatchScope) => scope.once(descriptor.uid, () => snapshotNode<K, S>(of.computed(scope), isOrdered)),
  };
}
