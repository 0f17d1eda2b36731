// The embedded sink: a LevelDB directory of its own with three sublevels, data, ledger and fence. One synced batch holds rows and ledger row, and one commit runs at a time
// in the one process that can have the directory open: that is the compare-and-set.
import { Level } from 'level';
import { CorruptionError, LockedError, SinkError, toError, type StreamError } from '../core/errors.ts';
import type { CommitKey } from '../core/ids.ts';
import { decodeValue, encodeValue } from '../core/value-codec.ts';
import { optionError, refuseUnknownOptions, textOption } from '../core/options.ts';
import { count, object, ShapeError, string } from '../core/shape.ts';
import { toBatchTime } from '../core/time.ts';
import type { FileSystem } from '../env/file-system.ts';
import { createNodeFileSystem } from '../env/node-file-system.ts';
import { encodeRows, type EncodedRow } from './encode-rows.ts';
import { judgeCommit } from './judge-commit.ts';
import { claimError, commitError, mayClaim } from './sink-errors.ts';
import type { CommitRecord, LedgerRow, PreparedRows, Sink, SinkFence, SinkIdentity, SinkSession, SinkView } from './sink.ts';

/** Options of {@link levelSink}. */
export interface LevelSinkOptions<T, K, V> {
  /** A directory for this sink alone, outside the store directory. Made when the first driver opens it. */
  readonly directory: string;
  /** The key of a row: a row with the same key replaces the one before. */
  readonly key: (row: T) => K;
  /** The value of a row. */
  readonly value: (row: T) => V;
}

/**
 * A sink in LevelDB that can be read.
 *
 * @typeParam T - The rows.
 * @typeParam K - The keys of the table.
 * @typeParam V - Its values.
 */
export interface LevelSink<in T, K, V> extends Sink<T>, AsyncDisposable {
  /** The value of a key; undefined if there is none. While a context runs with this sink, through its open table; otherwise the table is opened first. */
  get(key: K): Promise<V | undefined>;
  /** All rows as they are when the iteration begins, in the order of the canonical JSON of their keys. */
  entries(): AsyncIterableIterator<readonly [K, V]>;
}

const DATA = 'data';
const LEDGER = 'ledger';
const FENCE = 'fence';
const PARTITION_DIGITS = 6;

const fenceShape = object<{ epoch: number; incarnation: string; storeId: string }>({ epoch: count, incarnation: string, storeId: string });
const rowShape = object<{ batchTime: number; planId: string; epoch: number; fingerprint: string; rows: number }>({
  batchTime: count,
  planId: string,
  epoch: count,
  fingerprint: string,
  rows: count,
});

type Table = Level<string, string>;

function ownerPrefix({ app, sink }: Pick<SinkIdentity, 'app' | 'sink'>): string {
  return `${encodeURIComponent(app)}/${encodeURIComponent(sink)}`;
}

function ledgerKey(owner: Pick<SinkIdentity, 'app' | 'sink'>, partitionId: number): string {
  return `${ownerPrefix(owner)}/${String(partitionId).padStart(PARTITION_DIGITS, '0')}`;
}

function openError(directory: string, thrown: unknown): StreamError {
  const error = toError(thrown);
  const cause = error.cause instanceof Error ? error.cause : error;
  const code = 'code' in cause ? cause.code : undefined;
  const what = `Cannot open the sink "${directory}"`;
  if (code === 'LEVEL_LOCKED') return new LockedError('STREAM_LOCKED', `${what} as no other process may have it open: ${cause.message}`, { cause: error });
  if (code === 'LEVEL_CORRUPTION') return new CorruptionError('STREAM_SINK', `${what} as it must be whole: ${cause.message}`, { cause: error });
  return new SinkError('STREAM_SINK', `${what} as it must be a directory that can be written: ${cause.message}`, { cause: error });
}

function decodeRow<T>(directory: string, text: string, shape: (value: unknown, path: string) => T): T {
  try {
    return shape(JSON.parse(text), 'row');
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof ShapeError)) throw error;
    throw new CorruptionError('STREAM_SINK', `Cannot read the ledger of the sink "${directory}" as its rows must be whole: ${error.message}`, { cause: error });
  }
}

