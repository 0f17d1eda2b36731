// Runs one batch to the end of its outputs, in one of three ways: for the first time, again after a crash, or for its state only.
import { CorruptionError, toError } from '../core/errors.ts';
import { publish } from '../core/diagnostics.ts';
import type { Uid } from '../core/ids.ts';
import type { ListenerBus } from '../core/listener.ts';
import type { Graph, OutputNode } from '../dstream/graph.ts';
import type { TaskRunner } from '../executor/task-runner.ts';
import type { Ledger, LedgerBatch } from '../journal/ledger.ts';
import { collectPartition, type RddNode } from '../rdd/node.ts';
import type { PreparedRows, Sink, SinkView } from '../sinks/sink.ts';
import type { BatchWork } from './batch-work.ts';
import { explainDifference } from './explain-difference.ts';
import { compareFingerprints, compareWithRows, foreignRows, type Fingerprints, type RerunDifference } from './compare-rerun.ts';

/** What a batch runs with. */
export interface RunBatchOptions {
  readonly app: string;
  readonly graph: Graph;
  readonly batch: LedgerBatch;
  readonly work: BatchWork;
  readonly ledger: Ledger;
  readonly tasks: TaskRunner;
  /** What each sink held when it was opened. */
  readonly views: ReadonlyMap<Uid, SinkView>;
  readonly listeners: ListenerBus;
  /** Whether records of the batch, or of one before that runs again, are lost because their stream is not logged. Then a rerun cannot give what the first run gave: what the sinks hold stays, what they lack is made of the rest. */
  readonly hasLost: boolean;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
}

/** The fingerprints of the partitions with rows, by uid of the output. */
export type Written = ReadonlyMap<Uid, Fingerprints>;

interface SinkWork {
  readonly uid: Uid;
  readonly sink: Sink<unknown>;
  readonly node: RddNode<unknown>;
}

type Prepared = ReadonlyMap<number, PreparedRows>;

function sinkWork({ graph, work }: RunBatchOptions): readonly SinkWork[] {
  return graph.outputs.flatMap((output) => (output.kind === 'sink' ? [{ uid: output.uid, sink: output.sink, node: output.parent.rdd(work.scope) }] : []));
}

async function preparePartition(options: RunBatchOptions, output: SinkWork, partitionId: number): Promise<PreparedRows | undefined> {
  const { tasks, batch } = options;
  return tasks.run(`partition ${partitionId} of "${output.uid}" at ${batch.batchTime}`, async () => {
    const rows = await collectPartition(output.node, partitionId);
    return rows.length === 0 ? undefined : output.sink.prepare(rows);
  });
}

async function commitPartition(
  options: RunBatchOptions,
  output: SinkWork,
  partition: { readonly partitionId: number; readonly prepared: PreparedRows },
): Promise<void> {
  const { app, batch, ledger } = options;
  const { partitionId, prepared } = partition;
  const { batchTime, planId } = batch;
  const previous = ledger.expected.get(output.uid)?.get(partitionId)?.batchTime;
  const key = { app, sink: output.uid, batchTime, partitionId };
  const record = { planId, fingerprint: prepared.fingerprint, ...(previous === undefined ? {} : { previous }) };
  // A commit whose outcome is unknown may be repeated: the compare-and-set answers.
  const result = await putOut(options, `commit of partition ${partitionId} of "${output.uid}" at ${batchTime}`, () =>
    output.sink.commit(key, prepared, record),
  );
  publish('partition-committed', () => ({ app, batchTime, sink: output.uid, partitionId, result }));
}

function runForeach(options: RunBatchOptions, output: Extract<OutputNode, { kind: 'foreach' }>): Promise<void> {
  const { batch, work } = options;
  return putOut(options, `output "${output.uid}" at ${batch.batchTime}`, () => output.run(work.scope));
}

/** Runs a task that puts something out, and notes how long it took. */
async function putOut<R>({ work, tasks, now }: RunBatchOptions, name: string, task: () => Promise<R>): Promise<R> {
  const startedMs = now();
  try {
    return await tasks.run(name, task);
  } finally {
    work.outputMs += now() - startedMs;
  }
}

