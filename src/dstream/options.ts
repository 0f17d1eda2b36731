// Options of operators and outputs, checked in one place.
import { flagOption, optionError, partitionsOption, refuseUnknownOptions, wholeOption } from '../core/options.ts';
import type { Duration } from '../core/time.ts';
import { migratesFrom, type StateMigration } from '../state/migrate-state.ts';
import { codecOption, JSON_CODEC, type StateCodec } from '../state/state-codec.ts';
import type { StateSettings } from '../state/state-slot.ts';
import type { Graph, StateSpec } from './graph.ts';

/** Options of an operator, a source or an output. */
export interface OperatorOptions {
  /**
   * The stable name of the operator: it must stay the same from release to release, since state and ledgers are kept under it.
   *
   * @defaultValue The kind and the position in the program, such as `map-3`.
   */
  readonly uid?: string;
}

/** Options of an output. */
export interface OutputOptions extends OperatorOptions {
  /**
   * Whether the program must not start unless each record of each source counts exactly once in this output, by what sources and sink declare.
   *
   * @defaultValue `false`: `explain()` says what each path guarantees.
   */
  readonly exactlyOnce?: boolean;
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

/**
 * How the state of an operator is written, and how it gets from one release to the next.
 *
 * @typeParam S - The state of a key.
 */
export interface StateOptions<S = unknown> {
  /**
   * The codec that writes values.
   *
   * @defaultValue The default codec of records, canonical JSON (docs/format-checkpoint.md, "Values").
   */
  readonly codec?: StateCodec<S>;
  /**
   * Codecs that wrote this state in earlier releases. The default one is always read. What they wrote is written afresh by `codec`.
   *
   * @defaultValue None.
   */
  readonly readCodecs?: readonly StateCodec[];
  /**
   * The version of what the values and keys mean: another one needs migrations, or the start is refused.
   *
   * @defaultValue 1
   */
  readonly version?: number;
  /**
   * How state of older versions becomes that of `version`, one step for each version. `millrace plan` tries them on the state that is there.
   *
   * @defaultValue None.
   */
  readonly migrations?: readonly StateMigration[];
}

/**
 * Options of an operator that keeps state.
 *
 * @typeParam K - The keys.
 * @typeParam S - The state of a key.
 */
export interface StatefulOptions<K = unknown, S = unknown> extends ShuffleOptions {
  /**
   * What the state begins with: pairs of key and state, each key once. Used when no checkpoint holds a state of this operator, however empty.
   *
   * @defaultValue Nothing.
   */
  readonly initialState?: Iterable<readonly [K, S]>;
  /**
   * How the state is written and migrated.
   *
   * @defaultValue The default codec, version 1.
   */
  readonly state?: StateOptions<S>;
}

/**
 * Options of `mapWithState`.
 *
 * @typeParam K - The keys.
 * @typeParam S - The state of a key.
 */
export interface MapWithStateOptions<K = unknown, S = unknown> extends StatefulOptions<K, S> {
  /**
   * A key without data goes once the time of a batch is more than this behind its last data, after a last call of the function. It goes in the first such batch, also without new input.
   *
   * @defaultValue Keys stay.
   */
  readonly timeout?: Duration;
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

/** Checks the options of an output. */
export function resolveOutputOptions(kind: string, options: OutputOptions): { readonly uid: string | undefined; readonly isExactlyOnce: boolean } {
  refuseUnknownOptions(kind, options, ['uid', 'exactlyOnce']);
  return { uid: options.uid, isExactlyOnce: flagOption(kind, 'exactlyOnce', { value: options.exactlyOnce, fallback: false }) };
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

function migrationsOption(owner: string, version: number, migrations: readonly StateMigration[] = []): readonly StateMigration[] {
  for (const { from } of migrations) {
    const others = migrations.filter((migration) => migration.from === from);
    if (!Number.isSafeInteger(from) || from < 1 || from >= version || others.length > 1)
      throw optionError(owner, 'migrations', { expected: `at most one for each version from 1 to ${version - 1}`, found: from });
  }
  return migrations;
}

function resolveState(kind: string, { initialState, state = {} }: StatefulOptions, use: Pick<StateSettings, 'isOrdered' | 'isScanned'>): StateSpec {
  refuseUnknownOptions(`${kind}.state`, state, ['codec', 'readCodecs', 'version', 'migrations']);
  const owner = `${kind}.state`;
  const codec = codecOption(owner, 'codec', state.codec);
  const readCodecs = (state.readCodecs ?? []).map((each) => codecOption(owner, 'readCodecs', each));
  const version = wholeOption(owner, 'version', { value: state.version, fallback: 1, min: 1 });
  const migrations = migrationsOption(owner, version, state.migrations);
  const oldest = migratesFrom(version, migrations);
  return {
    settings: { codecs: [codec, ...readCodecs, ...(codec === JSON_CODEC ? [] : [JSON_CODEC])], ...use },
    versions: {
      ...(version === 1 ? {} : { stateVersion: version }),
      ...(oldest === version ? {} : { migratesFrom: oldest }),
    },
    migrations,
    initial: initialState === undefined ? [] : [...initialState],
  };
}

/** An operator with state, its options checked. */
export interface ResolvedStateful {
  readonly uid: string | undefined;
  readonly numPartitions: number;
  readonly state: StateSpec;
  readonly timeoutMs: number | undefined;
}

/** Checks the options of an operator that keeps state. */
export function resolveStatefulOptions(graph: Graph, kind: string, options: StatefulOptions): ResolvedStateful {
  const resolved = resolveShuffleOptions(graph, kind, { options, also: ['initialState', 'state'] });
  return { ...resolved, state: resolveState(kind, options, { isOrdered: false, isScanned: true }), timeoutMs: undefined };
}

/** Checks the options of `mapWithState`. */
export function resolveMapWithStateOptions(graph: Graph, kind: string, options: MapWithStateOptions): ResolvedStateful {
  const resolved = resolveShuffleOptions(graph, kind, { options, also: ['initialState', 'state', 'timeout'] });
  const { timeout } = options;
  const timeoutMs = timeout === undefined ? undefined : wholeOption(kind, 'timeout', { value: timeout, fallback: timeout, min: 1 });
  return { ...resolved, state: resolveState(kind, options, { isOrdered: timeoutMs !== undefined, isScanned: false }), timeoutMs };
}
