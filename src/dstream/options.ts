// Options of operators and outputs, checked in one place.
import { partitionsOption, refuseUnknownOptions } from '../core/options.ts';
import type { Graph } from './graph.ts';

/** Options of an operator, a source or an output. */
export interface OperatorOptions {
  /**
   * The stable name of the operator: it must stay the same from release to release, since state and ledgers are kept under it.
   *
   * @defaultValue The kind and the position in the program, such as `map-3`.
   */
  readonly uid?: string;
}

/** Options of an operator that shuffles. */
export interface ShuffleOptions extends OperatorOptions {
  /**
   * How many partitions the result has, from 1 to 1,024.
   *
   * @defaultValue The default parallelism of the context, which is 1 unless it is given.
   */
  readonly numPartitions?: number;
}

/** Options of `combineByKey`. */
export interface CombineOptions extends ShuffleOptions {
  /**
   * Whether values are combined before the shuffle. Without it every value is shuffled, and `mergeCombiners` is never called.
   *
   * @defaultValue true
   */
  readonly mapSideCombine?: boolean;
}

/** Options of `mapAsync`. */
export interface MapAsyncOptions extends OperatorOptions {
  /**
   * How many calls may be under way at a time, per partition.
   *
   * @defaultValue 8
   */
  readonly concurrency?: number;
}

/** Options of `transform` and `transformWith`. */
export interface TransformOptions extends OperatorOptions {
  /**
   * Over how many partitions the result is laid, from 1 to 1,024. It is in the plan of the batch, before the function is called.
   *
   * @defaultValue As many as the streams that go in have in the batch, at least 1.
   */
  readonly numPartitions?: number;
}

/** Checks the options of an operator that does not shuffle. */
export function resolveOperatorOptions(kind: string, options: OperatorOptions): { readonly uid: string | undefined } {
  refuseUnknownOptions(kind, options, ['uid']);
  return { uid: options.uid };
}

/** Checks the options of an operator that shuffles. `also` names further options it knows. */
export function resolveShuffleOptions(
  graph: Graph,
  kind: string,
  given: { readonly options: ShuffleOptions; readonly also?: readonly string[] },
): { readonly uid: string | undefined; readonly numPartitions: number } {
  const { options, also = [] } = given;
  refuseUnknownOptions(kind, options, ['uid', 'numPartitions', ...also]);
  return { uid: options.uid, numPartitions: partitionsOption(kind, options.numPartitions, graph.defaultParallelism) };
}
