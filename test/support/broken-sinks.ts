// A sink in memory that keeps all rules, and the same with one thing wrong: what the conformance suite must find.
import { createHash } from 'node:crypto';
import { requireClaim, requireCommit, type LedgerRow, type Sink, type SinkFence, type SinkIdentity, type SinkSession, type SinkView } from '../../src/index.ts';
import type { SimProcess } from '../../src/testing/index.ts';

/** What is wrong with a sink. */
export type Flaw =
  | 'claims-at-a-look'
  | 'fingerprint-without-order'
  | 'no-ledger-row'
  | 'one-ledger-for-all'
  | 'one-ledger-for-all-applications'
  | 'never-a-duplicate'
  | 'fingerprint-not-compared'
  | 'plan-not-compared'
  | 'any-older-row-will-do'
  | 'one-row-for-all-partitions'
  | 'equal-epoch-will-do'
  | 'fence-read-at-open-only'
  | 'claim-in-two-steps'
  | 'fence-let-go-before-the-write'
  | 'takes-rows-when-closed'
  | 'rows-before-the-ledger'
  | 'ledger-before-the-rows'
  | 'failed-counts-as-not-done'
  | 'repeats-by-itself-without-a-judgement'
  | 'first-commit-in-two-steps'
  | 'failed-first-commit-is-not-judged'
  | 'ledger-moved-at-open'
  | 'lock-left-by-a-death-in-open'
  | 'ledger-dropped-by-a-failed-open';

/** What outlives the processes. */
export class MemoryTable {
  readonly fences: Map<string, SinkFence> = new Map();
  readonly ledger: Map<string, Map<number, LedgerRow>> = new Map();
  readonly rows: number[] = [];
  isLocked = false;
}

function isFault(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EIO';
}

