// updateStateByKey: state per key over all batches. The function is called for every key in every batch, as in Spark; undefined removes the key.
import { showRow, updateSlot, type StateRow, type UpdateFunction } from '../../state/update-slot.ts';
import type { Graph, StreamNode } from '../graph.ts';
import { resolveStatefulOptions, type StatefulOptions } from '../options.ts';
import { addStateful } from './stateful.ts';

/** Adds updateStateByKey to the graph. */
export function addUpdateStateByKey<K, S>(
  graph: Graph,
  parent: StreamNode<readonly [K, unknown]>,
  { update, options }: { readonly update: UpdateFunction; readonly options: StatefulOptions<K, S> },
): StreamNode<[K, S]> {
  const kind = 'updateStateByKey';
  const resolved = resolveStatefulOptions(graph, kind, options as StatefulOptions);
  const [codec] = resolved.state.settings.codecs;
  return addStateful<StateRow, [K, S]>(graph, parent, {
    kind,
    ...resolved,
    isForAllSlots: true,
    compute: (entries, incoming) => updateSlot(entries, incoming, { update, codec }),
    show: (row) => showRow(row, codec) as [K, S],
  }).node;
}
