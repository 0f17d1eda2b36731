// What the operators with state have in common: a partition is a range of slots, computed once per batch; what it changes is noted and merged when the batch is completed.
import { KEY_SLOTS, partitionOfSlot } from '../../core/key-slot.ts';
import { gathering } from '../../rdd/aggregators.ts';
import type { Producer, RddNode } from '../../rdd/node.ts';
import { shuffle, type Shuffled, type SlotGroups } from '../../rdd/shuffle.ts';
import type { KeyedState } from '../../state/keyed-state.ts';
import type { StateEntries } from '../../state/slot-entries.ts';
import type { SlotChanges } from '../../state/state-slot.ts';
import type { BatchScope, Graph, StateSpec, StreamNode } from '../graph.ts';

const NO_GROUPS: SlotGroups<unknown[]> = new Map();

/** What a batch gives in one slot. */
export interface SlotResult<out R> {
  readonly rows: readonly R[];
  readonly changes: SlotChanges;
}

/** How an operator with state computes. */
export interface StatefulOperator<R, U> {
  readonly kind: string;
  readonly uid: string | undefined;
  readonly numPartitions: number;
  readonly state: StateSpec;
  /** Whether slots without data are computed too. */
  readonly isForAllSlots: boolean;
  /** Computes a slot; must change nothing it is given. */
  compute(entries: StateEntries, incoming: SlotGroups<unknown[]>, scope: BatchScope): SlotResult<R>;
  /** A row as a record; a new one each time. */
  show(row: R): U;
}

/** A partition that was computed. */
interface ComputedPartition<R> {
  readonly rows: readonly R[];
  readonly changes: ReadonlyMap<number, SlotChanges>;
}

/** The partitions of an operator in one batch. */
export interface ComputedState<R> {
  readonly shuffled: Shuffled<unknown[]>;
  readonly state: KeyedState;
  /** Computes a partition when it is asked first. */
  partition(partition: number): Promise<ComputedPartition<R>>;
}

/** The slots of a partition, in order. */
export function* slotsOf(partition: number, partitions: number): Generator<number, void, undefined> {
  for (let slot = 0; slot < KEY_SLOTS; slot++) if (partitionOfSlot(slot, partitions) === partition) yield slot;
}

function computeState<R, U>(
  scope: BatchScope,
  uid: string,
  parts: { readonly shuffled: Shuffled<unknown[]>; readonly operator: StatefulOperator<R, U> },
): ComputedState<R> {
  const { shuffled, operator } = parts;
  const state = scope.state(uid);
  const computed = new Map<number, Promise<ComputedPartition<R>>>();
  const compute = async (partition: number): Promise<ComputedPartition<R>> => {
    const incoming = await shuffled.read(partition);
    const rows: R[] = [];
    const changes = new Map<number, SlotChanges>();
    for (const slot of slotsOf(partition, shuffled.partitionCount)) {
      const groups = incoming.get(slot);
      if (groups === undefined && !operator.isForAllSlots) continue;
      const result = operator.compute(state.slot(slot), groups ?? NO_GROUPS, scope);
      for (const row of result.rows) rows.push(row);
      if (result.changes.size > 0) changes.set(slot, result.changes);
    }
    scope.noteChanges(uid, partition, changes);
    return { rows, changes };
  };
  return {
    shuffled,
    state,
    partition(partition) {
      const known = computed.get(partition);
      if (known !== undefined) return known;
      const result = compute(partition);
      computed.set(partition, result);
      // An attempt that failed leaves nothing behind; the next one computes afresh.
      result.catch(() => computed.delete(partition));
      return result;
    },
  };
}

/** A stream with state. */
export interface StatefulStream<R, U> {
  readonly node: StreamNode<U>;
  /** What it computes in a batch. */
  computed(scope: BatchScope): ComputedState<R>;
}

/** Adds an operator with state to the graph. */
export function addStateful<R, U>(graph: Graph, parent: StreamNode<readonly [unknown, unknown]>, operator: StatefulOperator<R, U>): StatefulStream<R, U> {
  const { kind, uid, numPartitions, state } = operator;
  const descriptor = graph.register({
    kind,
    uid,
    parents: [parent.descriptor.uid],
    partitions: numPartitions,
    codec: state.settings.codecs[0].name,
    isStateful: true,
    ...state.versions,
  });
  const computed = (scope: BatchScope): ComputedState<R> =>
    scope.once(`\0${descriptor.uid}`, () => {
      const partitions = scope.shufflePartitions(descriptor.uid);
      const shuffled = shuffle(parent.rdd(scope), gathering<unknown>(), { name: `"${descriptor.uid}"`, partitions, tasks: scope.tasks });
      return computeState(scope, descriptor.uid, { shuffled, operator });
    });
  const node: StreamNode<U> = {
    descriptor,
    partitions: () => numPartitions,
    rdd: (scope) =>
      scope.once(descriptor.uid, (): RddNode<U> => {
        const parts = computed(scope);
        return {
          lineage: { name: kind, parents: [parts.shuffled.parent], isShuffled: true },
          partitionCount: parts.shuffled.partitionCount,
          async prepare(partition): Promise<Producer<U>> {
            const { rows } = await parts.partition(partition);
            return (push) => {
              for (const row of rows) push(operator.show(row));
            };
          },
        };
      }),
  };
  graph.addStateful({ node, state });
  return { node, computed };
}