/** Makes a sink of numbers over the table. */
export function createMemorySink(table: MemoryTable, process: SimProcess, flaw?: Flaw): Sink<number> {
  let session: SinkSession | undefined;
  let hasFailed = false;
  const has = (...flaws: readonly Flaw[]): boolean => flaw !== undefined && flaws.includes(flaw);
  const owner = ({ app, sink }: Pick<SinkIdentity, 'app' | 'sink'>): string => {
    if (has('one-ledger-for-all-applications')) return sink;
    return has('one-ledger-for-all') ? app : `${app}/${sink}`;
  };
  const place = (partitionId: number): number => (has('one-row-for-all-partitions') ? 0 : partitionId);
  const view = (identity: SinkIdentity): SinkView => {
    const fence = table.fences.get(owner(identity));
    const rows = new Map(table.ledger.get(owner(identity)));
    return fence === undefined ? { rows } : { fence, rows };
  };
  const claim = (claimed: SinkSession): void => {
    const { epoch, incarnation, storeId } = claimed;
    table.fences.set(owner(claimed), { epoch, incarnation, storeId });
    session = claimed;
  };
  const judge: Sink<number>['commit'] = (key, _prepared, record) => {
    if (session === undefined) throw new Error('closed');
    const { fence, rows } = view(session);
    let row = rows.get(place(key.partitionId));
    if (has('never-a-duplicate') && row?.batchTime === key.batchTime) row = undefined;
    if (has('fingerprint-not-compared') && row?.batchTime === key.batchTime) row = { ...row, fingerprint: record.fingerprint };
    if (has('plan-not-compared') && row?.batchTime === key.batchTime) row = { ...row, planId: record.planId };
    const previous = has('any-older-row-will-do') && row !== undefined && row.batchTime < key.batchTime ? { ...record, previous: row.batchTime } : record;
    const expected = has('never-a-duplicate') && row === undefined ? { planId: record.planId, fingerprint: record.fingerprint } : previous;
    const isNotJudged =
      has('failed-counts-as-not-done', 'repeats-by-itself-without-a-judgement') || (has('failed-first-commit-is-not-judged') && record.previous === undefined);
    if (isNotJudged && hasFailed) return Promise.resolve('committed');
    const verdict = requireCommit({ session, fence: has('fence-read-at-open-only') ? session : fence, row }, key, expected);
    return Promise.resolve(verdict === 'commit' ? 'committed' : verdict);
  };
  const writeLedger = (...[key, prepared, { planId, fingerprint }]: Parameters<Sink<number>['commit']>): void => {
    if (has('no-ledger-row') || session === undefined) return;
    const rows = table.ledger.get(owner(session)) ?? new Map<number, LedgerRow>();
    rows.set(place(key.partitionId), { batchTime: key.batchTime, planId, epoch: session.epoch, fingerprint, rows: prepared.rowCount });
    table.ledger.set(owner(session), rows);
  };
  const commit: Sink<number>['commit'] = async (...call) => {
    const writeRows = (): void => void table.rows.push(...(call[1].payload as readonly number[]));
    if (has('fence-let-go-before-the-write')) {
      if ((await process.run('judge', () => judge(...call))) === 'duplicate') return 'duplicate';
      await process.run('rows and ledger', () => [writeRows(), writeLedger(...call)]);
    } else if (has('rows-before-the-ledger', 'ledger-before-the-rows') || (has('first-commit-in-two-steps') && call[2].previous === undefined)) {
      const [one, other] = [writeRows, () => writeLedger(...call)].toSorted(() => (has('ledger-before-the-rows') ? -1 : 0));
      if ((await process.run('judge', () => judge(...call))) === 'duplicate') return 'duplicate';
      await process.run('one', () => one?.());
      await process.run('other', () => other?.());
    } else {
      const answer = await process.run('transaction', async () => {
        const verdict = await judge(...call);
        if (verdict === 'committed') {
          writeRows();
          writeLedger(...call);
        }
        return verdict;
      });
      return process.run('answer', () => answer);
    }
    return 'committed';
  };
  const open = async (claimed: SinkSession): Promise<SinkView> => {
    const check = (): void => {
      const { fence } = view(claimed);
      const isEqual = has('equal-epoch-will-do') && fence?.epoch === claimed.epoch;
      requireClaim(isEqual ? undefined : fence, claimed);
    };
    if (has('claim-in-two-steps')) {
      await process.run('read the fence', check);
      await process.run('write the fence', () => claim(claimed));
    } else await process.run('claim', () => [check(), claim(claimed)]);
    if (has('ledger-moved-at-open')) {
      const rows = new Map(view(claimed).rows);
      await process.run('take the rows', () => table.ledger.delete(owner(claimed)));
      await process.run('put them back', () => table.ledger.set(owner(claimed), rows));
    }
    return process.run('view', () => view(claimed));
  };
  return {
    guarantee: 'transactional',
    look: (identity) =>
      process.run('look', () => {
        if (has('claims-at-a-look')) table.fences.set(owner(identity), { epoch: 0, incarnation: '', storeId: identity.storeId });
        return view(identity);
      }),
    async open(claimed) {
      if (has('lock-left-by-a-death-in-open')) {
        await process.run('lock', () => {
          if (table.isLocked) throw new Error('locked');
          table.isLocked = true;
        });
      }
      try {
        return await open(claimed);
      } catch (error) {
        if (has('ledger-dropped-by-a-failed-open') && isFault(error)) table.ledger.delete(owner(claimed));
        throw error;
      } finally {
        table.isLocked = false;
      }
    },
    prepare(rows) {
      const text = (has('fingerprint-without-order') ? rows.toSorted((left, right) => left - right) : rows).join('\n');
      return { fingerprint: createHash('sha256').update(text).digest('hex').slice(0, 32), rowCount: rows.length, payload: [...rows] };
    },
    async commit(...call) {
      try {
        return await commit(...call);
      } catch (error) {
        hasFailed = isFault(error);
        if (has('repeats-by-itself-without-a-judgement') && hasFailed) return commit(...call);
        throw error;
      }
    },
    close() {
      if (!has('takes-rows-when-closed')) session = undefined;
      return Promise.resolve();
    },
  };
}
