// Rows into PostgreSQL, exactly once; imported as millrace/postgres. What it consists of is in postgres/.
import { createNodeEnv } from '../env/node-env.ts';
import { connectByPg, requirePg } from './postgres/driver.ts';
import { resolvePostgresOptions, type PostgresSinkOptions } from './postgres/options.ts';
import { OpenablePostgresSink, type PostgresSink } from './postgres/sink.ts';

export type { PostgresConnection, PostgresTls } from './postgres/connection.ts';
export type { PostgresRow } from './postgres/encode-rows.ts';
export type { PostgresSettings, PostgresSinkOptions, PostgresStatementOptions, PostgresTableOptions } from './postgres/options.ts';
export type { PostgresSink } from './postgres/sink.ts';
export { postgresMigration } from './postgres/statements.ts';

/**
 * Makes a sink that writes into PostgreSQL, exactly once: the rows of a partition, the fence and the row of the sink's ledger are one transaction. Needs the packages pg and pg-copy-streams:
 * `npm install pg pg-copy-streams`. docs/postgres-sink.md says what readers see and when.
 *
 * @throws {UsageError} If an option is missing, unknown or of the wrong kind, or a package is not installed.
 * @example
 * ```ts
 * import { seconds, StreamingContext } from 'millrace';
 * import { postgresSink } from 'millrace/postgres';
 *
 * const context = new StreamingContext({ appName: 'word-count', batchInterval: seconds(1) });
 * context
 *   .socketTextStream('localhost', 9999)
 *   .map((word) => [word, 1])
 *   .updateStateByKey<number>((values, sum = 0) => sum + values.length, { uid: 'counts' })
 *   .saveTo(postgresSink({ table: 'wordcount', key: ['word'], row: ([word, count]) => ({ word, count }) }), { uid: 'totals' });
 * ```
 */
export function postgresSink<T>(options: PostgresSinkOptions<T>): PostgresSink<T> {
  const resolved = resolvePostgresOptions(options);
  requirePg();
  return new OpenablePostgresSink(resolved, { env: createNodeEnv(), connect: connectByPg });
}
