// The sink into Kafka: one transactional id for each partition of batches, one transaction for each commit, with the records and the marker in it. Whenever something goes wrong the producer is thrown away, a new one
// takes the id over, which ends what the old one had open, and the marker tells what had become of it.
import { CorruptionError, SinkError, StreamError, toError, UsageError } from '../../core/errors.ts';
import type { CommitKey } from '../../core/ids.ts';
import type { Env } from '../../env/env.ts';
import { pause } from '../../env/pause.ts';
import { judgeCommit } from '../judge-commit.ts';
import { judgeReconnect } from '../judge-reconnect.ts';
import { retryPauseMs } from '../retry-pause.ts';
import { claimError, commitError } from '../sink-errors.ts';
import type { CommitRecord, LedgerRow, PreparedRows, Sink, SinkIdentity, SinkSession, SinkView } from '../sink.ts';
import { claimFence, ownPartitions, requireMarkerTopic } from './claim.ts';
import type { Cluster, Owner } from './client.ts';
import type { Connect } from './driver.ts';
import { encodeRows } from './encode-rows.ts';
import { judgeTrouble } from './judge-trouble.ts';
import { MarkerLog } from './marker-log.ts';
import { encodeMarker, transactionalIdOf } from './marker.ts';
import type { ResolvedKafka } from './options.ts';
import { cutIntoChunks, missingPartition, type EncodedRow } from './place-rows.ts';
import { sendChecked } from './send.ts';

/** The world as the sink needs it. */
export interface KafkaWorld {
  readonly env: Pick<Env, 'clock' | 'random'>;
  readonly connect: Connect;
}

/** A partition that this driver owns. */
interface Held {
  readonly owner: Owner;
  /** How many partitions the topic had. */
  readonly count: number;
  /** Whether the markers were read up to one that this producer wrote: only then is it certain that none was missed. */
  isProven: boolean;
}

/** What a driver that has claimed the sink knows about it. */
interface Claimed {
  readonly session: SinkSession;
  readonly held: Map<number, Held>;
  readonly known: Map<number, LedgerRow>;
  /** Commits whose answer never came. */
  readonly doubtful: Map<number, LedgerRow>;
}

interface Write {
  readonly key: CommitKey;
  readonly prepared: PreparedRows;
  readonly record: CommitRecord;
}

interface Reading {
  readonly owner: string;
  readonly log: Promise<MarkerLog>;
}

function only<V>(map: ReadonlyMap<number, V>, partitionId: number): ReadonlyMap<number, V> {
  const value = map.get(partitionId);
  return value === undefined ? new Map() : new Map([[partitionId, value]]);
}

/** A sink into Kafka. */
export interface KafkaSink<in T> extends Sink<T>, AsyncDisposable {}

/** The class behind kafkaSink. */
export class OpenableKafkaSink<in T> implements KafkaSink<T> {
  readonly guarantee = 'transactional';
  readonly #options: ResolvedKafka<T>;
  readonly #world: KafkaWorld;
  #cluster: Cluster | undefined;
  #reading: Reading | undefined;
  #claimed: Claimed | undefined;
  #stopping = new AbortController();
  /** Connections that are being closed. */
  readonly #closing = new Set<Promise<void>>();
  /** The last call of each partition, and the last that concerns all of them. */
  readonly #lanes = new Map<number, Promise<unknown>>();
  #whole: Promise<unknown> = Promise.resolve();

  constructor(options: ResolvedKafka<T>, world: KafkaWorld) {
    this.#options = options;
    this.#world = world;
  }

