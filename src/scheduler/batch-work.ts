// One batch while it is computed: the scope that the graph computes in, and the state changes that are merged only when the batch is completed.
import { present } from '../core/assert.ts';
import { stateDigest } from '../core/digest.ts';
import type { Uid } from '../core/ids.ts';
import type { BatchScope } from '../dstream/graph.ts';
import type { FileSystem } from '../env/file-system.ts';
import type { TaskRunner } from '../executor/task-runner.ts';
import type { InputFile } from '../journal/events.ts';
import type { Journal } from '../journal/journal.ts';
import type { LedgerBatch, LoggedBlock } from '../journal/ledger.ts';
import { slotChange, type KeyedState } from '../state/keyed-state.ts';
import type { SlotChanges } from '../state/state-slot.ts';

/** What a batch is computed with. */
export interface BatchWorkOptions {
  readonly app: string;
  readonly files: FileSystem;
  readonly defaultParallelism: number;
  readonly batch: LedgerBatch;
  readonly journal: Journal;
  readonly states: Map<Uid, KeyedState>;
  readonly tasks: TaskRunner;
}

/** The scope of one batch, and its changes. */
export class BatchWork {
  readonly scope: BatchScope;
  /** Milliseconds that went into outputs: commits and functions of the user. */
  outputMs = 0;
  readonly #states: Map<Uid, KeyedState>;
  /** What was made once, by name. */
  readonly #made = new Map<string, unknown>();
  /** By operator and partition. An attempt replaces what an earlier one noted. */
  readonly #changes = new Map<Uid, Map<number, ReadonlyMap<number, SlotChanges>>>();

  constructor({ app, files, defaultParallelism, batch, journal, states, tasks }: BatchWorkOptions) {
    this.#states = states;
    const made = this.#made;
    const changes = this.#changes;
    this.scope = {
      app,
      batchTime: batch.batchTime,
      tasks,
      files,
      defaultParallelism,
      blocks: (stream): readonly LoggedBlock[] => batch.inputs.get(stream)?.blocks ?? [],
      inputFiles: (stream): readonly InputFile[] => batch.inputs.get(stream)?.files ?? [],
      readBlock: (block) => journal.readBlock(block),
      shufflePartitions: (operator) => present(batch.shuffles.get(operator), `the plan of ${batch.batchTime} names the shuffle "${operator}"`),
      state: (operator) => stateOf(states, operator),
      noteChanges(operator, partition, noted) {
        const partitions = changes.get(operator) ?? new Map<number, ReadonlyMap<number, SlotChanges>>();
        changes.set(operator, partitions.set(partition, noted));
      },
      once<T>(name: string, make: () => T): T {
        if (!made.has(name)) made.set(name, make());
        return made.get(name) as T;
      },
    };
  }

  /** SHA-256 over all that the batch changes in keyed state. */
  digest(): string {
    return stateDigest(Array.from(this.#slots(), ([uid, slot, of]) => slotChange(uid, slot, { of, codec: stateOf(this.#states, uid).codec })));
  }

  /** Makes the changes. Called once, when the batch is completed. */
  merge(): void {
    for (const [uid, slot, changes] of this.#slots()) stateOf(this.#states, uid).merge(slot, changes);
  }

  *#slots(): Generator<readonly [Uid, number, SlotChanges]> {
    for (const [uid, partitions] of this.#changes) {
      for (const slots of partitions.values()) for (const [slot, changes] of slots) yield [uid, slot, changes];
    }
  }
}

function stateOf(states: Map<Uid, KeyedState>, operator: Uid): KeyedState {
  return present(states.get(operator), `the operator "${operator}" has state`);
}
