// Pure: what an operator is made of.
import type { Uid } from '../core/ids.ts';
import type { Graph } from './graph.ts';

/** All operators that an operator is made of, itself included. */
export function ancestors(graph: Pick<Graph, 'descriptor'>, uid: Uid): ReadonlySet<Uid> {
  const parents = new Map(graph.descriptor.operators.map((operator) => [operator.uid, operator.parents]));
  const found = new Set<Uid>();
  const visit = (each: Uid): void => {
    if (found.has(each)) return;
    found.add(each);
    for (const parent of parents.get(each) ?? []) visit(parent);
  };
  visit(uid);
  return found;
}