  look(identity: SinkIdentity): Promise<SinkView> {
    return this.#alone(() =>
      this.#patiently(`look at "${identity.sink}"`, async () => {
        if ((await this.#attach().partitionCount(this.#options.markerTopic)) === undefined) return { rows: new Map() };
        const log = await this.#read(identity);
        await log.catchUp();
        // What is decided and not yet in the log counts, and so does what is open: only a batch that is planned can be.
        return log.view(() => true);
      }),
    );
  }

  open(session: SinkSession): Promise<SinkView> {
    return this.#alone(() => {
      this.#stopping = new AbortController();
      this.#release();
      return this.#patiently(`claim "${session.sink}"`, () => this.#claim(session));
    });
  }

  prepare(rows: readonly T[]): PreparedRows {
    const { rows: payload, fingerprint } = encodeRows(rows, this.#options.encoder);
    return { fingerprint, rowCount: rows.length, payload };
  }

  commit(key: CommitKey, prepared: PreparedRows, record: CommitRecord): Promise<'committed' | 'duplicate'> {
    return this.#inLane(key.partitionId, () => {
      const claimed = this.#claimed;
      if (claimed === undefined) throw new SinkError('STREAM_SINK', `Cannot commit to "${key.sink}" as the sink must be open: it is closed`);
      const what = `commit partition ${key.partitionId} of batch ${key.batchTime} to "${key.sink}", topic "${this.#options.topic}",`;
      return this.#patiently(what, () => this.#attempt(claimed, { key, prepared, record }));
    });
  }

  async close(): Promise<void> {
    this.#stopping.abort();
    await this.#alone(async () => {
      this.#release();
      this.#drop();
      await Promise.all(this.#closing);
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Commits of one partition follow each other; those of others may run beside. */
  #inLane<R>(partitionId: number, work: () => Promise<R>): Promise<R> {
    const turn = (this.#lanes.get(partitionId) ?? this.#whole).then(() => work());
    this.#lanes.set(
      partitionId,
      turn.catch(() => undefined),
    );
    return turn;
  }

  #alone<R>(work: () => Promise<R>): Promise<R> {
    const turn = Promise.all([this.#whole, ...this.#lanes.values()]).then(() => work());
    this.#whole = turn.catch(() => undefined);
    this.#lanes.clear();
    return turn;
  }

  #attach(): Cluster {
    const { connection, transactionTimeoutMs } = this.#options;
    this.#cluster ??= this.#world.connect({ connection, transactionTimeoutMs });
    return this.#cluster;
  }

  /** The marker topic, read on from where this output's markers were read last. Partitions share it. */
  #read(identity: Pick<SinkIdentity, 'app' | 'sink'>): Promise<MarkerLog> {
    const owner = transactionalIdOf(identity, 'fence');
    if (this.#reading?.owner === owner) return this.#reading.log;
    this.#dropReading();
    const log = this.#attach()
      .read(this.#options.markerTopic)
      .then((reader) => new MarkerLog(reader, identity));
    this.#reading = { owner, log };
    return log;
  }

  #dropReading(): void {
    const reading = this.#reading;
    this.#reading = undefined;
    // What was never connected has nothing to close, and whoever waited for it has the error.
    const close = (log: MarkerLog): Promise<void> => log.close();
    if (reading !== undefined) this.#discard({ close: () => reading.log.then(close, () => undefined) });
  }

  #discard(closable: { close(): Promise<void> }): void {
    const closing = closable.close();
    this.#closing.add(closing);
    void closing.then(() => this.#closing.delete(closing));
  }

  /** Throws away what is shared by all partitions. */
  #drop(): void {
    this.#dropReading();
    if (this.#cluster !== undefined) this.#discard(this.#cluster);
    this.#cluster = undefined;
  }

  #release(): void {
    for (const { owner } of this.#claimed?.held.values() ?? []) this.#discard(owner);
    this.#claimed = undefined;
  }

  /** Repeats what failed for a reason that may pass, with everything made anew. */
  async #patiently<R>(what: string, attempt: () => Promise<R>): Promise<R> {
    const { clock, random } = this.#world.env;
    const { reconnectTimeoutMs } = this.#options;
    const endMs = clock.monotonic() + reconnectTimeoutMs;
    for (let failures = 1; ; failures++) {
      try {
        return await attempt();
      } catch (thrown) {
        this.#drop();
        const error = toError(thrown);
        if (error instanceof StreamError) throw error;
        const pauseMs = retryPauseMs(failures, random);
        const isLast = judgeTrouble(error) === 'refused' || clock.monotonic() + pauseMs > endMs;
        if (!isLast) await pause(clock, pauseMs, this.#stopping.signal);
        if (isLast || this.#stopping.signal.aborted) {
          const tried = failures === 1 ? '' : ` (${failures} times within ${reconnectTimeoutMs} ms)`;
          throw new SinkError('STREAM_SINK', `Cannot ${what} as Kafka must take it${tried}: ${error.message}`, { cause: error });
        }
      }
    }
  }

  async #partitionCount(): Promise<number> {
    const { topic } = this.#options;
    const count = await this.#attach().partitionCount(topic);
    if (count === undefined)
      throw new SinkError('STREAM_SINK', `Cannot write into the topic "${topic}" as it must be there: the cluster knows none of this name`);
    return count;
  }

  async #claim(session: SinkSession): Promise<SinkView> {
    const { markerTopic } = this.#options;
    const count = await this.#partitionCount();
    const cluster = this.#attach();
    await requireMarkerTopic(cluster, markerTopic);
    const log = await this.#read(session);
    await claimFence({ cluster, log, markerTopic }, session);
    const partitions = new Set([...session.partitions, ...log.view(() => true).rows.keys()]);
    const owners = await ownPartitions(cluster, session, [...partitions]);
    const held = new Map([...owners].map(([partitionId, owner]) => [partitionId, { owner, count, isProven: false }] as const));
    this.#claimed = { session, held, known: new Map(), doubtful: new Map() };
    try {
      await log.catchUp();
      const view = log.view((place) => place !== 'fence');
      if (view.fence?.epoch !== session.epoch) throw claimError(view.fence, session);
      this.#claimed = { ...this.#claimed, known: new Map(view.rows) };
      return view;
    } catch (error) {
      this.#release();
      throw error;
    }
  }

  /** Requires that the output is still what this driver has committed to, as far as the partition goes. */
  #requireSame({ session, known, doubtful }: Claimed, { key, record }: Write, found: SinkView): void {
    const { partitionId } = key;
    const rows = only(found.rows, partitionId);
    const verdict = judgeReconnect({ session, known: only(known, partitionId), doubtful: only(doubtful, partitionId), found: { ...found, rows } });
    if (verdict.kind === 'fenced') throw commitError(verdict, key, record);
    if (verdict.kind === 'conflict') {
      throw new CorruptionError(
        'STREAM_SINK_CONFLICT',
        `Cannot go on with "${session.sink}" behind a new producer as its markers must be what this driver committed, ${verdict.expected}: found ${verdict.found}. Was the topic "${this.#options.markerTopic}" changed or made anew?`,
      );
    }
  }

  /** Takes a partition over again, behind whatever became of the last transaction. */
  async #hold(claimed: Claimed, write: Write): Promise<Held> {
    const { partitionId } = write.key;
    const { session, known, held } = claimed;
    const count = await this.#partitionCount();
    const log = await this.#read(session);
    await log.catchUp();
    // A driver that was overtaken must not take the partition away from the one that has taken over.
    const { fence } = log.view(() => false);
    if (fence !== undefined && judgeReconnect({ session, known: new Map(), doubtful: new Map(), found: { fence, rows: new Map() } }).kind === 'fenced')
      throw commitError({ kind: 'fenced', by: fence }, write.key, write.record);
    const owner = await this.#attach().own(transactionalIdOf(session, partitionId));
    try {
      await log.catchUp();
      const found = log.view((place) => place === partitionId);
      this.#requireSame(claimed, write, found);
      const row = found.rows.get(partitionId);
      if (row !== undefined) known.set(partitionId, row);
      const holding = { owner, count, isProven: false };
      held.set(partitionId, holding);
      return holding;
    } catch (error) {
      this.#discard(owner);
      throw error;
    }
  }

  async #attempt(claimed: Claimed, write: Write): Promise<'committed' | 'duplicate'> {
    const { key, record, prepared } = write;
    const { session, held, known } = claimed;
    const holding = held.get(key.partitionId) ?? (await this.#hold(claimed, write));
    const verdict = judgeCommit({ session, fence: session, row: known.get(key.partitionId) }, key, record);
    if (verdict.kind === 'duplicate') return 'duplicate';
    if (verdict.kind !== 'commit') throw commitError(verdict, key, record);
    this.#requirePartitions(prepared.payload as readonly EncodedRow[], holding.count);
    try {
      await this.#transact(claimed, write, holding);
      return 'committed';
    } catch (error) {
      held.delete(key.partitionId);
      this.#discard(holding.owner);
      throw error;
    }
  }

  #requirePartitions(rows: readonly EncodedRow[], count: number): void {
    const missing = missingPartition(rows, { count, partitionId: 0 });
    if (missing === undefined) return;
    throw new UsageError(
      'STREAM_OPTION',
      `Cannot use the option partition of kafkaSink as it must give a partition of the topic "${this.#options.topic}", from 0 to ${count - 1}: it gave ${missing}`,
    );
  }

  /**
   * A broker that has just become the leader may not know yet where the log ends, and shows less than what is committed. Behind a marker that was written to it, nothing can be missing: what comes to light only
   * then is what became of an earlier commit, and this one must not be made.
   */
  async #prove({ session, known, doubtful }: Claimed, { key }: Write, until: number): Promise<void> {
    const log = await this.#read(session);
    await log.catchUp(until);
    const row = log.view(() => false).rows.get(key.partitionId);
    const before = known.get(key.partitionId);
    if (row === undefined || (row.batchTime === before?.batchTime && row.planId === before.planId)) return;
    doubtful.set(key.partitionId, row);
    throw new Error(
      `the last marker of partition ${key.partitionId} must be of batch ${before?.batchTime ?? 'none'}: one of batch ${row.batchTime} came to light`,
    );
  }

  async #transact(claimed: Claimed, write: Write, holding: Held): Promise<void> {
    const { session, known, doubtful } = claimed;
    const { key, record, prepared } = write;
    const { owner, count } = holding;
    const { topic, markerTopic } = this.#options;
    const { partitionId, batchTime } = key;
    const { planId, fingerprint } = record;
    const mine: LedgerRow = { batchTime, planId, epoch: session.epoch, fingerprint, rows: prepared.rowCount };
    const transaction = await owner.begin();
    for (const { partition, messages } of cutIntoChunks(prepared.payload as readonly EncodedRow[], { count, partitionId }))
      await sendChecked(transaction, { topic, partition }, messages);
    const offset = await sendChecked(transaction, { topic: markerTopic, partition: 0 }, [encodeMarker(session, partitionId, mine)]);
    if (!holding.isProven) await this.#prove(claimed, write, offset + 1);
    holding.isProven = true;
    doubtful.set(partitionId, mine);
    await transaction.commit();
    known.set(partitionId, mine);
    doubtful.delete(partitionId);
  }
}