/** Tells when an output begins and ends. */
async function watched<R>({ batch, graph, listeners, now }: RunBatchOptions, output: Uid, work: () => Promise<R>): Promise<R> {
  const info = { batchTime: batch.batchTime, output, kind: graph.kindOf(output) };
  const startedMs = now();
  listeners.post('onOutputOperationStarted', () => info);
  try {
    const result = await work();
    listeners.post('onOutputOperationCompleted', () => ({ ...info, durationMs: now() - startedMs, error: undefined }));
    return result;
  } catch (error) {
    listeners.post('onOutputOperationCompleted', () => ({ ...info, durationMs: now() - startedMs, error: toError(error) }));
    throw error;
  }
}

function fingerprintsOf(prepared: Prepared): Fingerprints {
  return new Map([...prepared].map(([partitionId, rows]) => [partitionId, rows.fingerprint]));
}

/** Computes every operator that keeps state, also where no sink reads it: its changes belong to the batch. */
async function computeStates({ graph, work, tasks, batch }: RunBatchOptions): Promise<void> {
  for (const { node: stream } of graph.stateful) {
    const node = stream.rdd(work.scope);
    for (let partition = 0; partition < node.partitionCount; partition++) {
      await tasks.run(`partition ${partition} of "${stream.descriptor.uid}" at ${batch.batchTime}`, () => node.prepare(partition));
    }
  }
}

async function prepareAll(options: RunBatchOptions, output: SinkWork): Promise<Prepared> {
  const all = new Map<number, PreparedRows>();
  for (let partitionId = 0; partitionId < output.node.partitionCount; partitionId++) {
    const prepared = await preparePartition(options, output, partitionId);
    if (prepared !== undefined) all.set(partitionId, prepared);
  }
  return all;
}

/** Rows of the batch under another plan are of another directory, not of a program that is not deterministic. */
function foreignError({ batch: { batchTime, planId } }: RunBatchOptions, uid: Uid, partitionId: number): CorruptionError {
  return new CorruptionError(
    'STREAM_SINK_CONFLICT',
    `Cannot run batch ${batchTime} again as the rows of "${uid}" must be of its plan ${planId}: partition ${partitionId} is of another plan, so another directory wrote it. Nothing of the rerun was committed`,
  );
}

/** What a rerun gave that the first run did not, with the first row that differs where the sink can read rows back. */
async function differenceError(
  { app, batch: { batchTime } }: RunBatchOptions,
  { uid, sink }: SinkWork,
  rerun: { readonly differences: readonly RerunDifference[]; readonly prepared: Prepared },
): Promise<CorruptionError> {
  const { differences, prepared } = rerun;
  const [first] = differences;
  const partitionId = first?.partitionId ?? 0;
  // A sink that cannot read its rows back just now must not hide that they differ.
  const runs = await sink.readBack?.({ app, sink: uid, batchTime, partitionId }, prepared.get(partitionId)).catch(() => undefined);
  const row =
    runs === undefined ? 'Does it use a clock, random numbers or the order of a set, or was it changed without a new version?' : explainDifference(runs);
  return new CorruptionError(
    'STREAM_BATCH_DIFFERS',
    `Cannot run batch ${batchTime} again as it must give what its first run gave: partition ${partitionId} of "${uid}" has the fingerprint ${first?.now ?? 'of no rows'}, ` +
      `the first run had ${first?.before ?? 'no rows'} (${differences.length} partitions differ). The plan, the code version and the graph are the same, so the program is not deterministic. ` +
      `${row} Nothing of the rerun was committed`,
  );
}

/** The first run: partitions are committed as they are computed, outputs one after another. */
async function runFirst(options: RunBatchOptions): Promise<Written> {
  const sinks = new Map(sinkWork(options).map((output) => [output.uid, output]));
  const written = new Map<Uid, Fingerprints>();
  for (const output of options.graph.outputs) {
    const sink = sinks.get(output.uid);
    if (sink !== undefined) written.set(output.uid, await watched(options, output.uid, () => writeSink(options, sink)));
    else if (output.kind === 'foreach') await watched(options, output.uid, () => runForeach(options, output));
  }
  return written;
}

