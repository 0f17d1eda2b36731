// How the rows of a partition get into Postgres, inside the transaction of their commit: by COPY, by an upsert, or by a statement of the user.
import { SinkError, toError, UsageError } from '../../core/errors.ts';
import type { Link } from './driver.ts';
import { encodeArrays, encodeLines, type EncodedArrays, type EncodedLines, type PostgresRow } from './encode-rows.ts';
import { sqlState } from './judge-trouble.ts';
import { quoteTable } from './names.ts';
import {
  columnsStatement,
  copyStatement,
  relationStatement,
  uniqueStatement,
  unsafePartitionsStatement,
  upsertStatement,
  type TableColumn,
} from './statements.ts';

/** Writes what {@link Writer.prepare} made, on one connection. */
export type Put = (payload: unknown) => Promise<void>;

/** One way of writing. */
export interface Writer {
  /** What it writes into, for messages. */
  readonly target: string;
  /** Pure. */
  prepare(rows: readonly PostgresRow[]): { readonly fingerprint: string; readonly payload: unknown };
  /** Looks at the table over a new connection; refuses one that cannot be right. */
  attach(link: Link): Promise<Put>;
}

interface Relation {
  readonly oid: string;
  /** With its schema, quoted. */
  readonly name: string;
}

const PARTITIONED = 'p';
/** Tables, also partitioned ones. Views and foreign tables are not under the transaction. */
const KINDS = ['r', PARTITIONED];

function tableError(table: string, rule: string, found: string): UsageError {
  return new UsageError('STREAM_OPTION', `Cannot use the table ${table} of postgresSink as ${rule}: ${found}`);
}

/** The rows of a partitioned table are in its partitions, each of which may be kept in another way than the table that was named. */
async function requireSafePartitions(link: Link, table: string, { oid }: Relation): Promise<void> {
  const [answer] = await link.run(unsafePartitionsStatement(oid));
  const [row] = answer?.rows ?? [];
  if (row === undefined) return;
  const kind = String(row['kind']);
  const found = kind === 'r' ? 'is unlogged or temporary' : `is of the kind "${kind}" of pg_class`;
  throw tableError(table, 'each of its partitions must be a table that outlives a crash of the server', `${String(row['name'])} ${found}`);
}

/** The table behind a name. An unlogged one is emptied by a crash of the server while the ledger stays, so its rows would be lost. */
async function relationOf(link: Link, table: string): Promise<Relation> {
  const [answer] = await link.run(relationStatement(table));
  const [row] = answer?.rows ?? [];
  if (row === undefined)
    throw tableError(table, 'it must be there and be visible to this role', 'it is not (names are taken as they are written, in upper and lower case)');
  if (!KINDS.includes(row['kind'] ?? '')) throw tableError(table, 'it must be a table', `it is of the kind "${String(row['kind'])}" of pg_class`);
  if (row['persistence'] !== 'p') throw tableError(table, 'it must outlive a crash of the server', 'it is unlogged or temporary');
  const relation = { oid: row['oid'] ?? '', name: row['name'] ?? '' };
  if (row['kind'] === PARTITIONED) await requireSafePartitions(link, table, relation);
  return relation;
}

/** A trigger or a rule that takes rows aside would lose them unseen. */
function requireCount(target: string, count: { readonly expected: number; readonly found: number }): void {
  if (count.expected === count.found) return;
  throw new SinkError(
    'STREAM_SINK',
    `Cannot write to ${target} as the table must take all ${count.expected} rows: it took ${count.found}. Does a trigger take rows aside?`,
  );
}

/** Appends by COPY. */
export function appendWriter(table: string): Writer {
  const target = quoteTable(table);
  return {
    target,
    prepare(rows) {
      const payload = encodeLines(rows);
      return { fingerprint: payload.fingerprint, payload };
    },
    async attach(link) {
      const { name } = await relationOf(link, target);
      return async (payload) => {
        const { columns, lines, count } = payload as EncodedLines;
        requireCount(target, { expected: count, found: await link.copy(copyStatement(name, columns), lines) });
      };
    },
  };
}

async function columnsOf(link: Link, { oid }: Relation): Promise<ReadonlyMap<string, TableColumn>> {
  const [answer] = await link.run(columnsStatement(oid));
  return new Map(
    (answer?.rows ?? []).map((row) => {
      const name = row['name'] ?? '';
      return [name, { name, type: row['type'] ?? '', isNested: row['is_nested'] === 'true' }];
    }),
  );
}

async function requireUnique(link: Link, { oid }: Relation, rule: { readonly target: string; readonly key: readonly string[] }): Promise<void> {
  const [answer] = await link.run(uniqueStatement(oid));
  const wanted = JSON.stringify(rule.key.toSorted());
  const isThere = (answer?.rows ?? []).some((row) => JSON.stringify((JSON.parse(row['columns'] ?? '[]') as string[]).toSorted()) === wanted);
  if (!isThere)
    throw tableError(
      rule.target,
      `a unique index over exactly the columns of the key, ${rule.key.join(', ')}, must be there, complete, not deferrable`,
      'there is none',
    );
}

const CARDINALITY_VIOLATION = '21000';

/** Of rows with one key the last is sent, by the texts of the keys. The table compares by type, and refuses to replace a row twice without telling which. */
function explainUpsert(thrown: unknown, key: readonly string[]): Error {
  const error = toError(thrown);
  if (sqlState(error) === CARDINALITY_VIOLATION)
    error.message += `; two rows of the partition have keys (${key.join(', ')}) that the table takes for equal though their texts differ, as "1" and "01" in a column of numbers: make the keys that "row" gives canonical`;
  return error;
}

/** Inserts rows, or replaces those with the same key. */
export function upsertWriter(table: string, key: readonly string[]): Writer {
  const target = quoteTable(table);
  return {
    target,
    prepare(rows) {
      const payload = encodeArrays(rows, { key });
      return { fingerprint: payload.fingerprint, payload };
    },
    async attach(link) {
      const relation = await relationOf(link, target);
      await requireUnique(link, relation, { target, key });
      const known = await columnsOf(link, relation);
      return async (payload) => {
        const { columns, values, count } = payload as EncodedArrays;
        const typed = columns.map((name) => {
          const column = known.get(name);
          if (column === undefined) throw tableError(target, `it must have the columns ${columns.join(', ')}`, `"${name}" is missing`);
          return column;
        });
        const { rowCount } = await link.query(upsertStatement(relation.name, typed, key), values).catch((error: unknown) => {
          throw explainUpsert(error, key);
        });
        // With nothing but a key there is nothing to replace, so known rows are not counted.
        if (columns.length > key.length) requireCount(target, { expected: count, found: rowCount });
      };
    },
  };
}

/** Runs a statement of the user, which gets an array per column as text. */
export function statementWriter(sql: string, columns: readonly string[]): Writer {
  return {
    target: 'the statement',
    prepare(rows) {
      const payload = encodeArrays(rows, { columns });
      return { fingerprint: payload.fingerprint, payload };
    },
    attach: (link) =>
      Promise.resolve(async (payload: unknown) => {
        await link.query(sql, (payload as EncodedArrays).values);
      }),
  };
}
