// Calls of a sink as the scheduler makes them, for tests of the Postgres sink.
import { toBatchTime } from '../../../../src/core/time.ts';
import type { CommitKey, CommitRecord, PreparedRows, Sink, SinkSession } from '../../../../src/index.ts';
import type { PostgresConnection } from '../../../../src/sinks/postgres-sink.ts';
import type { Postgres } from '../../../support/postgres.ts';

export function connectionOf({ port }: { readonly port: number }): PostgresConnection {
  return { host: '127.0.0.1', port, user: 'postgres', password: 'secret', database: 'postgres' };
}

export const session = (epoch: number, sink: string, parts: Partial<SinkSession> = {}): SinkSession => ({
  app: 'app',
  sink,
  storeId: 's',
  epoch,
  incarnation: `i${epoch}`,
  partitions: [],
  ...parts,
});

export const key = (sink: string, batchTime: number, partitionId = 0): CommitKey => ({ app: 'app', sink, batchTime: toBatchTime(batchTime), partitionId });

export const record = ({ fingerprint }: PreparedRows, previous?: number, planId = 'plan'): CommitRecord => ({
  planId,
  fingerprint,
  ...(previous === undefined ? {} : { previous: toBatchTime(previous) }),
});

/** Commits one partition batch after batch: at 100, 200 and so on. */
export async function commitAll<T>(sink: Sink<T>, uid: string, batches: readonly (readonly T[])[], from = 1): Promise<readonly string[]> {
  const answers: string[] = [];
  for (const [index, rows] of batches.entries()) {
    const time = (from + index) * 100;
    const prepared = sink.prepare(rows);
    answers.push(await sink.commit(key(uid, time), prepared, record(prepared, time === 100 ? undefined : time - 100, `plan-${time}`)));
  }
  return answers;
}

/** The ledger of a sink: partition, batch time, plan. */
export function ledger(server: Postgres, sink: string): readonly string[] {
  return server.sql(`SELECT partition_id, batch_time, plan_id FROM millrace.sink_ledger WHERE sink = '${sink}' ORDER BY 1`);
}
