// A program's graph as data: what is compared between the program that wrote a checkpoint and the one that reads it.
import { sha256Hex } from './checksum.ts';
import type { Uid } from './ids.ts';
import { array, boolean, count, object, optional, string, type Shape } from './shape.ts';

/** One operator, source or output of a graph. */
export interface OperatorDescriptor {
  /** Its stable name. */
  readonly uid: Uid;
  /** Whether the name was made from its position, for want of one given by the user. */
  readonly isPositional: boolean;
  /** What it is: the name of the method that made it. */
  readonly kind: string;
  /** The uids of the streams it reads. */
  readonly parents: readonly Uid[];
  /** Its partition count, where the program fixes one. */
  readonly partitions?: number;
  /** The codec of its records or state, where it writes any. */
  readonly codec?: string;
  /** Whether it keeps state. */
  readonly isStateful: boolean;
  /** The version of its state, where that has one; 1 otherwise. */
  readonly stateVersion?: number;
  /** The oldest version of its state that its migrations can bring up to date; `stateVersion` where there are none. */
  readonly migratesFrom?: number;
}

/** A graph, in the order in which the program made it. */
export interface GraphDescriptor {
  readonly batchIntervalMs: number;
  readonly operators: readonly OperatorDescriptor[];
}

const operatorShape: Shape<OperatorDescriptor> = object<{ [K in keyof OperatorDescriptor]: OperatorDescriptor[K] }>({
  uid: string,
  isPositional: boolean,
  kind: string,
  parents: array(string),
  partitions: optional(count),
  codec: optional(string),
  isStateful: boolean,
  stateVersion: optional(count),
  migratesFrom: optional(count),
} as { readonly [K in keyof OperatorDescriptor]: Shape<OperatorDescriptor[K]> });

/** Reads a descriptor back from data. */
export const graphDescriptorShape: Shape<GraphDescriptor> = object<{ [K in keyof GraphDescriptor]: GraphDescriptor[K] }>({
  batchIntervalMs: count,
  operators: array(operatorShape),
});

/** A graph with the partition counts of a plan, where the plan names them: a batch runs with those of its plan, whatever today's are. */
export function withPartitions(graph: GraphDescriptor, counts: ReadonlyMap<Uid, number>): GraphDescriptor {
  const operators = graph.operators.map((operator) =>
    operator.partitions === undefined ? operator : { ...operator, partitions: counts.get(operator.uid) ?? operator.partitions },
  );
  return { ...graph, operators };
}

/** The fingerprint of a graph: SHA-256 over uids, kinds, parents, partition counts, codecs and state versions of its operators in order, and the batch interval. */
export function graphFingerprint(graph: GraphDescriptor): string {
  const operators = graph.operators.map(({ uid, kind, parents, partitions, codec, stateVersion }) => [
    uid,
    kind,
    parents,
    partitions ?? null,
    codec ?? null,
    ...(stateVersion === undefined ? [] : [stateVersion]),
  ]);
  return sha256Hex(JSON.stringify([graph.batchIntervalMs, operators]));
}
