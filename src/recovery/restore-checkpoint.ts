// Finds the checkpoint to go on from, reads it, and folds the journal behind it. A damaged newest one falls back to the older, then to a registered savepoint, then to the whole log, then to a refusal.
import { present } from '../core/assert.ts';
import { CorruptionError } from '../core/errors.ts';
import type { GraphDescriptor } from '../core/graph-descriptor.ts';
import { applyEvent, type LoggedEvent } from '../journal/apply-event.ts';
import { decodeLedger, emptyLedger, type Ledger, type LedgerInput, type LoggedBlock } from '../journal/ledger.ts';
import { acceptHead, type Anchor } from '../checkpoint/accept-head.ts';
import { HEADS_RETAINED, type Checkpoints, type StoredHead } from '../checkpoint/checkpoints.ts';
import type { SlotRef } from '../checkpoint/head.ts';
import { readSavepoint } from '../checkpoint/savepoint-file.ts';
import type { FileSystem } from '../env/file-system.ts';
import { decodeMetadata } from '../journal/checkpoint-metadata.ts';
import type { Identity } from '../journal/identity.ts';
import type { StoredSlot } from '../state/state-slot.ts';
import { registeredSavepoints, type RegisteredSavepoint } from './savepoints.ts';
import { droppedSince } from './store-facts.ts';

/** The slots of each operator, by its uid. Every blob is there and has its checksum; none is decoded yet. */
export type StoredStates = ReadonlyMap<string, readonly StoredSlot[]>;

/** What was restored. */
export interface Restored {
  /** The fold of the whole journal. */
  readonly ledger: Ledger;
  /** What was accepted holds of each operator's state; nothing of what was dropped since. */
  readonly states: StoredStates;
  /** The graph that wrote the state; undefined when everything comes from the log. */
  readonly stateGraph: GraphDescriptor | undefined;
  /** The checkpoint that was accepted, or the one that an accepted savepoint was made of; undefined when everything comes from the log. */
  readonly accepted: StoredHead | undefined;
  /** The name of the savepoint that took the place of the checkpoints, if one did. */
  readonly savepoint: string | undefined;
  /** Whether the journal names the accepted checkpoint as its last. */
  readonly isAnchored: boolean;
  /** Heads that stay, newest first. */
  readonly retained: readonly StoredHead[];
  /** The number the next checkpoint gets. */
  readonly nextNumber: number;
  /** Whether the store holds parts of a checkpoint newer than the last anchor. */
  readonly hasUnanchored: boolean;
}

/** What a restore may use besides the checkpoints. */
export interface RestoreScene {
  /** The first and the last lsn of the log. */
  readonly first: number;
  readonly last: number;
  /** The digest of the savepoint that the store began with: then the log does not hold what was before. */
  readonly origin: string | undefined;
  /** The registered savepoints, newest first. */
  readonly savepoints: readonly RegisteredSavepoint[];
  /** Where they are. */
  readonly files: FileSystem;
  /** Whether the state is left alone, for a look that decides nothing. */
  readonly isLedgerOnly?: boolean;
}

function anchorsOf(events: readonly LoggedEvent[]): readonly Anchor[] {
  return events.flatMap(({ event }) => (event.kind === 'checkpoint' ? [{ number: event.number, headHash: event.headHash }] : []));
}

/** Reads ledger and state of a head, or its ledger only; undefined if any part of it is missing or damaged. */
async function readHead(checkpoints: Checkpoints, { head }: StoredHead, isLedgerOnly: boolean): Promise<HeadContent | undefined> {
  const [ledgerBytes] = await checkpoints.readBlobs([head.ledger]);
  const ledger = ledgerBytes === undefined ? undefined : decodeLedgerOf(ledgerBytes);
  if (ledger?.lsn !== head.lsn) return undefined;
  if (isLedgerOnly) return { ledger, states: new Map() };
  const blobs = await checkpoints.readBlobs(head.slots.flatMap((slot) => slot.blobs));
  const states = new Map<string, StoredSlot[]>();
  let next = 0;
  for (const ref of head.slots) {
    const payloads: Uint8Array[] = [];
    for (let index = 0; index < ref.blobs.length; index++) {
      const payload = blobs[next];
      if (payload === undefined) return undefined;
      payloads.push(payload);
      next += 1;
    }
    const slots = states.get(ref.uid) ?? [];
    states.set(ref.uid, slots);
    slots.push({ ref, payloads });
  }
  return { ledger, states };
}

