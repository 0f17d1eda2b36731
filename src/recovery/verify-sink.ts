// Pure: what a sink must hold, by the log and the ledger of a store directory, against what it holds.
import type { Uid } from '../core/ids.ts';
import type { BatchTime } from '../core/time.ts';
import type { Identity } from '../journal/identity.ts';
import type { LoggedEvent } from '../journal/apply-event.ts';
import type { Ledger } from '../journal/ledger.ts';
import type { KnownCommit, SinkFinding, SinkView } from '../sinks/sink.ts';
import { judgeRow } from './judge-rows.ts';
import { unfinishedOf } from './judge-sinks.ts';

/** The complete commits of a sink: those of the batches that the log names as completed, and the last one of each partition; oldest first. */
export function knownCommits(events: readonly LoggedEvent[], ledger: Ledger, sink: Uid): readonly KnownCommit[] {
  const plans = new Map<BatchTime, string>();
  const known = new Map<string, KnownCommit>();
  const note = (commit: KnownCommit): void => void known.set(`${commit.batchTime} ${commit.partitionId}`, commit);
  for (const [partitionId, expected] of ledger.expected.get(sink) ?? []) note({ partitionId, ...expected });
  for (const { event } of events) {
    if (event.kind === 'batch-planned') plans.set(event.batchTime, event.planId);
    if (event.kind !== 'batch-completed') continue;
    // A plan that was cut is behind a checkpoint; the last commits are in the ledger.
    const planId = plans.get(event.batchTime);
    if (planId === undefined) continue;
    for (const [partitionId, fingerprint] of event.written.get(sink) ?? []) note({ batchTime: event.batchTime, partitionId, planId, fingerprint });
  }
  return [...known.values()].sort((left, right) => left.batchTime - right.batchTime || left.partitionId - right.partitionId);
}

/** What the ledger rows of a sink come to. */
export interface RowCheck {
  /** Partitions whose row is the last commit. */
  readonly complete: number;
  /** Partitions that hold their part of the batch that is not complete: the next start finds them done. */
  readonly ofUnfinished: number;
  readonly findings: readonly SinkFinding[];
}

/** Compares fence and ledger rows of a sink with what the directory says. */
export function checkRows(view: SinkView, ledger: Ledger, of: { readonly sink: Uid; readonly identity: Pick<Identity, 'storeId' | 'epoch'> }): RowCheck {
  const { sink, identity } = of;
  const { fence } = view;
  const findings: SinkFinding[] = [];
  if (fence !== undefined && fence.storeId !== identity.storeId)
    findings.push({ kind: 'foreign', what: `its fence must be of the store ${identity.storeId}: it is of the store ${fence.storeId}` });
  else if (fence !== undefined && fence.epoch > identity.epoch)
    findings.push({
      kind: 'foreign',
      what: `its fence must be of epoch ${identity.epoch} or older: it is of epoch ${fence.epoch}, so this directory is an old copy`,
    });
  const expected = ledger.expected.get(sink);
  const unfinished = unfinishedOf(ledger, sink);
  let [complete, ofUnfinished] = [0, 0];
  for (const partitionId of new Set([...(expected?.keys() ?? []), ...view.rows.keys()])) {
    const verdict = judgeRow({ partitionId, row: view.rows.get(partitionId), expected: expected?.get(partitionId), unfinished });
    if (verdict.kind === 'refuse') findings.push({ kind: verdict.finding, what: `partition ${partitionId}: ${verdict.why}` });
    else if (verdict.kind === 'committed') ofUnfinished += 1;
    else complete += 1;
  }
  return { complete, ofUnfinished, findings };
}
