// The sink into Postgres: one connection, one commit at a time, each in one transaction with its fence and its ledger row. Whenever something goes wrong the connection is thrown away, what
// stands behind a new one is compared, and the very same commit is repeated: its compare-and-set finds out what had become of the first.
import { CorruptionError, SinkError, StreamError, toError } from '../../core/errors.ts';
import type { CommitKey } from '../../core/ids.ts';
import type { Env } from '../../env/env.ts';
import { pause } from '../../env/pause.ts';
import { judgeCommit } from '../judge-commit.ts';
import { commitError } from '../sink-errors.ts';
import type { CommitRecord, LedgerRow, PreparedRows, Sink, SinkIdentity, SinkSession, SinkView } from '../sink.ts';
import { watchBlockers } from './blockers.ts';
import type { Connect, Link } from './driver.ts';
import { judgeReconnect } from '../judge-reconnect.ts';
import { judgeTrouble } from './judge-trouble.ts';
import { claimFence, commitTransaction, fenceOf, makeLedger, readView, rowsOf } from './ledger.ts';
import type { ResolvedPostgres } from './options.ts';
import { retryPauseMs } from '../retry-pause.ts';
import { beginStatement, compareAndSetStatement, greeting, ledgerTables, type LedgerWrite } from './statements.ts';
import type { Put } from './writers.ts';

const NAME_LENGTH_MAX = 63;
/** A server that is over a statement's time ends it; one that does not even do that is given up. */
const ANSWER_MORE_MS = 5000;

/** The world as the sink needs it. */
export interface PostgresWorld {
  readonly env: Pick<Env, 'clock' | 'random'>;
  readonly connect: Connect;
}

interface Attached {
  readonly link: Link;
  readonly put: Put;
}

/** What a driver that has claimed the sink knows about it. */
interface Claimed {
  readonly session: SinkSession;
  readonly known: Map<number, LedgerRow>;
  /** Commits whose answer never came. */
  readonly doubtful: Map<number, LedgerRow>;
}

/** The row that a write has replaced: the statement only wrote because it was of the expected batch, or absent where none is expected. */
function rowBefore(row: LedgerRow | undefined, { previous }: CommitRecord): LedgerRow | undefined {
  return row === undefined || previous === undefined ? undefined : { ...row, batchTime: previous, planId: '' };
}

/** A sink into Postgres. */
export interface PostgresSink<in T> extends Sink<T>, AsyncDisposable {}

