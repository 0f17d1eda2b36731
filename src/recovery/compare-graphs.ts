// Pure: is this the graph that the checkpoint belongs to? In this version every difference refuses; the message names each.
import type { GraphDescriptor, OperatorDescriptor } from '../core/graph-descriptor.ts';

function describe({ kind, uid }: OperatorDescriptor): string {
  return `${kind} "${uid}"`;
}

function show(value: unknown): string {
  return value === undefined ? 'none' : Array.isArray(value) ? `"${value.join('", "')}"` : JSON.stringify(value);
}

function compareOperators(before: OperatorDescriptor, now: OperatorDescriptor): readonly string[] {
  const fields = ['kind', 'parents', 'partitions', 'codec'] as const;
  return fields
    .filter((field) => JSON.stringify(before[field]) !== JSON.stringify(now[field]))
    .map((field) => `${describe(now)}: ${field} was ${show(before[field])}, is ${show(now[field])}`);
}

/** The differences between the graph that was written and the one of today, as sentences; none if they are the same. */
export function compareGraphs(before: GraphDescriptor, now: GraphDescriptor): readonly string[] {
  const differences: string[] = [];
  if (before.batchIntervalMs !== now.batchIntervalMs) differences.push(`the batch interval was ${before.batchIntervalMs} ms, is ${now.batchIntervalMs} ms`);
  const today = new Map(now.operators.map((operator) => [operator.uid, operator]));
  const yesterday = new Map(before.operators.map((operator) => [operator.uid, operator]));
  for (const operator of before.operators) {
    const same = today.get(operator.uid);
    if (same === undefined) differences.push(`${describe(operator)} is gone`);
    else differences.push(...compareOperators(operator, same));
  }
  for (const operator of now.operators) if (!yesterday.has(operator.uid)) differences.push(`${describe(operator)} is new`);
  const order = (graph: GraphDescriptor): string => graph.operators.map((operator) => operator.uid).join(', ');
  if (differences.length === 0 && order(before) !== order(now)) differences.push(`the order was ${order(before)}, is ${order(now)}`);
  return differences;
}
