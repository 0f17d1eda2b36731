// Pure: how is a slot that changed written? As a delta behind those that are there, as one delta in place of the newest of them, or whole.

/** What is known of a slot that changed. */
export interface SlotScene {
  readonly slot: number;
  /** How many entries it has. */
  readonly entries: number;
  /** Whether a base of it was written. */
  readonly hasBase: boolean;
  /** How many keys each delta has, oldest first. */
  readonly deltas: readonly number[];
  /** How many keys changed since. */
  readonly changed: number;
}

/** The answer: how many of the deltas stay; undefined for all of it written afresh. */
export type WriteChoice = { readonly kind: 'base' } | { readonly kind: 'delta'; readonly keepDeltas: number };

/** A slot with this many deltas gets one in place of all of them. */
const DELTAS_MAX = 24;
/** So many small deltas in a row are joined, at the least. The slot adds up to {@link JOIN_SPREAD} - 1, so that not all slots are joined by one checkpoint. */
const JOIN_MIN = 6;
const JOIN_SPREAD = 5;

/**
 * Chooses.
 *
 * - Whole, if there is no base, or if its deltas would outweigh it: so a slot never takes more than twice its size, and a key is written again once for each time the slot doubles.
 * - One delta in place of all, if there are very many.
 * - One delta in place of the newest ones, if several in a row are no larger than twice the new one.
 * - One more delta.
 */
export function chooseWrite({ slot, entries, hasBase, deltas, changed }: SlotScene): WriteChoice {
  const inDeltas = deltas.reduce((sum, keys) => sum + keys, 0);
  if (!hasBase || inDeltas + changed >= entries) return { kind: 'base' };
  if (deltas.length >= DELTAS_MAX) return { kind: 'delta', keepDeltas: 0 };
  const firstLarge = deltas.findLastIndex((keys) => keys > 2 * changed);
  const small = deltas.length - 1 - firstLarge;
  return { kind: 'delta', keepDeltas: small >= JOIN_MIN + (slot % JOIN_SPREAD) ? firstLarge + 1 : deltas.length };
}
