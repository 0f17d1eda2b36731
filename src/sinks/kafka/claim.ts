// The claim of an output: its fence is written under a transactional id of its own, then every partition is taken over. From then on no older driver can commit.
import { UsageError, toError } from '../../core/errors.ts';
import { claimError, mayClaim } from '../sink-errors.ts';
import type { SinkFence, SinkSession } from '../sink.ts';
import type { Cluster, Owner } from './client.ts';
import { brokerCode } from './judge-trouble.ts';
import type { MarkerLog } from './marker-log.ts';
import { encodeMarker, transactionalIdOf } from './marker.ts';
import { sendChecked } from './send.ts';

const TOPIC_DENIED = 29;
const CLUSTER_DENIED = 31;
/** So many transactional ids are taken over at once; each has connections of its own. */
const OWNED_AT_ONCE = 8;

/**
 * Makes the marker topic if it is missing, and requires that it keeps the last record of each key for ever.
 *
 * @throws {UsageError} If it cannot be made, or has another cleanup policy.
 */
export async function requireMarkerTopic(cluster: Cluster, topic: string): Promise<void> {
  if ((await cluster.partitionCount(topic)) === undefined) {
    try {
      await cluster.createCompacted(topic);
    } catch (thrown) {
      const error = toError(thrown);
      const code = brokerCode(error);
      if (code !== TOPIC_DENIED && code !== CLUSTER_DENIED) throw error;
      throw new UsageError(
        'STREAM_OPTION',
        `Cannot make the marker topic "${topic}" of kafkaSink as this user must be allowed to: ${error.message}. Make it with one partition and cleanup.policy=compact`,
        { cause: error },
      );
    }
  }
  const policy = await cluster.cleanupPolicy(topic);
  if (policy === 'compact') return;
  throw new UsageError(
    'STREAM_OPTION',
    `Cannot use the topic "${topic}" for the markers of kafkaSink as its cleanup.policy must be compact, so that no marker expires: it is ${policy ?? 'unknown'}`,
  );
}

function isOwn(fence: SinkFence | undefined, { epoch, incarnation, storeId }: SinkSession): boolean {
  return fence?.epoch === epoch && fence.incarnation === incarnation && fence.storeId === storeId;
}

/** What a claim works on. */
export interface ClaimPlace {
  readonly cluster: Cluster;
  readonly log: MarkerLog;
  readonly markerTopic: string;
}

/**
 * Writes the fence. Of two that claim at one moment, the later one to take the transactional id over ends the other's transaction, and reads what it has decided.
 *
 * @throws {LockedError} If the fence is of a later epoch, of a twin or of another store.
 */
export async function claimFence({ cluster, log, markerTopic }: ClaimPlace, session: SinkSession): Promise<void> {
  const id = transactionalIdOf(session, 'fence');
  const read = async (isOwned: boolean, until = 0): Promise<SinkFence | undefined> => {
    await log.catchUp(until);
    return log.view(() => isOwned).fence;
  };
  // One that must be refused disturbs nobody.
  const seen = await read(false);
  if (!mayClaim(seen, session)) throw claimError(seen, session);
  const owner = await cluster.own(id);
  let offset: number;
  try {
    const fence = await read(true);
    if (!mayClaim(fence, session)) throw claimError(fence, session);
    const transaction = await owner.begin();
    const { epoch, incarnation, storeId } = session;
    offset = await sendChecked(transaction, { topic: markerTopic, partition: 0 }, [encodeMarker(session, 'fence', { epoch, incarnation, storeId })]);
    await transaction.commit();
  } finally {
    await owner.close();
  }
  // A commit that is answered is decided, and not yet in the log for others to read; behind the next takeover of the id it is. Partitions are taken over only then: whoever loses one finds the fence.
  await (await cluster.own(id)).close();
  const written = await read(true, offset + 1);
  if (!isOwn(written, session)) throw claimError(written, session);
}

/** Takes the partitions over. All or none: if one fails, the others are closed. */
export async function ownPartitions(cluster: Cluster, session: SinkSession, partitions: readonly number[]): Promise<ReadonlyMap<number, Owner>> {
  const owners = new Map<number, Owner>();
  const left = [...partitions];
  const takeOver = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) owners.set(next, await cluster.own(transactionalIdOf(session, next)));
  };
  const results = await Promise.allSettled(Array.from({ length: OWNED_AT_ONCE }, takeOver));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed === undefined) return owners;
  for (const owner of owners.values()) await owner.close();
  throw failed.reason;
}
