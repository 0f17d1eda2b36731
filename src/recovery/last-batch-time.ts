// Pure: behind which batch does a driver go on? Behind every one that anything names: a wall clock that was set back must not give a time out twice.
import type { Uid } from '../core/ids.ts';
import { toBatchTime, type BatchTime } from '../core/time.ts';
import type { StoredHead } from '../checkpoint/checkpoints.ts';
import type { Ledger } from '../journal/ledger.ts';
import type { SinkView } from '../sinks/sink.ts';

/** What names batches. */
export interface BatchesNamed {
  readonly ledger: Pick<Ledger, 'lastBatchTime' | 'replacing'>;
  readonly heads: readonly { readonly head: Pick<StoredHead['head'], 'batchTime'> }[];
  /** Also of sinks whose rows are not judged, which may be ahead of this directory. */
  readonly views: ReadonlyMap<Uid, SinkView>;
}

/** The last batch that a plan, the time promised to a replaced batch, a checkpoint or a row of a sink names; 0 if nothing names any. */
export function lastBatchTime({ ledger, heads, views }: BatchesNamed): BatchTime {
  let last: number = ledger.replacing.at(-1)?.by ?? ledger.lastBatchTime;
  for (const { head } of heads) last = Math.max(last, head.batchTime);
  for (const { rows } of views.values()) for (const row of rows.values()) last = Math.max(last, row.batchTime);
  return toBatchTime(last);
}
