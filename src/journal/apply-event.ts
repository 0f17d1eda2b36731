// The fold of the journal: one event changes the ledger. Deterministic; an event that contradicts what came before it is corruption, never skipped.
import { CorruptionError } from '../core/errors.ts';
import type { BatchTime } from '../core/time.ts';
import type { LogPosition } from '../wal/read-at.ts';
import type { BatchCompleted, BatchInput, BatchPlanned, BatchReplaced, BlockAdded, Forgotten, JournalEvent, Opened, SourcePositioned } from './events.ts';
import { bytesOf, loggedBytes, type Ledger, type LedgerInput, type LoggedBlock, type Replacement, type TakenFiles } from './ledger.ts';

/** An event and where it stands in the log. */
export interface LoggedEvent {
  readonly event: JournalEvent;
  readonly position: LogPosition;
}

function contradiction(position: LogPosition, why: string): CorruptionError {
  return new CorruptionError('STREAM_JOURNAL_CORRUPT', `Cannot fold record ${position.lsn} of the journal as events must follow from those before: ${why}`);
}

function applyOpened(ledger: Ledger, event: Opened, position: LogPosition): void {
  if (event.epoch <= ledger.epoch) throw contradiction(position, `a driver of epoch ${event.epoch} started after one of epoch ${ledger.epoch}`);
  ledger.epoch = event.epoch;
}

function isNewer(epoch: number, counter: number, last: Ledger['lastBlock']): boolean {
  return epoch > last.epoch || (epoch === last.epoch && counter > last.counter);
}

function applyBlock(ledger: Ledger, event: BlockAdded, position: LogPosition): void {
  const [epoch = Number.NaN, counter = Number.NaN] = event.blockId.split('-').map(Number);
  if (!isNewer(epoch, counter, ledger.lastBlock))
    throw contradiction(position, `block ${event.blockId} came after block ${ledger.lastBlock.epoch}-${ledger.lastBlock.counter}`);
  const positions = ledger.positions.get(event.stream) ?? new Map<string, number>();
  for (const { partition, from, until } of event.ranges ?? []) {
    const held = positions.get(partition);
    if (held !== undefined && held !== from)
      throw contradiction(position, `"${partition}" of "${event.stream}" continues at ${from}, received was up to ${held}`);
    positions.set(partition, until);
  }
  ledger.positions.set(event.stream, positions);
  ledger.lastBlock = { epoch, counter };
  const { stream, blockId, recordCount, codec, unloggedBytes } = event;
  const block: LoggedBlock = { stream, blockId, recordCount, codec, position, ...(unloggedBytes === undefined ? {} : { unloggedBytes }) };
  ledger.waiting.push(block);
  ledger.waitingBytes += bytesOf(block);
}

function filesOf(ledger: Ledger, stream: string): TakenFiles {
  const files = ledger.files.get(stream) ?? { isPositioned: false, names: new Set<string>() };
  ledger.files.set(stream, files);
  return files;
}

function applyPositioned(ledger: Ledger, event: SourcePositioned, position: LogPosition): void {
  const files = filesOf(ledger, event.stream);
  if (files.isPositioned) throw contradiction(position, `"${event.stream}" begins a second time`);
  for (const name of event.files) files.names.add(name);
  files.isPositioned = event.isComplete;
}

function takeFiles(ledger: Ledger, stream: string, { input, position }: { readonly input: BatchInput; readonly position: LogPosition }): void {
  if (input.files === undefined && input.filesGone === undefined) return;
  const { names } = filesOf(ledger, stream);
  for (const name of input.filesGone ?? []) if (!names.delete(name)) throw contradiction(position, `file "${name}" of "${stream}" went and was never there`);
  for (const { name } of input.files ?? []) {
    if (names.has(name)) throw contradiction(position, `file "${name}" of "${stream}" is taken a second time`);
    names.add(name);
  }
}