function decodeLedgerOf(bytes: Uint8Array): Ledger | undefined {
  try {
    return decodeLedger(bytes);
  } catch (error) {
    // The checksum fits, yet the bytes are no ledger: treated like any other damage.
    if (error instanceof Error) return undefined;
    throw error;
  }
}

/**
 * Gives every block the place where it stands now: a start writes the last group afresh, so a place that a checkpoint names may be void by now.
 */
function relocateBlocks(ledger: Ledger, events: readonly LoggedEvent[]): void {
  const places = new Map(events.flatMap(({ event, position }) => (event.kind === 'block-added' ? [[event.blockId, position] as const] : [])));
  const relocate = (block: LoggedBlock): LoggedBlock => {
    const position = places.get(block.blockId);
    if (position?.lsn === block.position.lsn) return { ...block, position };
    throw new CorruptionError(
      'STREAM_CHECKPOINT_CORRUPT',
      `Cannot go on as the log must hold block ${block.blockId} of "${block.stream}" as record ${block.position.lsn}: it does not`,
    );
  };
  ledger.waiting = ledger.waiting.map(relocate);
  const relocateInputs = (inputs: ReadonlyMap<string, LedgerInput>): ReadonlyMap<string, LedgerInput> =>
    new Map([...inputs].map(([stream, { blocks, files }]) => [stream, { blocks: blocks.map(relocate), files }]));
  ledger.batches = ledger.batches.map((batch) => ({ ...batch, inputs: relocateInputs(batch.inputs) }));
  ledger.replacing = ledger.replacing.map(({ by, inputs }) => ({ by, inputs: relocateInputs(inputs) }));
}

/** What a restore of a store may use besides its checkpoints. */
export async function restoreScene(
  files: FileSystem,
  place: { readonly directory: string; readonly identity: Pick<Identity, 'storeId' | 'origin'> },
  log: Pick<RestoreScene, 'first' | 'last' | 'isLedgerOnly'>,
): Promise<RestoreScene> {
  const { storeId, origin } = place.identity;
  return { files, origin, savepoints: await registeredSavepoints(files, place.directory, storeId), ...log };
}

/**
 * Restores from checkpoints, savepoints and journal.
 *
 * @throws {CorruptionError} If no checkpoint and no savepoint fits and the log does not reach back to the beginning of the store, or a checkpoint is ahead of the log.
 */
export async function restoreCheckpoint(checkpoints: Checkpoints, events: readonly LoggedEvent[], scene: RestoreScene): Promise<Restored> {
  const found = await checkpoints.heads();
  const anchors = anchorsOf(events);
  const largest = Math.max(await checkpoints.largestNumber(), ...anchors.map((anchor) => anchor.number), 0);
  const chosen = await chooseHead(checkpoints, found, { anchors, scene });
  const { accepted, isAnchored, retained, savepoint } = chosen;
  const { ledger } = chosen.content;
  for (const logged of events) if (logged.position.lsn > ledger.lsn) applyEvent(ledger, logged);
  relocateBlocks(ledger, events);
  const dropped = new Set(droppedSince(ledger, accepted));
  const stateGraph = accepted === undefined ? undefined : decodeMetadata(accepted.head.metadata).graph;
  return {
    ledger,
    states: new Map([...chosen.content.states].filter(([uid]) => !dropped.has(uid))),
    stateGraph: stateGraph === undefined ? undefined : { ...stateGraph, operators: stateGraph.operators.filter(({ uid }) => !dropped.has(uid)) },
    accepted,
    savepoint,
    isAnchored,
    retained,
    nextNumber: largest + 1,
    hasUnanchored: largest > (anchors.at(-1)?.number ?? 0),
  };
}

