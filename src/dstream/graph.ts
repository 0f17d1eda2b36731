// The graph of a program: streams, operators and outputs in the order in which they were made. It only describes; a batch computes it through the scope it is given.
import { present } from '../core/assert.ts';
import { UsageError } from '../core/errors.ts';
import type { GraphDescriptor, OperatorDescriptor } from '../core/graph-descriptor.ts';
import type { Uid } from '../core/ids.ts';
import { textOption } from '../core/options.ts';
import type { BatchTime, Duration } from '../core/time.ts';
import type { Output } from '../env/env.ts';
import type { TaskRunner } from '../executor/task-runner.ts';
import type { FileSystem } from '../env/file-system.ts';
import type { InputFile } from '../journal/events.ts';
import type { LoggedBlock } from '../journal/ledger.ts';
import type { InputCounts } from '../journal/plan-batch.ts';
import type { RddNode } from '../rdd/node.ts';
import type { RddScope } from '../rdd/scope.ts';
import type { Sink } from '../sinks/sink.ts';
import type { PolledSource } from '../sources/polled-source.ts';
import type { Receiver } from '../sources/receiver.ts';
import type { KeyedState } from '../state/keyed-state.ts';
import type { StateSettings } from '../state/state-slot.ts';
import type { StateMigration } from '../state/migrate-state.ts';
import type { SlotChanges } from '../state/state-slot.ts';

/** What a batch gives to the graph. */
export interface BatchScope {
  readonly app: string;
  readonly batchTime: BatchTime;
  readonly tasks: TaskRunner;
  readonly files: FileSystem;
  /** Partitions of a shuffle for which no count is given. */
  readonly defaultParallelism: number;
  /** The blocks of a stream, in order. */
  blocks(stream: Uid): readonly LoggedBlock[];
  /** The files of a stream, in order. */
  inputFiles(stream: Uid): readonly InputFile[];
  /** The bytes of a block. */
  readBlock(block: LoggedBlock): Promise<Uint8Array>;
  /** The partition count the plan gives to a shuffle. */
  shufflePartitions(operator: Uid): number;
  /** The state of an operator as the batch before left it. */
  state(operator: Uid): KeyedState;
  /** Notes what a partition of an operator changes; replaces what an earlier attempt noted. */
  noteChanges(operator: Uid, partition: number, changes: ReadonlyMap<number, SlotChanges>): void;
  /** Computes `make` once per batch and name. */
  once<T>(name: string, make: () => T): T;
}

/** Where the datasets of an operator or output are computed that a user function sees. */
export function rddScopeOf(scope: BatchScope, uid: Uid): RddScope {
  const { app, batchTime, tasks, files, defaultParallelism } = scope;
  return { tasks, files, defaultParallelism, name: `"${uid}" at ${batchTime}`, commit: { app, sink: uid, batchTime } };
}

/** A stream of the graph. */
export interface StreamNode<out T> {
  readonly descriptor: OperatorDescriptor;
  /** How many partitions its dataset has in a batch with these inputs. */
  partitions(inputs: InputCounts): number;
  /** Its dataset in a batch. */
  rdd(scope: BatchScope): RddNode<T>;
}

/** How an operator keeps its state over releases. */
export interface StateSpec {
  readonly settings: StateSettings;
  /** What the descriptor says of it. */
  readonly versions: Pick<OperatorDescriptor, 'stateVersion' | 'migratesFrom'>;
  readonly migrations: readonly StateMigration[];
  /** What a state begins with that no checkpoint holds. */
  readonly initial: readonly (readonly [unknown, unknown])[];
}

/** A stream that keeps state. */
export interface StatefulNode {
  readonly node: StreamNode<unknown>;
  readonly state: StateSpec;
}

/** A source stream: one that pushes records, or one that is asked at each batch. */
export type SourceNode =
  | { readonly kind: 'receiver'; readonly uid: Uid; readonly receiver: Receiver<unknown>; readonly isLogged: boolean }
  | { readonly kind: 'polled'; readonly uid: Uid; readonly source: PolledSource; readonly isLogged: boolean };

/** An output of the graph. */
export type OutputNode =
  | {
      readonly kind: 'sink';
      readonly uid: Uid;
      readonly parent: StreamNode<unknown>;
      /** Whether nothing weaker will do. */
      readonly isExactlyOnce: boolean;
      readonly sink: Sink<unknown>;
    }
  | {
      readonly kind: 'foreach';
      readonly uid: Uid;
      readonly parent: StreamNode<unknown>;
      readonly isExactlyOnce: boolean;
      /** Runs the output once for a batch. */
      readonly run: (scope: BatchScope) => Promise<void>;
    };