/** Computes and commits a sink's partitions, one after another. */
async function writeSink(options: RunBatchOptions, sink: SinkWork): Promise<Fingerprints> {
  const fingerprints = new Map<number, string>();
  for (let partitionId = 0; partitionId < sink.node.partitionCount; partitionId++) {
    const prepared = await preparePartition(options, sink, partitionId);
    if (prepared === undefined) continue;
    await commitPartition(options, sink, { partitionId, prepared });
    fingerprints.set(partitionId, prepared.fingerprint);
  }
  return fingerprints;
}

function rowsOf({ views }: RunBatchOptions, uid: Uid): SinkView['rows'] {
  return views.get(uid)?.rows ?? new Map<number, never>();
}

/** The fingerprints of the partitions of the batch that a sink holds already. */
function heldFingerprints(options: RunBatchOptions, uid: Uid): Fingerprints {
  return new Map(
    [...rowsOf(options, uid)].flatMap(([partitionId, row]) => (row.batchTime === options.batch.batchTime ? [[partitionId, row.fingerprint]] : [])),
  );
}

/** After a crash: everything is computed and compared with what the sinks hold, then what is missing is committed. Outputs without a ledger run again. */
async function runAgain(options: RunBatchOptions): Promise<Written> {
  const sinks = new Map<Uid, { readonly output: SinkWork; readonly prepared: Prepared }>();
  for (const output of sinkWork(options)) sinks.set(output.uid, { output, prepared: await prepareAll(options, output) });
  await computeStates(options);
  for (const [uid, { output, prepared }] of sinks) {
    if (output.sink.guarantee !== 'transactional') continue;
    const [foreign] = foreignRows(rowsOf(options, uid), options.batch);
    if (foreign !== undefined) throw foreignError(options, uid, foreign);
    if (options.hasLost) continue;
    const differences = compareWithRows(rowsOf(options, uid), options.batch.batchTime, fingerprintsOf(prepared));
    if (differences.length > 0) throw await differenceError(options, output, { differences, prepared });
  }
  const written = new Map<Uid, Fingerprints>();
  for (const output of options.graph.outputs) {
    const work = sinks.get(output.uid);
    if (work !== undefined) {
      await watched(options, output.uid, async () => {
        const held = options.hasLost ? heldFingerprints(options, output.uid) : new Map<number, string>();
        for (const [partitionId, prepared] of work.prepared) if (!held.has(partitionId)) await commitPartition(options, work.output, { partitionId, prepared });
        written.set(output.uid, new Map([...fingerprintsOf(work.prepared), ...held]));
      });
    } else if (output.kind === 'foreach') await watched(options, output.uid, () => runForeach(options, output));
  }
  return written;
}

/** For its state only: nothing is put out; rows and state must be what `batch-completed` says. */
async function runForState(options: RunBatchOptions): Promise<void> {
  const { batch, work } = options;
  const { completion } = batch;
  if (completion === undefined || options.graph.stateful.length === 0) return;
  if (options.hasLost) return computeStates(options);
  for (const output of sinkWork(options)) {
    const prepared = await prepareAll(options, output);
    const differences = compareFingerprints(completion.written.get(output.uid) ?? new Map(), fingerprintsOf(prepared));
    if (differences.length > 0) throw await differenceError(options, output, { differences, prepared });
  }
  await computeStates(options);
  const digest = work.digest();
  if (digest === completion.stateDigest) return;
  throw new CorruptionError(
    'STREAM_BATCH_DIFFERS',
    `Cannot compute the state of batch ${batch.batchTime} again as it must be what its first run made, digest ${completion.stateDigest}: it is ${digest}. The program is not deterministic or was changed without a new version`,
  );
}

/**
 * Runs the outputs of a batch.
 *
 * @param mode - `first`, `rerun` (planned, not completed) or `state-only` (completed, in no checkpoint).
 * @returns The fingerprints of what was written; what `batch-completed` holds for `state-only`.
 * @throws {CorruptionError} If a rerun differs from the first run.
 */
export async function runBatch(options: RunBatchOptions, mode: 'first' | 'rerun' | 'state-only'): Promise<Written> {
  if (mode === 'rerun') return runAgain(options);
  if (mode === 'state-only') {
    await runForState(options);
    return options.batch.completion?.written ?? new Map<Uid, Fingerprints>();
  }
  const written = await runFirst(options);
  await computeStates(options);
  return written;
}
