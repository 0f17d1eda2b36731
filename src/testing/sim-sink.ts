// A transactional sink in memory whose calls are steps of a simulated process: the process can die before a commit happens, or after it and before the answer.
import { encodeValue } from '../core/value-codec.ts';
import { rowsFingerprint } from '../core/digest.ts';
import { SinkError } from '../core/errors.ts';
import type { CommitKey } from '../core/ids.ts';
import { judgeCommit } from '../sinks/judge-commit.ts';
import { claimError, commitError, mayClaim } from '../sinks/sink-errors.ts';
import type { LedgerRow, Sink, SinkFence, SinkIdentity, SinkSession, SinkView } from '../sinks/sink.ts';
import type { SimProcess } from './sim-process.ts';

/** One commit that happened. */
export interface SimCommit<T> {
  readonly key: CommitKey;
  readonly planId: string;
  readonly epoch: number;
  readonly rows: readonly T[];
}

/** What survives of a simulated sink. */
export class SimTable<T> {
  /** All commits in order. */
  readonly commits: SimCommit<T>[] = [];
  readonly ledger: Map<string, Map<number, LedgerRow>> = new Map();
  readonly fences: Map<string, SinkFence> = new Map();
}

function ownerOf({ app, sink }: Pick<SinkIdentity, 'app' | 'sink'>): string {
  return JSON.stringify([app, sink]);
}

/** Makes the sink that a process sees. */
export function createSimSink<T>(table: SimTable<T>, process: SimProcess): Sink<T> {
  let session: SinkSession | undefined;
  const view = (identity: SinkIdentity): SinkView => {
    const fence = table.fences.get(ownerOf(identity));
    const rows = new Map(table.ledger.get(ownerOf(identity)));
    return fence === undefined ? { rows } : { fence, rows };
  };
  return {
    guarantee: 'transactional',
    look: (identity) => process.run('sink.look', () => view(identity)),
    async open(claim) {
      const seen = await process.run('sink.open', () => {
        const { fence } = view(claim);
        if (!mayClaim(fence, claim)) throw claimError(fence, claim);
        const { epoch, incarnation, storeId } = claim;
        table.fences.set(ownerOf(claim), { epoch, incarnation, storeId });
        session = claim;
        return view(claim);
      });
      return process.run('sink.opened', () => seen);
    },
    prepare: (rows) => ({ fingerprint: rowsFingerprint(rows.map(encodeValue)), rowCount: rows.length, payload: structuredClone(rows) }),
    async commit(key, prepared, record) {
      const result = await process.run('sink.commit', () => {
        if (session === undefined) throw new SinkError('STREAM_SINK', 'Cannot commit to the simulated sink as it must be open');
        const { fence, rows } = view(session);
        const verdict = judgeCommit({ session, fence, row: rows.get(key.partitionId) }, key, record);
        if (verdict.kind === 'duplicate') return 'duplicate';
        if (verdict.kind !== 'commit') throw commitError(verdict, key, record);
        rowsOf(table, session).set(key.partitionId, {
          batchTime: key.batchTime,
          planId: record.planId,
          epoch: session.epoch,
          fingerprint: record.fingerprint,
          rows: prepared.rowCount,
        });
        table.commits.push({ key, planId: record.planId, epoch: session.epoch, rows: prepared.payload as readonly T[] });
        return 'committed';
      });
      return process.run('sink.committed', () => result);
    },
    close: () =>
      process.run('sink.close', () => {
        session = undefined;
      }),
  };
}

function rowsOf<T>(table: SimTable<T>, identity: SinkIdentity): Map<number, LedgerRow> {
  const rows = table.ledger.get(ownerOf(identity)) ?? new Map<number, LedgerRow>();
  table.ledger.set(ownerOf(identity), rows);
  return rows;
}
