// Pure: the SQL of the sink. Whatever is put into a text is quoted or a number.
import type { CommitKey } from '../../core/ids.ts';
import type { CommitRecord, PreparedRows, SinkIdentity, SinkSession } from '../sink.ts';
import { checkName, quoteName, quoteText } from './names.ts';

/** Limits of every transaction, in milliseconds. */
export interface TransactionLimits {
  readonly statementTimeoutMs: number;
  readonly lockTimeoutMs: number;
  readonly idleTimeoutMs: number;
}

/** The ledger of sinks in one schema. */
export interface LedgerTables {
  readonly schema: string;
  readonly fence: string;
  readonly ledger: string;
}

/** Its tables, quoted. */
export function ledgerTables(schema: string): LedgerTables {
  const quoted = quoteName(schema);
  return { schema: quoted, fence: `${quoted}.sink_fence`, ledger: `${quoted}.sink_ledger` };
}

/**
 * The SQL that makes the two tables in which Postgres sinks keep their fence and their ledger. It may run again and changes nothing then. A sink runs it by itself when it is opened and
 * they are missing; print it for a role that may not create them.
 *
 * @param schema - The schema, which is made too.
 * @defaultValue schema `'millrace'`
 * @throws {UsageError} If the schema is no name.
 * @example
 * ```ts
 * import { postgresMigration } from 'millrace/postgres';
 *
 * process.stdout.write(postgresMigration());
 * ```
 */
export function postgresMigration(schema = 'millrace'): string {
  const tables = ledgerTables(checkName('ledgerSchema', schema));
  return `CREATE SCHEMA IF NOT EXISTS ${tables.schema};
CREATE TABLE IF NOT EXISTS ${tables.fence} (
  app text NOT NULL,
  sink text NOT NULL,
  epoch bigint NOT NULL,
  incarnation text NOT NULL,
  store_id text NOT NULL,
  PRIMARY KEY (app, sink)
);
CREATE TABLE IF NOT EXISTS ${tables.ledger} (
  app text NOT NULL,
  sink text NOT NULL,
  partition_id integer NOT NULL,
  batch_time bigint NOT NULL,
  plan_id text NOT NULL,
  epoch bigint NOT NULL,
  fingerprint text NOT NULL,
  rows bigint NOT NULL,
  PRIMARY KEY (app, sink, partition_id)
) WITH (fillfactor = 50);
`;
}

/** Two that create the tables at one moment would meet at the catalog; the number has no meaning. */
const MIGRATION_LOCK = 7_303_014_061;

/** The migration in one transaction, one session at a time. */
export function migrationStatement(schema: string): string {
  return `BEGIN; SELECT pg_advisory_xact_lock(${MIGRATION_LOCK}); ${postgresMigration(schema)} COMMIT`;
}

const KEEPALIVES = 'SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3';

/** What a new connection is told, and asked: the server must notice a driver whose machine is gone, and must not be a standby. The last answer says whether it is. */
export function greeting(): string {
  return `${KEEPALIVES}; SELECT pg_is_in_recovery()::text AS standby`;
}

/** The relation that a name means on this search path. */
export function relationStatement(table: string): string {
  return (
    'SELECT c.oid::text AS oid, c.relkind::text AS kind, c.relpersistence::text AS persistence, ' +
    `quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name ` +
    `FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass(${quoteText(table)})`
  );
}

/** Its columns: how each is named as the type of an array, and whether an array of it would lose its shape. */
export function columnsStatement(oid: string): string {
  return (
    "SELECT a.attname AS name, format_type(a.atttypid, -1) AS type, (t.typcategory IN ('A', 'C', 'P'))::text AS is_nested " +
    `FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid WHERE a.attrelid = ${oid} AND a.attnum > 0 AND NOT a.attisdropped`
  );
}

/** The unique indexes that ON CONFLICT can use, each with its columns, as JSON. */
export function uniqueStatement(oid: string): string {
  return (
    'SELECT json_agg(a.attname)::text AS columns FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1]) ' +
    `WHERE i.indrelid = ${oid} AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL GROUP BY i.indexrelid`
  );
}

/** Whether both tables of the ledger are there. */
export function ledgerThereStatement({ fence, ledger }: LedgerTables): string {
  return `SELECT (to_regclass(${quoteText(fence)}) IS NOT NULL AND to_regclass(${quoteText(ledger)}) IS NOT NULL)::text AS there`;
}

function owner({ app, sink }: Pick<SinkIdentity, 'app' | 'sink'>): string {
  return `app = ${quoteText(app)} AND sink = ${quoteText(sink)}`;
}

const FENCE_COLUMNS = 'epoch::text AS epoch, incarnation, store_id';
const ROW_COLUMNS = 'partition_id::text AS partition_id, batch_time::text AS batch_time, plan_id, epoch::text AS epoch, fingerprint, rows::text AS rows';

/** Reads fence and rows at one moment: the second answer and the third. */
export function viewStatement({ fence, ledger }: LedgerTables, identity: SinkIdentity): string {
  return (
    `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT ${FENCE_COLUMNS} FROM ${fence} WHERE ${owner(identity)}; ` +
    `SELECT ${ROW_COLUMNS} FROM ${ledger} WHERE ${owner(identity)}; COMMIT`
  );
}