/** The class behind {@link levelSink}. */
class OpenableLevelSink<T, K, V> implements LevelSink<T, K, V> {
  readonly guarantee = 'transactional';
  readonly #options: LevelSinkOptions<T, K, V>;
  readonly #files: FileSystem;
  #table: Promise<Table> | undefined;
  #session: SinkSession | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: LevelSinkOptions<T, K, V>, files: FileSystem) {
    this.#options = options;
    this.#files = files;
  }

  async look(identity: SinkIdentity): Promise<SinkView> {
    const isHere = (await this.#files.stat(`${this.#options.directory}/CURRENT`)) !== undefined;
    if (!isHere && this.#table === undefined) return { rows: new Map() };
    return this.#exclusive(async () => this.#view(await this.#open(false), identity));
  }

  async open(session: SinkSession): Promise<SinkView> {
    return this.#exclusive(async () => {
      const table = await this.#open(true);
      const { fence } = await this.#view(table, session);
      if (!mayClaim(fence, session)) throw claimError(fence, session);
      const { epoch, incarnation, storeId } = session;
      const fenceRow = JSON.stringify({ epoch, incarnation, storeId });
      await table.batch([{ type: 'put', sublevel: table.sublevel(FENCE), key: ownerPrefix(session), value: fenceRow }], { sync: true });
      this.#session = session;
      return this.#view(table, session);
    });
  }

  prepare(rows: readonly T[]): PreparedRows {
    const encoded = encodeRows(rows, this.#options);
    return { fingerprint: encoded.fingerprint, rowCount: rows.length, payload: encoded.rows };
  }

  async commit(key: CommitKey, prepared: PreparedRows, record: CommitRecord): Promise<'committed' | 'duplicate'> {
    return this.#exclusive(async () => {
      const session = this.#session;
      if (session === undefined) throw new SinkError('STREAM_SINK', `Cannot commit to "${key.sink}" as the sink must be open: it is closed`);
      const table = await this.#open(false);
      const { fence, rows } = await this.#view(table, session);
      const verdict = judgeCommit({ session, fence, row: rows.get(key.partitionId) }, key, record);
      if (verdict.kind === 'duplicate') return 'duplicate';
      if (verdict.kind !== 'commit') throw commitError(verdict, key, record);
      const row: LedgerRow = {
        batchTime: key.batchTime,
        planId: record.planId,
        epoch: session.epoch,
        fingerprint: record.fingerprint,
        rows: prepared.rowCount,
      };
      await this.#write(table, { key, row, rows: prepared.payload as readonly EncodedRow[] });
      return 'committed';
    });
  }

  async get(key: K): Promise<V | undefined> {
    const table = await this.#open(false);
    const text = await table.sublevel(DATA).get(encodeValue(key));
    return text === undefined ? undefined : (decodeValue(text) as V);
  }

  async *entries(): AsyncIterableIterator<readonly [K, V]> {
    const table = await this.#open(false);
    for await (const [key, value] of table.sublevel(DATA).iterator()) yield [decodeValue(key) as K, decodeValue(value) as V];
  }

  async close(): Promise<void> {
    await this.#exclusive(async () => {
      const table = this.#table;
      this.#table = undefined;
      this.#session = undefined;
      await (await table?.catch(() => undefined))?.close();
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** One at a time, in the order of the calls: reading the row and writing the batch must not be parted. */
  #exclusive<R>(work: () => Promise<R>): Promise<R> {
    const turn = this.#last.then(work, work);
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  #open(isCreating: boolean): Promise<Table> {
    if (this.#table !== undefined) return this.#table;
    const { directory } = this.#options;
    const opening = (async () => {
      const table: Table = new Level(directory, { keyEncoding: 'utf8', valueEncoding: 'utf8', createIfMissing: isCreating });
      try {
        await table.open({ createIfMissing: isCreating });
        return table;
      } catch (error) {
        throw openError(directory, error);
      }
    })();
    this.#table = opening;
    opening.catch(() => {
      this.#table = undefined;
    });
    return opening;
  }

  async #view(table: Table, identity: SinkIdentity): Promise<SinkView> {
    const { directory } = this.#options;
    const prefix = ownerPrefix(identity);
    const fenceText = await table.sublevel(FENCE).get(prefix);
    const rows = new Map<number, LedgerRow>();
    for (const [key, text] of await table
      .sublevel(LEDGER)
      .iterator({ gte: `${prefix}/`, lt: `${prefix}0` })
      .all()) {
      const row = decodeRow(directory, text, rowShape);
      rows.set(Number(key.slice(prefix.length + 1)), { ...row, batchTime: toBatchTime(row.batchTime) });
    }
    if (fenceText === undefined) return { rows };
    const fence: SinkFence = decodeRow(directory, fenceText, fenceShape);
    return { fence, rows };
  }

  async #write(table: Table, commit: { readonly key: CommitKey; readonly row: LedgerRow; readonly rows: readonly EncodedRow[] }): Promise<void> {
    const data = table.sublevel(DATA);
    const batch = table.batch();
    for (const { key, value } of commit.rows) batch.put(key, value, { sublevel: data });
    batch.put(ledgerKey(commit.key, commit.key.partitionId), JSON.stringify(commit.row), { sublevel: table.sublevel(LEDGER) });
    try {
      await batch.write({ sync: true });
    } catch (error) {
      throw new SinkError(
        'STREAM_SINK',
        `Cannot commit partition ${commit.key.partitionId} of batch ${commit.key.batchTime} to "${this.#options.directory}": ${toError(error).message}`,
        {
          cause: error,
        },
      );
    }
  }
}

/**
 * Makes a sink that keeps a table in LevelDB, exactly once: embedded, in a directory of its own. A row with a known key replaces the one before. The directory can be read
 * through the sink object while the context runs, and by other processes when it stands still.
 *
 * @throws {UsageError} If an option is missing, unknown or of the wrong kind.
 * @example
 * ```ts
 * import { levelSink, StreamingContext, seconds } from 'millrace';
 *
 * const context = new StreamingContext({ appName: 'word-count', batchInterval: seconds(1) });
 * const sink = levelSink({ directory: './wordcount', key: ([word]: [string, number]) => word, value: ([, count]) => count });
 * context
 *   .socketTextStream('localhost', 9999)
 *   .map((line) => [line, 1])
 *   .updateStateByKey<number>((values, sum = 0) => sum + values.length, { uid: 'counts' })
 *   .saveTo(sink, { uid: 'totals' });
 * ```
 */
export function levelSink<T, K, V>(options: LevelSinkOptions<T, K, V>): LevelSink<T, K, V> {
  refuseUnknownOptions('levelSink', options, ['directory', 'key', 'value']);
  textOption('levelSink', 'directory', options.directory);
  for (const name of ['key', 'value'] as const) {
    const found: unknown = options[name];
    if (typeof found !== 'function') throw optionError('levelSink', name, { expected: 'a function of a row', found });
  }
  return new OpenableLevelSink(options, createNodeFileSystem());
}
