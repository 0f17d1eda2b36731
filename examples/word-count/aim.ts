// Decides when to kill, and what kind of kill it was. Pure.
import type { RecoveryFound } from 'millrace';

/** The moments at which a kill can fall. */
export const KILL_KINDS = ['receiving', 'plan to commit', 'commit to complete', 'checkpoint', 'recovery'] as const;

/** One of {@link KILL_KINDS}. */
export type KillKind = (typeof KILL_KINDS)[number];

/** The event of the program at which a kill of each kind is tried. */
export const TRIGGERS: Readonly<Record<KillKind, string>> = {
  receiving: 'block-added',
  'plan to commit': 'batch-planned',
  'commit to complete': 'partition-committed',
  checkpoint: 'checkpoint-started',
  recovery: 'recovery-started',
};

/** What a kill was, by what the next recovery found. */
export function classify(found: RecoveryFound): KillKind {
  if (found.diedInRecovery) return 'recovery';
  if (found.diedInCheckpoint) return 'checkpoint';
  if (found.batchesUnfinished === 0) return 'receiving';
  return found.rowsOfUnfinished > 0 ? 'commit to complete' : 'plan to commit';
}

/** The kind to try next: the one that was hit least; among equals the first. */
export function nextAim(hits: ReadonlyMap<KillKind, number>): KillKind {
  return KILL_KINDS.reduce((best, kind) => ((hits.get(kind) ?? 0) < (hits.get(best) ?? 0) ? kind : best));
}