/** What a batch takes of the blocks that wait and of the files that were found. */
function takeInputs(ledger: Ledger, event: BatchPlanned, position: LogPosition): ReadonlyMap<string, LedgerInput> {
  const waiting = new Map(ledger.waiting.map((block) => [block.blockId, block]));
  const take = (stream: string, blockId: string): LoggedBlock => {
    const block = waiting.get(blockId);
    if (block?.stream !== stream) throw contradiction(position, `batch ${event.batchTime} takes block ${blockId} of "${stream}", which does not wait`);
    waiting.delete(blockId);
    return block;
  };
  const inputs = new Map(
    [...event.inputs].map(([stream, input]) => [stream, { blocks: input.blocks.map((blockId) => take(stream, blockId)), files: input.files ?? [] }]),
  );
  for (const [stream, input] of event.inputs) takeFiles(ledger, stream, { input, position });
  ledger.waiting = [...waiting.values()];
  ledger.waitingBytes = loggedBytes(ledger.waiting);
  return inputs;
}

function namesOf(input: { readonly blocks: readonly string[]; readonly files?: readonly { readonly name: string }[] | undefined }): string {
  return JSON.stringify([input.blocks, (input.files ?? []).map(({ name }) => name)]);
}

/** What a batch takes of the one it replaces: everything, since nothing else will. */
function takeReplaced(ledger: Ledger, pending: Replacement, planned: { readonly event: BatchPlanned; readonly position: LogPosition }): Replacement['inputs'] {
  const { event, position } = planned;
  if (event.batchTime !== pending.by) throw contradiction(position, `batch ${event.batchTime} was planned before batch ${pending.by}, whose inputs wait`);
  const nothing: LedgerInput = { blocks: [], files: [] };
  for (const stream of new Set([...event.inputs.keys(), ...pending.inputs.keys()])) {
    const { blocks, files } = pending.inputs.get(stream) ?? nothing;
    if (namesOf({ blocks: blocks.map(({ blockId }) => blockId), files }) !== namesOf(event.inputs.get(stream) ?? { blocks: [] }))
      throw contradiction(position, `batch ${event.batchTime} takes of "${stream}" what the batch that it replaces did not`);
  }
  ledger.replacing = ledger.replacing.slice(1);
  return new Map([...event.inputs.keys()].map((stream) => [stream, pending.inputs.get(stream) ?? nothing]));
}

function applyPlanned(ledger: Ledger, event: BatchPlanned, position: LogPosition): void {
  if (event.batchTime <= ledger.lastBatchTime) throw contradiction(position, `batch ${event.batchTime} was planned after batch ${ledger.lastBatchTime}`);
  const [pending] = ledger.replacing;
  const inputs = pending === undefined ? takeInputs(ledger, event, position) : takeReplaced(ledger, pending, { event, position });
  const { batchTime, planId, outputs, shuffles, graphFingerprint, codeVersion } = event;
  ledger.batches = [...ledger.batches, { batchTime, planId, inputs, outputs, shuffles, graphFingerprint, codeVersion, completion: undefined }];
  ledger.lastBatchTime = batchTime;
  for (const [sink, partitions] of outputs) ledger.partitionsMax.set(sink, Math.max(partitions, ledger.partitionsMax.get(sink) ?? 0));
}

function applyCompleted(ledger: Ledger, event: BatchCompleted, position: LogPosition): void {
  const batch = ledger.batches.find((planned) => planned.completion === undefined);
  if (batch?.batchTime !== event.batchTime)
    throw contradiction(position, `batch ${event.batchTime} completed, the oldest unfinished one is ${batch?.batchTime ?? 'none'}`);
  batch.completion = { written: event.written, stateDigest: event.stateDigest };
  expectRows(ledger, batch, event.written);
}

/** From here on the sinks must hold these rows. */
function expectRows(ledger: Ledger, batch: { readonly batchTime: BatchTime; readonly planId: string }, written: BatchCompleted['written']): void {
  for (const [sink, partitions] of written) {
    const rows = ledger.expected.get(sink) ?? new Map<number, { batchTime: BatchTime; planId: string; fingerprint: string }>();
    for (const [partition, fingerprint] of partitions) rows.set(partition, { batchTime: batch.batchTime, planId: batch.planId, fingerprint });
    ledger.expected.set(sink, rows);
  }
}

