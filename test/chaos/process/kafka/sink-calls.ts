// Calls of a sink as the scheduler makes them, for tests of the Kafka sink.
import { toBatchTime } from '../../../../src/core/time.ts';
import type { CommitKey, CommitRecord, PreparedRows, Sink, SinkSession } from '../../../../src/index.ts';

export const session = (epoch: number, sink: string, parts: Partial<SinkSession> = {}): SinkSession => ({
  app: 'app',
  sink,
  storeId: 's',
  epoch,
  incarnation: `i${epoch}`,
  partitions: [0],
  ...parts,
});

/** Commits one partition batch after batch: at 100, 200 and so on. */
export async function commitAll<T>(sink: Sink<T>, uid: string, batches: readonly (readonly T[])[], from = 1): Promise<readonly string[]> {
  const answers: string[] = [];
  for (const [index, rows] of batches.entries()) {
    const time = (from + index) * 100;
    const prepared: PreparedRows = sink.prepare(rows);
    const key: CommitKey = { app: 'app', sink: uid, batchTime: toBatchTime(time), partitionId: 0 };
    const previous = time === 100 ? {} : { previous: toBatchTime(time - 100) };
    const record: CommitRecord = { planId: `plan-${time}`, fingerprint: prepared.fingerprint, ...previous };
    answers.push(await sink.commit(key, prepared, record));
  }
  return answers;
}
