// The fence and the ledger over one connection: they are read, made, and claimed.
import { SinkError, UsageError, toError } from '../../core/errors.ts';
import { toBatchTime } from '../../core/time.ts';
import { claimError, mayClaim } from '../sink-errors.ts';
import type { LedgerRow, SinkFence, SinkIdentity, SinkSession, SinkView } from '../sink.ts';
import type { Answer, Link } from './driver.ts';
import { sqlState } from './judge-trouble.ts';
import {
  beginStatement,
  claimStatement,
  ledgerTables,
  ledgerThereStatement,
  migrationStatement,
  postgresMigration,
  takeFenceStatement,
  viewStatement,
  type TransactionLimits,
} from './statements.ts';

const INSUFFICIENT_PRIVILEGE = '42501';

type Row = Answer['rows'][number];

/** The fence of an answer. */
export function fenceOf(answer: Answer | undefined): SinkFence | undefined {
  const row = answer?.rows[0];
  return row === undefined ? undefined : { epoch: Number(row['epoch']), incarnation: row['incarnation'] ?? '', storeId: row['store_id'] ?? '' };
}

function rowOf(row: Row): LedgerRow {
  return {
    batchTime: toBatchTime(Number(row['batch_time'])),
    planId: row['plan_id'] ?? '',
    epoch: Number(row['epoch']),
    fingerprint: row['fingerprint'] ?? '',
    rows: Number(row['rows']),
  };
}

/** The ledger rows of an answer, by partition. */
export function rowsOf(answer: Answer | undefined): ReadonlyMap<number, LedgerRow> {
  return new Map((answer?.rows ?? []).map((row) => [Number(row['partition_id']), rowOf(row)]));
}

async function isThere(link: Link, schema: string): Promise<boolean> {
  const [answer] = await link.run(ledgerThereStatement(ledgerTables(schema)));
  return answer?.rows[0]?.['there'] === 'true';
}

/** Reads what stands; changes nothing. */
export async function readView(link: Link, schema: string, identity: SinkIdentity): Promise<SinkView> {
  if (!(await isThere(link, schema))) return { rows: new Map() };
  const [, fences, rows] = await link.run(viewStatement(ledgerTables(schema), identity));
  const fence = fenceOf(fences);
  return fence === undefined ? { rows: rowsOf(rows) } : { fence, rows: rowsOf(rows) };
}

/** Makes the tables if they are missing. */
export async function makeLedger(link: Link, schema: string): Promise<void> {
  if (await isThere(link, schema)) return;
  try {
    await link.run(migrationStatement(schema));
  } catch (thrown) {
    const error = toError(thrown);
    if (sqlState(error) !== INSUFFICIENT_PRIVILEGE) throw error;
    throw new UsageError(
      'STREAM_OPTION',
      `Cannot make the ledger of postgresSink as this role must be allowed to: ${error.message}. Run this as one that may, and grant SELECT, INSERT and UPDATE on both tables and USAGE on the schema:\n${postgresMigration(schema)}`,
      { cause: error },
    );
  }
}

/** Ends a transaction. Postgres answers ROLLBACK to COMMIT, without an error, when a statement of the transaction failed. */
export async function commitTransaction(link: Link, what: string): Promise<void> {
  const [answer] = await link.run('COMMIT');
  if (answer?.command === 'COMMIT') return;
  throw new SinkError(
    'STREAM_SINK',
    `Cannot ${what} as Postgres must answer COMMIT to COMMIT: it answered ${answer?.command ?? 'nothing'}, so nothing was committed`,
  );
}

/** Claims the fence, behind every commit that is under way. */
export async function claimFence(link: Link, session: SinkSession, place: { readonly schema: string; readonly limits: TransactionLimits }): Promise<void> {
  const tables = ledgerTables(place.schema);
  const answers = await link.run(`${beginStatement(place.limits)}; ${takeFenceStatement(tables, session)}`);
  const fence = fenceOf(answers.at(-1));
  if (!mayClaim(fence, session)) throw claimError(fence, session);
  await link.run(claimStatement(tables, session));
  await commitTransaction(link, `claim "${session.sink}"`);
}
