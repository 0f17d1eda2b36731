// Options of operators and outputs, checked in one place.
import { KEY_SLOTS } from '../core/key-slot.ts';
import { refuseUnknownOptions, wholeOption } from '../core/options.ts';

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
   * @defaultValue 1
   */
  readonly numPartitions?: number;
}

/** Checks the options of an operator that does not shuffle. */
export function resolveOperatorOptions(kind: string, options: OperatorOptions): { readonly uid: string | undefined } {
  refuseUnknownOptions(kind, options, ['uid']);
  return { uid: options.uid };
}

/** Checks the options of an operator that shuffles. */
export function resolveShuffleOptions(kind: string, options: ShuffleOptions): { readonly uid: string | undefined; readonly numPartitions: number } {
  refuseUnknownOptions(kind, options, ['uid', 'numPartitions']);
  return { uid: options.uid, numPartitions: wholeOption(kind, 'numPartitions', { value: options.numPartitions, fallback: 1, min: 1, max: KEY_SLOTS }) };
}
