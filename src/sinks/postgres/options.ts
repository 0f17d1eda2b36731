// Pure: the options of postgresSink, checked and with their defaults.
import { UsageError } from '../../core/errors.ts';
import { optionError, refuseUnknownOptions, wholeOption } from '../../core/options.ts';
import type { Duration } from '../../core/time.ts';
import { resolveConnection, type PostgresConnection } from './connection.ts';
import type { PostgresRow } from './encode-rows.ts';
import { checkName } from './names.ts';
import type { TransactionLimits } from './statements.ts';
import { appendWriter, statementWriter, upsertWriter, type Writer } from './writers.ts';

/** What every form of {@link postgresSink} takes. */
export interface PostgresSettings {
  /**
   * The server: fields, or `postgres://user:password@host:port/database`.
   *
   * @defaultValue the environment variables that pg reads: `PGHOST`, `PGPORT`, `PGUSER`, `PGPASSWORD`, `PGDATABASE`
   */
  readonly connection?: PostgresConnection | string;
  /**
   * The schema of the fence and the ledger; made by {@link postgresMigration}.
   *
   * @defaultValue `'millrace'`
   */
  readonly ledgerSchema?: string;
  /**
   * How long a commit is repeated, with pauses that grow, while the server cannot be reached or fails for a reason that passes. Afterwards the commit fails, and the attempts of the task begin.
   *
   * @defaultValue 60 s
   */
  readonly reconnectTimeout?: Duration;
  /**
   * How long a connection may take.
   *
   * @defaultValue 10 s
   */
  readonly connectTimeout?: Duration;
  /**
   * How long the server may work on a statement. A connection that gives no answer for 5 s more counts as lost.
   *
   * @defaultValue 60 s
   */
  readonly statementTimeout?: Duration;
  /**
   * How long a claim or a commit waits for a lock. Longer than `idleTransactionTimeout`, so that a claim outlasts the transaction of a driver that stands still.
   *
   * @defaultValue 15 s
   */
  readonly lockTimeout?: Duration;
  /**
   * After how long the server ends a transaction of this sink in which nothing happens.
   *
   * @defaultValue 10 s
   */
  readonly idleTransactionTimeout?: Duration;
}

/** Rows into a table. */
export interface PostgresTableOptions<in T> extends PostgresSettings {
  /** `table` or `schema.table`, as the catalog has it: upper and lower case count. Without a schema the search path decides. */
  readonly table: string;
  /**
   * `append` adds rows by COPY. `upsert` adds rows and replaces those with the same key; of several in one partition the last one counts.
   *
   * @defaultValue `upsert` if there is a key, else `append`
   */
  readonly mode?: 'append' | 'upsert';
  /** The columns of the key, over which the table must have a unique index. */
  readonly key?: readonly string[];
  /** Gives the row of a record: values by columns. All rows have the same columns; those that are left out get their defaults. */
  readonly row: (record: T) => PostgresRow;
}

/** Rows into a statement of your own. */
export interface PostgresStatementOptions<in T> extends PostgresSettings {
  /** One statement, run once for each partition of a batch that has rows, in the transaction of its commit. `$1` is the array of the first column's values, as text: `unnest($1::text[], $2::int[])`. */
  readonly sql: string;
  /** The names of the columns, in the order of the parameters. */
  readonly columns: readonly string[];
  /** Gives the row of a record: values by columns. */
  readonly row: (record: T) => PostgresRow;
}

/** Options of {@link postgresSink}. */
export type PostgresSinkOptions<T> = PostgresTableOptions<T> | PostgresStatementOptions<T>;

/** The options, resolved. */
export interface ResolvedPostgres<T> {
  readonly connection: PostgresConnection;
  readonly schema: string;
  readonly writer: Writer;
  readonly row: (record: T) => PostgresRow;
  readonly limits: TransactionLimits;
  readonly reconnectTimeoutMs: number;
  readonly connectTimeoutMs: number;
}

const OWNER = 'postgresSink';
const SETTINGS = ['connection', 'ledgerSchema', 'reconnectTimeout', 'connectTimeout', 'statementTimeout', 'lockTimeout', 'idleTransactionTimeout'];
const TIMEOUT_MS_MAX = 2 ** 31 - 1;

function names(option: string, found: unknown): readonly string[] {
  if (!Array.isArray(found) || found.length === 0 || new Set(found).size < found.length)
    throw optionError(OWNER, option, { expected: 'a list of names, not empty, each once', found });
  return found.map((name) => checkName(option, name));
}

function resolveWriter<T>(options: PostgresSinkOptions<T>): Writer {
  if ('sql' in options) {
    refuseUnknownOptions(OWNER, options, ['sql', 'columns', 'row', ...SETTINGS]);
    const sql: unknown = options.sql;
    if (typeof sql !== 'string' || sql.trim() === '') throw optionError(OWNER, 'sql', { expected: 'a statement', found: sql });
    return statementWriter(sql, names('columns', options.columns));
  }
  refuseUnknownOptions(OWNER, options, ['table', 'mode', 'key', 'row', ...SETTINGS]);
  const { table, mode, key } = options;
  if (mode !== undefined && mode !== 'append' && mode !== 'upsert') throw optionError(OWNER, 'mode', { expected: "'append' or 'upsert'", found: mode });
  if (mode === 'append' && key !== undefined) throw optionError(OWNER, 'key', { expected: "left out in the mode 'append'", found: key });
  return mode === 'upsert' || key !== undefined ? upsertWriter(table, names('key', key)) : appendWriter(table);
}

/**
 * Checks the options.
 *
 * @throws {UsageError} If one is missing, unknown or of the wrong kind.
 */
export function resolvePostgresOptions<T>(options: PostgresSinkOptions<T>): ResolvedPostgres<T> {
  const writer = resolveWriter(options);
  const row: unknown = options.row;
  if (typeof row !== 'function') throw optionError(OWNER, 'row', { expected: 'a function of a record', found: row });
  const timeout = (name: string, value: number | undefined, fallback: number): number =>
    wholeOption(OWNER, name, { value, fallback, min: 1, max: TIMEOUT_MS_MAX });
  const limits = {
    statementTimeoutMs: timeout('statementTimeout', options.statementTimeout, 60_000),
    lockTimeoutMs: timeout('lockTimeout', options.lockTimeout, 15_000),
    idleTimeoutMs: timeout('idleTransactionTimeout', options.idleTransactionTimeout, 10_000),
  };
  if (limits.lockTimeoutMs <= limits.idleTimeoutMs) {
    throw new UsageError(
      'STREAM_OPTION',
      `Cannot use the option lockTimeout of ${OWNER} as it must be longer than idleTransactionTimeout, ${limits.idleTimeoutMs} ms: found ${limits.lockTimeoutMs}`,
    );
  }
  return {
    connection: resolveConnection(options.connection),
    schema: checkName('ledgerSchema', options.ledgerSchema ?? 'millrace'),
    writer,
    row: options.row,
    limits,
    reconnectTimeoutMs: timeout('reconnectTimeout', options.reconnectTimeout, 60_000),
    connectTimeoutMs: timeout('connectTimeout', options.connectTimeout, 10_000),
  };
}
