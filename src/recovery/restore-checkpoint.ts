// Finds the checkpoint to go on from, reads it, and folds the journal behind it. A damaged newest one falls back to the older, then to the whole log, then to a refusal.
import { CorruptionError } from '../core/errors.ts';
import { applyEvent, type LoggedEvent } from '../journal/apply-event.ts';
import { decodeLedger, emptyLedger, type Ledger, type LedgerInput, type LoggedBlock } from '../journal/ledger.ts';
import { acceptHead, type AcceptScene, type Anchor } from '../checkpoint/accept-head.ts';
import { HEADS_RETAINED, type Checkpoints, type StoredHead } from '../checkpoint/checkpoints.ts';
import { KeyedState } from '../state/keyed-state.ts';
import { decodeSlot } from '../state/slot-codec.ts';
import { droppedSince } from './store-facts.ts';

/** What was restored. */
export interface Restored {
  /** The fold of the whole journal. */
  readonly ledger: Ledger;
  /** State by uid, as the checkpoint holds it. */
  readonly states: Map<string, KeyedState>;
  /** The checkpoint that was accepted; undefined when everything comes from the log. */
  readonly accepted: StoredHead | undefined;
  /** Whether the journal names the accepted checkpoint as its last. */
  readonly isAnchored: boolean;
  /** Heads that stay, newest first. */
  readonly retained: readonly StoredHead[];
  /** The number the next checkpoint gets. */
  readonly nextNumber: number;
  /** Whether the store holds parts of a checkpoint newer than the last anchor. */
  readonly hasUnanchored: boolean;
}

function anchorsOf(events: readonly LoggedEvent[]): readonly Anchor[] {
  return events.flatMap(({ event }) => (event.kind === 'checkpoint' ? [{ number: event.number, headHash: event.headHash }] : []));
}

/** Reads ledger and state of a head, or its ledger only; undefined if any part of it is missing or damaged. */
async function readHead(checkpoints: Checkpoints, { head }: StoredHead, isLedgerOnly: boolean): Promise<HeadContent | undefined> {
  const [ledgerBytes] = await checkpoints.readBlobs([head.ledger]);
  const states = new Map<string, KeyedState>();
  try {
    if (ledgerBytes === undefined) return undefined;
    const ledger = decodeLedger(ledgerBytes);
    if (isLedgerOnly) return ledger.lsn === head.lsn ? { ledger, states } : undefined;
    const blobs = await checkpoints.readBlobs(head.slots.flatMap((slot) => slot.blobs.slice(0, 1)));
    for (const [index, ref] of head.slots.entries()) {
      const bytes = blobs[index];
      if (bytes === undefined) return undefined;
      const entries = decodeSlot(bytes);
      if (entries.size !== ref.entries) return undefined;
      const state = states.get(ref.uid) ?? new KeyedState(ref.uid);
      states.set(ref.uid, state);
      state.load(ref, entries);
    }
    return ledger.lsn === head.lsn ? { ledger, states } : undefined;
  } catch (error) {
    // The checksum fits, yet the bytes are no ledger or slot: treated like any other damage.
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

/**
 * Restores from checkpoints and journal.
 *
 * @param log - The first and the last lsn of the log, and whether the state is left alone, for a look that decides nothing.
 * @throws {CorruptionError} If no checkpoint fits and the log does not reach back to its first record, or a checkpoint is ahead of the log.
 */
export async function restoreCheckpoint(
  checkpoints: Checkpoints,
  events: readonly LoggedEvent[],
  log: { readonly first: number; readonly last: number; readonly isLedgerOnly?: boolean },
): Promise<Restored> {
  const found = await checkpoints.heads();
  const anchors = anchorsOf(events);
  const largest = Math.max(await checkpoints.largestNumber(), ...anchors.map((anchor) => anchor.number), 0);
  const chosen = await chooseHead(checkpoints, found, { anchors, log });
  const { ledger, states } = chosen.content;
  for (const logged of events) if (logged.position.lsn > ledger.lsn) applyEvent(ledger, logged);
  relocateBlocks(ledger, events);
  for (const uid of droppedSince(ledger, chosen.accepted)) states.delete(uid);
  return {
    ledger,
    states,
    accepted: chosen.accepted,
    isAnchored: chosen.isAnchored,
    retained: chosen.retained,
    nextNumber: largest + 1,
    hasUnanchored: largest > (anchors.at(-1)?.number ?? 0),
  };
}

interface HeadContent {
  readonly ledger: Ledger;
  readonly states: Map<string, KeyedState>;
}

interface ChosenHead extends Pick<Restored, 'accepted' | 'isAnchored' | 'retained'> {
  readonly content: HeadContent;
}

/** The newest head that may be believed and can be read. One that cannot be read counts as damaged, and the choice is made again. */
async function chooseHead(
  checkpoints: Checkpoints,
  found: { readonly whole: readonly StoredHead[]; readonly damaged: readonly number[] },
  scene: Pick<AcceptScene, 'anchors'> & { readonly log: AcceptScene['log'] & { readonly isLedgerOnly?: boolean } },
): Promise<ChosenHead> {
  let { whole, damaged } = found;
  for (;;) {
    const heads = whole.map(({ head, hash }) => ({ number: head.number, hash, previousHash: head.previous?.hash, lsn: head.lsn }));
    const verdict = acceptHead({ heads, damaged, ...scene });
    if (verdict.kind === 'refuse')
      throw new CorruptionError(verdict.code, `Cannot go on from a checkpoint as it must fit the log: ${verdict.why}. Nothing was changed`);
    const accepted = verdict.kind === 'head' ? whole.find(({ head }) => head.number === verdict.number) : undefined;
    if (accepted === undefined) return { accepted, isAnchored: false, retained: [], content: { ledger: emptyLedger(), states: new Map() } };
    const content = await readHead(checkpoints, accepted, scene.log.isLedgerOnly === true);
    if (content !== undefined) {
      const retained = whole.filter(({ head }) => head.number <= accepted.head.number).slice(0, HEADS_RETAINED);
      return { accepted, isAnchored: verdict.kind === 'head' && verdict.isAnchored, retained, content };
    }
    whole = whole.filter((stored) => stored !== accepted);
    damaged = [...damaged, accepted.head.number];
  }
}