/** Begins a transaction that a failed server does not forget and that nobody has to wait for endlessly. `remote_apply` is more than `on` and stays. */
export function beginStatement({ statementTimeoutMs, lockTimeoutMs, idleTimeoutMs }: TransactionLimits): string {
  return (
    'BEGIN ISOLATION LEVEL READ COMMITTED; ' +
    "SELECT set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, true), " +
    `set_config('statement_timeout', '${statementTimeoutMs}', true), set_config('lock_timeout', '${lockTimeoutMs}', true), ` +
    `set_config('idle_in_transaction_session_timeout', '${idleTimeoutMs}', true)`
  );
}

/** Takes the fence row for a claim: the last answer is the fence, which is the session's own if there was none. Waits for commits under way. */
export function takeFenceStatement({ fence }: LedgerTables, session: SinkSession): string {
  const values = [session.app, session.sink, String(session.epoch), session.incarnation, session.storeId].map(quoteText);
  return (
    `INSERT INTO ${fence} (app, sink, epoch, incarnation, store_id) VALUES (${values.join(', ')}) ON CONFLICT DO NOTHING; ` +
    `SELECT ${FENCE_COLUMNS} FROM ${fence} WHERE ${owner(session)} FOR UPDATE`
  );
}

/** Makes the fence the session's own. */
export function claimStatement({ fence }: LedgerTables, session: SinkSession): string {
  const { epoch, incarnation, storeId } = session;
  return `UPDATE ${fence} SET epoch = ${epoch}, incarnation = ${quoteText(incarnation)}, store_id = ${quoteText(storeId)} WHERE ${owner(session)}`;
}

/** What a commit writes into the ledger. */
export interface LedgerWrite {
  readonly session: SinkSession;
  readonly key: CommitKey;
  readonly record: CommitRecord;
  readonly prepared: PreparedRows;
}

/**
 * The compare-and-set, fence first: the fence is held, shared, to the end of the transaction; the row is written if it is of the expected batch, or absent where none is expected. Three
 * answers: the fence, the write with its count, and the row as it stands now.
 */
export function compareAndSetStatement({ fence, ledger }: LedgerTables, { session, key, record, prepared }: LedgerWrite): string {
  const own = owner(key);
  const { previous } = record;
  const planId = quoteText(record.planId);
  const fingerprint = quoteText(record.fingerprint);
  const where = `${own} AND partition_id = ${key.partitionId}`;
  const write =
    previous === undefined
      ? `INSERT INTO ${ledger} (app, sink, partition_id, batch_time, plan_id, epoch, fingerprint, rows) VALUES (${quoteText(key.app)}, ${quoteText(key.sink)}, ${key.partitionId}, ` +
        `${key.batchTime}, ${planId}, ${session.epoch}, ${fingerprint}, ${prepared.rowCount}) ON CONFLICT DO NOTHING`
      : `UPDATE ${ledger} SET batch_time = ${key.batchTime}, plan_id = ${planId}, epoch = ${session.epoch}, fingerprint = ${fingerprint}, rows = ${prepared.rowCount} ` +
        `WHERE ${where} AND batch_time = ${previous} AND batch_time < ${key.batchTime}`;
  return `SELECT ${FENCE_COLUMNS} FROM ${fence} WHERE ${own} FOR SHARE; ${write}; SELECT ${ROW_COLUMNS} FROM ${ledger} WHERE ${where}`;
}

/** Whom a process of the server waits for. */
export function blockersStatement(pid: number): string {
  return (
    "SELECT pid::text AS pid, usename AS role, application_name AS application, COALESCE(host(client_addr), 'local') AS address, state, " +
    `round(extract(epoch FROM clock_timestamp() - xact_start))::text AS seconds FROM pg_stat_activity WHERE pid = ANY (pg_blocking_pids(${pid}))`
  );
}

/** A column of the table, as an upsert needs it. */
export interface TableColumn {
  readonly name: string;
  readonly type: string;
  readonly isNested: boolean;
}

/** Takes lines of text. */
export function copyStatement(table: string, columns: readonly string[]): string {
  return `COPY ${table} (${columns.map(quoteName).join(', ')}) FROM STDIN`;
}

/**
 * Takes an array per column. Arrays of arrays would fall apart in unnest, so those go as texts. Types have no length here: the table's own applies, and refuses what is too long instead of
 * cutting it.
 */
export function upsertStatement(table: string, columns: readonly TableColumn[], key: readonly string[]): string {
  const names = columns.map(({ name }) => quoteName(name));
  const parameters = columns.map(({ type, isNested }, index) => `$${index + 1}::${isNested ? 'text' : type}[]`);
  const selected = columns.map(({ type, isNested }, index) => `r.c${index}${isNested ? `::${type}` : ''}`);
  const changed = columns.filter(({ name }) => !key.includes(name)).map(({ name }) => `${quoteName(name)} = EXCLUDED.${quoteName(name)}`);
  return (
    `INSERT INTO ${table} (${names.join(', ')}) SELECT ${selected.join(', ')} FROM unnest(${parameters.join(', ')}) AS r(${columns.map((_column, index) => `c${index}`).join(', ')}) ` +
    `ON CONFLICT (${key.map(quoteName).join(', ')}) DO ${changed.length === 0 ? 'NOTHING' : `UPDATE SET ${changed.join(', ')}`}`
  );
}