/**
 * Adds the inputs of a batch that is closed, and a time that is promised. A batch that could be planned took inputs older than all that wait here, so its inputs come first, and the times
 * go to the inputs in their order: also where batches of an earlier consent wait, and the first of them is closed again.
 */
function withReplaced(waiting: readonly Replacement[], { by, inputs }: Replacement): readonly Replacement[] {
  const times = [...waiting.map((each) => each.by), by].toSorted((left, right) => left - right);
  const inOrder = [inputs, ...waiting.map((each) => each.inputs)];
  return times.flatMap((time, index) => inOrder.slice(index, index + 1).map((each) => ({ by: time, inputs: each })));
}

function applyReplaced(ledger: Ledger, event: BatchReplaced, position: LogPosition): void {
  const batch = ledger.batches.at(-1);
  if (batch?.batchTime !== event.batchTime)
    throw contradiction(position, `batch ${event.batchTime} is replaced, the newest one is ${batch?.batchTime ?? 'none'}`);
  if (event.by <= ledger.lastBatchTime || ledger.replacing.some(({ by }) => by === event.by))
    throw contradiction(position, `batch ${event.batchTime} is replaced by batch ${event.by}, which is taken`);
  ledger.batches = ledger.batches.slice(0, -1);
  ledger.replacing = withReplaced(ledger.replacing, { by: event.by, inputs: batch.inputs });
  ledger.givenUp.batches.add(event.batchTime);
  // What a completed batch wrote is expected since it completed, or was written over since.
  if (batch.completion === undefined) expectRows(ledger, batch, event.committed);
}

function applyForgotten(ledger: Ledger, event: Forgotten, position: LogPosition): void {
  const { givenUp } = ledger;
  for (const uid of event.states) givenUp.states.set(uid, { lsn: position.lsn, batchTime: ledger.lastBatchTime });
  for (const uid of event.sinks) {
    givenUp.sinks.add(uid);
    ledger.expected.delete(uid);
  }
  for (const uid of event.streams) givenUp.streams.add(uid);
  const stays = (stream: string): boolean => !event.streams.includes(stream);
  ledger.waiting = ledger.waiting.filter((block) => stays(block.stream));
  ledger.waitingBytes = loggedBytes(ledger.waiting);
  ledger.replacing = ledger.replacing.map(({ by, inputs }) => ({ by, inputs: new Map([...inputs].filter(([stream]) => stays(stream))) }));
}

/**
 * Folds one event into a ledger, which it changes. Events come in the order of the log, each once.
 *
 * @throws {CorruptionError} If the event contradicts the ledger: a second plan for a batch time, a block that is already there, a range that does not continue, ...
 */
export function applyEvent(ledger: Ledger, { event, position }: LoggedEvent): void {
  if (position.lsn !== ledger.lsn + 1) throw contradiction(position, `it follows record ${ledger.lsn}`);
  switch (event.kind) {
    case 'opened':
      applyOpened(ledger, event, position);
      break;
    case 'block-added':
      applyBlock(ledger, event, position);
      break;
    case 'batch-planned':
      applyPlanned(ledger, event, position);
      break;
    case 'batch-completed':
      applyCompleted(ledger, event, position);
      break;
    case 'source-positioned':
      applyPositioned(ledger, event, position);
      break;
    case 'forgotten':
      applyForgotten(ledger, event, position);
      break;
    case 'batch-replaced':
      applyReplaced(ledger, event, position);
      break;
    case 'checkpoint':
    case 'closed':
      break;
  }
  ledger.lsn = position.lsn;
}

/** Drops the batches that a checkpoint covers: up to and including `batchTime`. All of them are completed. */
export function forgetBatches(ledger: Ledger, batchTime: BatchTime): void {
  ledger.batches = ledger.batches.filter((batch) => batch.batchTime > batchTime);
}
