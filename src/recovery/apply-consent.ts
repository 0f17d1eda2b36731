// Writes down what was consented to, once the sinks are claimed and have said what they hold. Each event leaves a store that any start can go on from.
import type { Uid } from '../core/ids.ts';
import { batchAfter, type Duration } from '../core/time.ts';
import type { BatchReplaced } from '../journal/events.ts';
import type { Journal } from '../journal/journal.ts';
import type { Ledger, LedgerBatch } from '../journal/ledger.ts';
import type { SinkView } from '../sinks/sink.ts';
import type { Agreed } from './judge-consent.ts';
import { lastBatchTime, type BatchesNamed } from './last-batch-time.ts';

/** A batch that was closed, and the one that takes its inputs. */
export type ReplacedBatch = Omit<BatchReplaced, 'kind'>;

/** What the sinks hold of a batch: what it put out if it completed, else the rows that are there. A sink that is not in the graph any more is not asked. */
function committedOf({ batchTime, planId, completion }: LedgerBatch, views: ReadonlyMap<Uid, SinkView>): ReplacedBatch['committed'] {
  if (completion !== undefined) return completion.written;
  const held = [...views].map(([uid, { rows }]) => {
    const own = [...rows].filter(([, row]) => row.batchTime === batchTime && row.planId === planId);
    return [uid, new Map(own.map(([partition, { fingerprint }]) => [partition, fingerprint]))] as const;
  });
  return new Map(held.filter(([, rows]) => rows.size > 0));
}

/** Which batch closes which: the oldest inputs run first, in batches later than every one that is taken. */
export function planReplacements(
  ledger: Ledger,
  replace: readonly LedgerBatch[],
  store: Omit<BatchesNamed, 'ledger'> & { readonly interval: Duration },
): readonly ReplacedBatch[] {
  let last = lastBatchTime({ ledger, ...store });
  return replace.map((batch) => {
    last = batchAfter(last, store.interval);
    return { batchTime: batch.batchTime, by: last, committed: committedOf(batch, store.views) };
  });
}

/** Whether anything is given up at all. */
export function isGivingUp({ dropState, forgetSink, dropInput, replace }: Agreed): boolean {
  return dropState.length + forgetSink.length + dropInput.length + replace.length > 0;
}

/**
 * Writes down what was consented to. Batches are closed newest first: whatever a crash leaves, what is left are the oldest, and the code that planned them can still run them.
 *
 * @returns The batches that were closed, oldest first.
 */
export async function applyConsent(
  journal: Journal,
  agreed: Agreed,
  store: Omit<BatchesNamed, 'ledger'> & { readonly interval: Duration },
): Promise<readonly ReplacedBatch[]> {
  const replaced = planReplacements(journal.ledger, agreed.replace, store);
  for (const batch of replaced.toReversed()) await journal.appendAtOnce({ kind: 'batch-replaced', ...batch });
  const { dropState: states, forgetSink: sinks, dropInput: streams } = agreed;
  if (states.length + sinks.length + streams.length > 0) await journal.appendAtOnce({ kind: 'forgotten', states, sinks, streams });
  return replaced;
}