/** What an operator says of itself when it joins the graph. */
export interface NodeDraft extends Pick<OperatorDescriptor, 'kind' | 'parents' | 'isStateful' | 'stateVersion' | 'migratesFrom'> {
  readonly uid: Uid | undefined;
  readonly partitions?: number | undefined;
  readonly codec?: string | undefined;
}

/** The graph of one program. */
export class Graph {
  /** Partitions of a shuffle for which no count is given. */
  readonly defaultParallelism: number;
  readonly #batchInterval: Duration;
  readonly #operators: OperatorDescriptor[] = [];
  readonly #sources: SourceNode[] = [];
  readonly #stateful: StatefulNode[] = [];
  readonly #shuffles = new Map<Uid, number>();
  readonly #outputs: OutputNode[] = [];
  #output: Output | undefined;
  /** Why nothing may be added, once that is so. */
  #closed: string | undefined;

  constructor(batchInterval: Duration, defaultParallelism: number) {
    this.defaultParallelism = defaultParallelism;
    this.#batchInterval = batchInterval;
  }

  /** The sources of the program. */
  get sources(): readonly SourceNode[] {
    return this.#sources;
  }

  /** The streams that keep state. */
  get stateful(): readonly StatefulNode[] {
    return this.#stateful;
  }

  /** The outputs in the order in which they run. */
  get outputs(): readonly OutputNode[] {
    return this.#outputs;
  }

  /** Where `print` writes to, while the context runs. */
  get output(): Output {
    return present(this.#output, 'print runs only inside a context');
  }

  set output(output: Output) {
    this.#output = output;
  }

  /** How many partitions the files of a stream make. */
  filePartitions(uid: Uid, files: readonly InputFile[]): number {
    const node = this.#sources.find((source) => source.uid === uid);
    return node?.kind === 'polled' ? node.source.filePartitions(files) : 0;
  }

  /** The kind of an operator. */
  kindOf(uid: Uid): string {
    return present(
      this.#operators.find((operator) => operator.uid === uid),
      `"${uid}" is in the graph`,
    ).kind;
  }

  /** The graph as data. */
  get descriptor(): GraphDescriptor {
    return { batchIntervalMs: this.#batchInterval, operators: [...this.#operators] };
  }

  /** From here on nothing may be added; `state` says why. */
  close(state: 'started' | 'stopped'): void {
    this.#closed = state;
  }

  /** Takes an operator in and names it. */
  register(draft: NodeDraft): OperatorDescriptor {
    if (this.#closed !== undefined) {
      throw new UsageError(
        'STREAM_ILLEGAL_STATE',
        `Cannot add ${draft.kind} as inputs, operators and outputs must be added before the context is started: it was ${this.#closed}. Add it in create()`,
      );
    }
    const { kind, parents, isStateful, partitions, codec, stateVersion, migratesFrom } = draft;
    const uid = draft.uid === undefined ? `${kind}-${this.#operators.length}` : textOption(kind, 'uid', draft.uid);
    const other = this.#operators.find((operator) => operator.uid === uid);
    if (other !== undefined)
      throw new UsageError('STREAM_INVALID_GRAPH', `Cannot name ${kind} "${uid}" as each uid must stand for one thing: ${other.kind} has it already`);
    const descriptor: OperatorDescriptor = {
      uid,
      isPositional: draft.uid === undefined,
      kind,
      parents,
      isStateful,
      ...(partitions === undefined ? {} : { partitions }),
      ...(codec === undefined ? {} : { codec }),
      ...(stateVersion === undefined ? {} : { stateVersion }),
      ...(migratesFrom === undefined ? {} : { migratesFrom }),
    };
    this.#operators.push(descriptor);
    if (partitions !== undefined) this.#shuffles.set(uid, partitions);
    return descriptor;
  }

  /** Takes a source in. */
  addSource(source: SourceNode): void {
    this.#sources.push(source);
  }

  /** Notes that a stream keeps state. */
  addStateful(stateful: StatefulNode): void {
    this.#stateful.push(stateful);
  }

  /** Takes an output in. */
  addOutput(output: OutputNode): void {
    if (output.kind === 'sink' && this.#outputs.some((other) => other.kind === 'sink' && other.sink === output.sink)) {
      throw new UsageError('STREAM_INVALID_GRAPH', `Cannot save "${output.uid}" to this sink as one sink must serve one output: make a second sink object`);
    }
    this.#outputs.push(output);
  }

  /** The partition counts of sinks and shuffles for a batch with these inputs. */
  partitionsOf(inputs: InputCounts): { readonly outputs: ReadonlyMap<Uid, number>; readonly shuffles: ReadonlyMap<Uid, number> } {
    const outputs = new Map<Uid, number>();
    for (const output of this.#outputs) if (output.kind === 'sink') outputs.set(output.uid, output.parent.partitions(inputs));
    return { outputs, shuffles: new Map(this.#shuffles) };
  }
}