/** The class behind postgresSink. */
export class OpenablePostgresSink<in T> implements PostgresSink<T> {
  readonly guarantee = 'transactional';
  readonly #options: ResolvedPostgres<T>;
  readonly #world: PostgresWorld;
  #attached: Attached | undefined;
  #claimed: Claimed | undefined;
  #closing = new AbortController();
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: ResolvedPostgres<T>, world: PostgresWorld) {
    this.#options = options;
    this.#world = world;
  }

  look(identity: SinkIdentity): Promise<SinkView> {
    return this.#exclusive(() =>
      this.#guarded(`look at "${identity.sink}"`, async () => {
        const { link } = await this.#attach(identity);
        return readView(link, this.#options.schema, identity);
      }),
    );
  }

  open(session: SinkSession): Promise<SinkView> {
    return this.#exclusive(() =>
      this.#guarded(`claim "${session.sink}"`, async () => {
        this.#closing = new AbortController();
        this.#claimed = undefined;
        const { schema, limits } = this.#options;
        const { link } = await this.#attach(session);
        await makeLedger(link, schema);
        await this.#watched(link, session, () => claimFence(link, session, { schema, limits }));
        const view = await readView(link, schema, session);
        this.#claimed = { session, known: new Map(view.rows), doubtful: new Map() };
        return view;
      }),
    );
  }

  prepare(rows: readonly T[]): PreparedRows {
    const { writer, row } = this.#options;
    return { ...writer.prepare(rows.map(row)), rowCount: rows.length };
  }

  commit(key: CommitKey, prepared: PreparedRows, record: CommitRecord): Promise<'committed' | 'duplicate'> {
    return this.#exclusive(async () => {
      const claimed = this.#claimed;
      if (claimed === undefined) throw new SinkError('STREAM_SINK', `Cannot commit to "${key.sink}" as the sink must be open: it is closed`);
      const write = { session: claimed.session, key, record, prepared };
      const { clock, random } = this.#world.env;
      const endMs = clock.monotonic() + this.#options.reconnectTimeoutMs;
      for (let attempt = 1; ; attempt++) {
        try {
          return await this.#attempt(claimed, write);
        } catch (thrown) {
          await this.#detach();
          const error = toError(thrown);
          if (error instanceof StreamError) throw error;
          const pauseMs = retryPauseMs(attempt, random);
          if (judgeTrouble(error) === 'refused' || clock.monotonic() + pauseMs > endMs || this.#closing.signal.aborted)
            throw this.#commitFailed(key, error, attempt);
          await pause(clock, pauseMs, this.#closing.signal);
          if (this.#closing.signal.aborted) throw this.#commitFailed(key, error, attempt);
        }
      }
    });
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#exclusive(async () => {
      this.#claimed = undefined;
      await this.#detach();
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** One at a time, in the order of the calls: there is one connection. */
  #exclusive<R>(work: () => Promise<R>): Promise<R> {
    const turn = this.#last.then(work, work);
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  #connect({ app, sink }: Pick<SinkIdentity, 'app' | 'sink'>): Promise<Link> {
    const { connection, connectTimeoutMs, limits } = this.#options;
    const name = `millrace ${app}/${sink}`.slice(0, NAME_LENGTH_MAX);
    return this.#world.connect({ name, connection, connectTimeoutMs, answerTimeoutMs: limits.statementTimeoutMs + ANSWER_MORE_MS });
  }

  async #attach(identity: SinkIdentity): Promise<Attached> {
    if (this.#attached !== undefined) return this.#attached;
    const link = await this.#connect(identity);
    try {
      const standby = (await link.run(greeting())).at(-1)?.rows[0]?.['standby'];
      if (standby !== 'false') throw new Error('the server must be a primary: it is a standby, pg_is_in_recovery() is true');
      this.#attached = { link, put: await this.#options.writer.attach(link) };
      return this.#attached;
    } catch (error) {
      await link.end();
      throw error;
    }
  }

  async #detach(): Promise<void> {
    const attached = this.#attached;
    this.#attached = undefined;
    await attached?.link.end();
  }

  /** Errors of the server and the network say what was done; the connection they came over is not used again. */
  async #guarded<R>(what: string, work: () => Promise<R>): Promise<R> {
    try {
      return await work();
    } catch (thrown) {
      await this.#detach();
      const error = toError(thrown);
      if (error instanceof StreamError) throw error;
      throw new SinkError('STREAM_SINK', `Cannot ${what} in Postgres as the server must be reached and must answer: ${error.message}`, { cause: error });
    }
  }

  /** Names those who hold the lock that work waited for in vain. */
  async #watched<R>(link: Link, owner: Pick<SinkIdentity, 'app' | 'sink'>, work: () => Promise<R>): Promise<R> {
    const { limits } = this.#options;
    const watch = watchBlockers(link, { clock: this.#world.env.clock, lockTimeoutMs: limits.lockTimeoutMs, connect: () => this.#connect(owner) });
    try {
      const result = await work();
      void watch.end();
      return result;
    } catch (thrown) {
      const error = toError(thrown);
      const blockers = await watch.end();
      if (blockers !== '' && !(error instanceof StreamError)) error.message += `; it waited for ${blockers}`;
      throw error;
    }
  }

  /** The connection; a new one only if what stands behind it is what this driver has committed to. */
  async #reattach({ session, known, doubtful }: Claimed, { key, record }: LedgerWrite): Promise<Attached> {
    if (this.#attached !== undefined) return this.#attached;
    const attached = await this.#attach(session);
    const found = await readView(attached.link, this.#options.schema, session);
    const verdict = judgeReconnect({ session, known, doubtful, found });
    if (verdict.kind === 'fenced') throw commitError(verdict, key, record);
    if (verdict.kind === 'conflict') {
      throw new CorruptionError(
        'STREAM_SINK_CONFLICT',
        `Cannot go on with "${session.sink}" behind a new connection as it must hold what this driver committed, ${verdict.expected}: it holds ${verdict.found}. Was the database restored from a backup?`,
      );
    }
    return attached;
  }

  async #attempt(claimed: Claimed, write: LedgerWrite): Promise<'committed' | 'duplicate'> {
    const { link, put } = await this.#reattach(claimed, write);
    return this.#watched(link, claimed.session, () => this.#transact(claimed, write, { link, put }));
  }

  async #transact({ session, known, doubtful }: Claimed, write: LedgerWrite, { link, put }: Attached): Promise<'committed' | 'duplicate'> {
    const { key, record, prepared } = write;
    const { partitionId, batchTime } = key;
    const { limits, schema } = this.#options;
    const answers = await link.run(`${beginStatement(limits)}; ${compareAndSetStatement(ledgerTables(schema), write)}`);
    const [fence, written, rows] = answers.slice(-3);
    const row = rowsOf(rows).get(partitionId);
    const isWritten = written?.rowCount === 1;
    const before = isWritten ? rowBefore(row, record) : row;
    const verdict = judgeCommit({ session, fence: fenceOf(fence), row: before }, key, record);
    if (verdict.kind === 'duplicate') {
      await link.run('ROLLBACK');
      if (row !== undefined) known.set(partitionId, row);
      doubtful.delete(partitionId);
      return 'duplicate';
    }
    if (verdict.kind !== 'commit') throw commitError(verdict, key, record);
    if (!isWritten) throw commitError({ kind: 'conflict', found: row, reason: 'row-moved' }, key, record);
    await put(prepared.payload);
    const { planId, fingerprint } = record;
    const mine: LedgerRow = { batchTime, planId, epoch: session.epoch, fingerprint, rows: prepared.rowCount };
    doubtful.set(partitionId, mine);
    await commitTransaction(link, `commit partition ${partitionId} of batch ${batchTime} to "${key.sink}"`);
    known.set(partitionId, mine);
    doubtful.delete(partitionId);
    return 'committed';
  }

  #commitFailed({ partitionId, batchTime, sink }: CommitKey, error: Error, attempts: number): SinkError {
    const { writer, reconnectTimeoutMs } = this.#options;
    const tried = attempts === 1 ? '' : ` (${attempts} times within ${reconnectTimeoutMs} ms)`;
    return new SinkError(
      'STREAM_SINK',
      `Cannot commit partition ${partitionId} of batch ${batchTime} to "${sink}", ${writer.target}, as Postgres must take it${tried}: ${error.message}`,
      { cause: error },
    );
  }
}
