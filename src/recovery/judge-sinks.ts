// Asks every transactional sink what it holds and judges it against the ledger, before anything is claimed and again afterwards.
import { CorruptionError, LockedError } from '../core/errors.ts';
import type { Uid } from '../core/ids.ts';
import type { Ledger } from '../journal/ledger.ts';
import type { Sink, SinkSession, SinkView } from '../sinks/sink.ts';
import { judgeRow, type UnfinishedBatch } from './judge-rows.ts';

/** A sink of the graph. */
export interface SinkOutput {
  readonly uid: Uid;
  readonly sink: Sink<unknown>;
}

/** The session of a sink: every partition id that any plan used. */
export function sessionOf(base: Omit<SinkSession, 'sink' | 'partitions'>, ledger: Ledger, uid: Uid): SinkSession {
  const partitions = Math.max(ledger.partitionsMax.get(uid) ?? 0, ...[...(ledger.expected.get(uid)?.keys() ?? [])].map((partition) => partition + 1));
  return { ...base, sink: uid, partitions: Array.from({ length: partitions }, (_unused, index) => index) };
}

/** The oldest planned batch that is not completed, for one sink. */
export function unfinishedOf(ledger: Ledger, uid: Uid): UnfinishedBatch | undefined {
  const batch = ledger.batches.find((planned) => planned.completion === undefined);
  return batch === undefined ? undefined : { batchTime: batch.batchTime, planId: batch.planId, partitions: batch.outputs.get(uid) ?? 0 };
}

/** What else explains a row that is not expected. */
function forgottenHint({ givenUp }: Ledger, sink: Uid): string {
  return givenUp.sinks.has(sink) ? '. It was forgotten by consent: give the output another uid' : '';
}

/**
 * Judges what a sink holds.
 *
 * @param isMine - Whether the fence was claimed already.
 * @returns How many rows are of the unfinished batch.
 * @throws {LockedError} If the fence is of this or a later epoch.
 * @throws {CorruptionError} If the fence is of another store, or a row is not what this directory says.
 */
export function judgeView(view: SinkView, ledger: Ledger, claim: { readonly session: SinkSession; readonly isMine: boolean }): number {
  const { session, isMine } = claim;
  const { fence } = view;
  const what = `Cannot recover the sink "${session.sink}"`;
  if (fence !== undefined && fence.storeId !== session.storeId) {
    throw new CorruptionError('STREAM_SINK_CONFLICT', `${what} as it must belong to the store ${session.storeId}: its fence is of the store ${fence.storeId}`);
  }
  if (fence !== undefined && !isMine && fence.epoch >= session.epoch) {
    throw new LockedError(
      'STREAM_FENCED',
      `${what} as its fence must be older than epoch ${session.epoch}: it is of epoch ${fence.epoch}, so a newer driver runs, or this directory is an old copy`,
    );
  }
  const expected = ledger.expected.get(session.sink);
  const unfinished = unfinishedOf(ledger, session.sink);
  let committed = 0;
  for (const partitionId of new Set([...view.rows.keys(), ...(expected?.keys() ?? [])])) {
    const verdict = judgeRow({ partitionId, row: view.rows.get(partitionId), expected: expected?.get(partitionId), unfinished });
    if (verdict.kind === 'refuse')
      throw new CorruptionError(
        'STREAM_SINK_CONFLICT',
        `${what} as partition ${partitionId} must be as this directory left it: ${verdict.why}${forgottenHint(ledger, session.sink)}. Nothing was changed`,
      );
    if (verdict.kind === 'committed') committed += 1;
  }
  return committed;
}

/** Looks at all transactional sinks, refuses or claims all sinks, looks again. A driver that must refuse has changed nothing in any sink. */
export async function claimSinks(
  outputs: readonly SinkOutput[],
  ledger: Ledger,
  base: Omit<SinkSession, 'sink' | 'partitions'>,
): Promise<{ readonly views: ReadonlyMap<Uid, SinkView>; readonly rowsOfUnfinished: number }> {
  const claims = outputs.map((output) => ({ ...output, session: sessionOf(base, ledger, output.uid) }));
  for (const { sink, session } of claims) {
    if (sink.guarantee === 'transactional') judgeView(await sink.look(session), ledger, { session, isMine: false });
  }
  const views = new Map<Uid, SinkView>();
  let rowsOfUnfinished = 0;
  for (const { uid, sink, session } of claims) {
    const view = await sink.open(session);
    views.set(uid, view);
    if (sink.guarantee === 'transactional') rowsOfUnfinished += judgeView(view, ledger, { session, isMine: true });
  }
  return { views, rowsOfUnfinished };
}
