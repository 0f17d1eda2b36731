// Pure: what a store holds, as a comparison with today's graph needs it. State is counted from the names of the checkpoint's slots; none of it is decoded.
import type { Uid } from '../core/ids.ts';
import type { StoredHead } from '../checkpoint/checkpoints.ts';
import { decodeMetadata } from '../journal/checkpoint-metadata.ts';
import { bytesOf, type Ledger, type LedgerInput } from '../journal/ledger.ts';
import type { BatchScene, BatchesAgain, Program } from './bound-batches.ts';
import type { HeldInput, HeldState, StoreFacts } from './upgrade-scene.ts';

/** The codecs of records that this version reads. */
const RECORD_CODECS: readonly string[] = ['lines', 'json-lines'];

const NOTHING: HeldInput = { blocks: 0, files: 0, records: 0, bytes: 0, codecs: [] };

/** Whether the state of an operator in a checkpoint was dropped after it. */
function isDropped({ givenUp }: Ledger, uid: Uid, { head }: StoredHead): boolean {
  return (givenUp.states.get(uid)?.lsn ?? 0) > head.lsn;
}

/** The operators whose state was dropped since a checkpoint. */
export function droppedSince(ledger: Ledger, head: StoredHead | undefined): readonly Uid[] {
  return head === undefined ? [] : [...ledger.givenUp.states.keys()].filter((uid) => isDropped(ledger, uid, head));
}

function statesOf(ledger: Ledger, stored: StoredHead | undefined): ReadonlyMap<Uid, HeldState> {
  const states = new Map<Uid, HeldState>();
  if (stored === undefined) return states;
  const operators = new Map(decodeMetadata(stored.head.metadata).graph.operators.map((operator) => [operator.uid, operator]));
  for (const { uid, entries, blobs } of stored.head.slots) {
    if (isDropped(ledger, uid, stored)) continue;
    const { keys, bytes } = states.get(uid) ?? { keys: 0, bytes: 0 };
    states.set(uid, { keys: keys + entries, bytes: bytes + blobs.reduce((sum, blob) => sum + blob.bytes, 0), writtenAs: operators.get(uid) });
  }
  return states;
}

function plus(held: HeldInput, { blocks, files }: LedgerInput): HeldInput {
  return {
    blocks: held.blocks + blocks.length,
    files: held.files + files.length,
    records: held.records + blocks.reduce((sum, block) => sum + block.recordCount, 0),
    bytes: held.bytes + blocks.reduce((sum, block) => sum + bytesOf(block), 0) + files.reduce((sum, file) => sum + file.size, 0),
    codecs: [...new Set([...held.codecs, ...blocks.map((block) => block.codec)])],
  };
}

function inputsOf(ledger: Ledger, again: BatchesAgain['again']): ReadonlyMap<Uid, HeldInput> {
  const inputs = new Map<Uid, HeldInput>();
  const add = (stream: Uid, input: LedgerInput): void => void inputs.set(stream, plus(inputs.get(stream) ?? NOTHING, input));
  for (const block of ledger.waiting) add(block.stream, { blocks: [block], files: [] });
  for (const batch of [...again.map((each) => each.batch), ...ledger.replacing]) for (const [stream, input] of batch.inputs) add(stream, input);
  return inputs;
}

function uncheckpointedOf({ ledger, covered, made }: BatchScene): ReadonlyMap<Uid, number> {
  const counts = new Map<Uid, number>();
  for (const batch of ledger.batches) {
    if (batch.completion === undefined || batch.batchTime <= covered) continue;
    for (const uid of made(batch)) counts.set(uid, (counts.get(uid) ?? 0) + 1);
  }
  return counts;
}

/** What a store holds. */
export function storeFacts(
  scene: BatchScene,
  head: StoredHead | undefined,
  today: { readonly program: Program; readonly again: BatchesAgain['again'] },
): StoreFacts {
  const { program, again } = today;
  const { ledger } = scene;
  const positioned = [...ledger.positions].filter(([, partitions]) => partitions.size > 0).map(([stream]) => stream);
  return {
    states: statesOf(ledger, head),
    uncheckpointed: uncheckpointedOf(scene),
    inputs: inputsOf(ledger, again),
    positioned: new Set([
      ...positioned,
      ...[...ledger.files].filter(([, { names, isPositioned }]) => isPositioned || names.size > 0).map(([stream]) => stream),
    ]),
    rows: new Map([...ledger.expected].map(([sink, rows]) => [sink, rows.size])),
    unfinished: new Set(ledger.batches.filter(({ completion }) => completion === undefined).flatMap(({ outputs }) => [...outputs.keys()])),
    codecs: { state: program.stateCodecs, records: RECORD_CODECS },
  };
}