interface HeadContent {
  readonly ledger: Ledger;
  readonly states: StoredStates;
}

interface ChosenHead extends Pick<Restored, 'accepted' | 'isAnchored' | 'retained' | 'savepoint'> {
  readonly content: HeadContent;
}

/** The newest head that may be believed and can be read. One that cannot be read counts as damaged, and the choice is made again. */
async function chooseHead(
  checkpoints: Checkpoints,
  found: { readonly whole: readonly StoredHead[]; readonly damaged: readonly number[] },
  { anchors, scene }: { readonly anchors: readonly Anchor[]; readonly scene: RestoreScene },
): Promise<ChosenHead> {
  let { whole, damaged } = found;
  for (;;) {
    const heads = whole.map(({ head, hash }) => ({ number: head.number, hash, previousHash: head.previous?.hash, lsn: head.lsn }));
    const savepoints = scene.savepoints.map(({ name, header: { headHash, lsn } }) => ({ name, headHash, lsn }));
    const verdict = acceptHead({ heads, damaged, anchors, savepoints, log: { first: scene.first, last: scene.last }, hasOrigin: scene.origin !== undefined });
    if (verdict.kind === 'refuse')
      throw new CorruptionError(verdict.code, `Cannot go on from a checkpoint as it must fit the log: ${verdict.why}. Nothing was changed`);
    if (verdict.kind === 'savepoint') return chooseSavepoint(scene, verdict.name);
    const accepted = verdict.kind === 'head' ? whole.find(({ head }) => head.number === verdict.number) : undefined;
    if (accepted === undefined)
      return { accepted, savepoint: undefined, isAnchored: false, retained: [], content: { ledger: emptyLedger(), states: new Map() } };
    const content = await readHead(checkpoints, accepted, scene.isLedgerOnly === true);
    if (content !== undefined) {
      const retained = whole.filter(({ head }) => head.number <= accepted.head.number).slice(0, HEADS_RETAINED);
      return { accepted, savepoint: undefined, isAnchored: verdict.kind === 'head' && verdict.isAnchored, retained, content };
    }
    whole = whole.filter((stored) => stored !== accepted);
    damaged = [...damaged, accepted.head.number];
  }
}

/** Goes on from a registered savepoint: its state is written afresh by the next checkpoint. */
async function chooseSavepoint({ files, savepoints, isLedgerOnly }: RestoreScene, name: string): Promise<ChosenHead> {
  const { path } = present(
    savepoints.find((savepoint) => savepoint.name === name),
    `the savepoint "${name}" is registered`,
  );
  const { header, ledger: bytes, slots } = await readSavepoint(files, path);
  const ledger = decodeLedgerOf(bytes);
  if (ledger?.lsn !== header.lsn)
    throw new CorruptionError('STREAM_SAVEPOINT', `Cannot use "${path}" as its ledger must end with record ${header.lsn}: it does not`);
  const states = new Map<string, StoredSlot[]>();
  const refs: SlotRef[] = [];
  for (const { uid, slot, entries, payloads } of slots) {
    const ref = { uid, slot, entries, blobs: payloads.map((payload) => ({ key: path, bytes: payload.length, crc: 0 })) };
    refs.push(ref);
    const of = states.get(uid) ?? [];
    states.set(uid, of);
    of.push({ ref, payloads, isElsewhere: true });
  }
  const { number, batchTime, lsn, app, storeId, metadata, headHash } = header;
  const head = { number, previous: null, batchTime, lsn, app, storeId, metadata, ledger: { key: path, bytes: bytes.length, crc: 0 }, slots: refs };
  return {
    accepted: { head, hash: headHash },
    savepoint: name,
    isAnchored: true,
    retained: [],
    content: { ledger, states: isLedgerOnly === true ? new Map() : states },
  };
}
