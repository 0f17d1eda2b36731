// Pure: up to where may the log be cut? Never into what a retained checkpoint or a block that still waits in its ledger needs.
import type { Ledger } from './ledger.ts';

/** How many checkpoints must stand before anything is cut. */
const CHECKPOINTS_NEEDED = 2;

/** The lowest record that a checkpoint with this ledger needs: its own lsn, and every block that waits, is in an unfinished plan or comes from a replaced batch. */
export function neededLsn(ledger: Ledger): number {
  let needed = ledger.lsn;
  for (const block of ledger.waiting) needed = Math.min(needed, block.position.lsn);
  for (const { inputs } of [...ledger.batches.filter(({ completion }) => completion === undefined), ...ledger.replacing]) {
    for (const { blocks } of inputs.values()) for (const block of blocks) needed = Math.min(needed, block.position.lsn);
  }
  return needed;
}

/**
 * Low water: the lowest lsn that must stay. The beginning of the log until two checkpoints stand, then the least that any of them needs.
 *
 * @param needs - {@link neededLsn} of each retained checkpoint.
 */
export function lowWater(needs: readonly number[]): number {
  return needs.length < CHECKPOINTS_NEEDED ? 0 : Math.min(...needs);
}
