// The sink into files: a file per batch and partition, which appears whole and stays as it is. A commit is a link() of a synced file to its final name; the record that says what
// the file must hold stands beside it before, as pending, and is in the manifest afterwards.
import { sha256Hex } from '../core/checksum.ts';
import { CorruptionError, SinkError, StorageError, StreamError, toError } from '../core/errors.ts';
import type { CommitKey } from '../core/ids.ts';
import { optionError, refuseUnknownOptions, textOption } from '../core/options.ts';
import type { FileSystem } from '../env/file-system.ts';
import { makeDirectoryDurably } from '../env/make-directory.ts';
import { createNodeFileSystem } from '../env/node-file-system.ts';
import { isErrno } from '../env/errno.ts';
import { createSynced } from '../wal/create-synced.ts';
import { writeFully } from '../wal/write-fully.ts';
import { FILE_FORMATS, type FileFormat } from './file-format.ts';
import { decodeFence, decodeFileRecord, encodeRecord, fenceName, parseRecordName, partName, recordsDirectory, rowOf, type FileRecord } from './file-records.ts';
import { judgeCommit } from './judge-commit.ts';
import { claimError, commitError, mayClaim } from './sink-errors.ts';
import { verifyFiles } from './verify-files.ts';
import type { CommitRecord, KnownCommit, LedgerRow, PreparedRows, Sink, SinkAudit, SinkFence, SinkIdentity, SinkSession, SinkView } from './sink.ts';

const FINGERPRINT_DIGITS = 32;
const RECORD_BYTES_MAX = 64 * 1024;
/** Larger files are not read back for the message of an error. */
const READ_BACK_BYTES_MAX = 64 * 1024 * 1024;

/** Options of {@link fileSink}. */
export interface FileSinkOptions<in T> {
  /** A directory for this sink alone, on a file system with hard links. Made when the first driver opens it. */
  readonly directory: string;
  /** `text` for strings, `ndjson` for everything that JSON carries, or a format such as `csvFormat`. */
  readonly format: 'text' | 'ndjson' | FileFormat<T>;
}

/** What commit writes. */
interface FilePayload {
  readonly bytes: Uint8Array;
  readonly sha256: string;
  readonly extension: string;
}

interface OpenState {
  readonly session: SinkSession;
  readonly rows: Map<number, LedgerRow>;
}

/** Paths of an output. */
/** How often the records are looked at while another driver changes them. */
const LOOKS_MAX = 100;

/** By partition. */
type FoundRecords = ReadonlyMap<number, { readonly record: FileRecord; readonly isPending: boolean }>;

interface Places {
  readonly fences: string;
  readonly pending: string;
  readonly manifest: string;
  readonly scratch: string;
}

class FileSink<in T> implements Sink<T> {
  readonly guarantee = 'transactional';
  readonly #files: FileSystem;
  readonly #directory: string;
  readonly #format: FileFormat<T>;
  #state: OpenState | undefined;
  /** Set when a sync failed: what is durable is not known any more until the sink is opened again. */
  #failure: Error | undefined;

  constructor(files: FileSystem, options: FileSinkOptions<T>) {
    this.#files = files;
    this.#directory = options.directory;
    this.#format = typeof options.format === 'string' ? FILE_FORMATS[options.format] : options.format;
  }

  look(identity: SinkIdentity): Promise<SinkView> {
    return this.#guarded('look at', async () => {
      const places = this.#placesOf(identity);
      const rows = new Map([...(await this.#records(places))].map(([partitionId, { record }]) => [partitionId, rowOf(record)]));
      const fence = await this.#fence(places);
      return fence === undefined ? { rows } : { fence, rows };
    });
  }

  open(session: SinkSession): Promise<SinkView> {
    return this.#guarded('open', async () => {
      this.#failure = undefined;
      const places = this.#placesOf(session);
      const purpose = 'the directory of a file sink';
      await makeDirectoryDurably(this.#files, this.#directory, { purpose, access: 'public' });
      for (const place of [places.fences, places.pending, places.manifest, places.scratch])
        await makeDirectoryDurably(this.#files, place, { purpose, access: 'public' });
      await this.#claim(places, session);
      await this.#emptyScratch(places);
      const found = await this.#records(places);
      for (const { record, isPending } of found.values()) if (isPending) await this.#confirm(places, record);
      for (const name of await this.#files.list(places.pending)) await this.#files.remove(`${places.pending}/${name}`);
      const rows = new Map([...found].map(([partitionId, { record }]) => [partitionId, rowOf(record)]));
      this.#state = { session, rows };
      const { epoch, incarnation, storeId } = session;
      return { fence: { epoch, incarnation, storeId }, rows: new Map(rows) };
    });
  }

  prepare(rows: readonly T[]): PreparedRows {
    const { extension } = this.#format;
    const bytes = Buffer.from(this.#format.encode(rows));
    const sha256 = sha256Hex(bytes);
    const payload: FilePayload = { bytes, sha256, extension };
    return { fingerprint: sha256.slice(0, FINGERPRINT_DIGITS), rowCount: rows.length, payload };
  }

  commit(key: CommitKey, prepared: PreparedRows, record: CommitRecord): Promise<'committed' | 'duplicate'> {
    return this.#guarded('commit to', async () => {
      const state = this.#state;
      if (state === undefined) throw new SinkError('STREAM_SINK', `Cannot commit to "${key.sink}" as the sink must be open: it is closed`);
      const { session, rows } = state;
      const places = this.#placesOf(session);
      const verdict = judgeCommit({ session, fence: await this.#fence(places), row: rows.get(key.partitionId) }, key, record);
      if (verdict.kind === 'duplicate') return 'duplicate';
      if (verdict.kind !== 'commit') throw commitError(verdict, key, record);
      const { bytes, sha256, extension } = prepared.payload as FilePayload;
      const { batchTime, partitionId } = key;
      const { planId, fingerprint } = record;
      const file = `${partName(key)}.${extension}`;
      const written: FileRecord = {
        file,
        batchTime,
        partitionId,
        planId,
        epoch: session.epoch,
        fingerprint,
        rows: prepared.rowCount,
        bytes: bytes.length,
        sha256,
      };
      await this.#write(places, written, bytes);
      rows.set(partitionId, rowOf(written));
      return 'committed';
    });
  }

  readBack(key: CommitKey, prepared: PreparedRows | undefined): Promise<{ readonly before: readonly string[]; readonly now: readonly string[] } | undefined> {
    return this.#guarded('read back', async () => {
      const path = `${this.#directory}/${partName(key)}.${this.#format.extension}`;
      const found = await this.#files.stat(path);
      const now = (prepared?.payload as FilePayload | undefined)?.bytes ?? Buffer.alloc(0);
      // A reader may have taken the file away.
      if (found === undefined || Math.max(found.size, now.length) > READ_BACK_BYTES_MAX) return undefined;
      const handle = await this.#files.open(path, 'read');
      try {
        return { before: linesOf(await handle.read(0, found.size)), now: linesOf(now) };
      } finally {
        await handle.close();
      }
    });
  }

  verify(identity: SinkIdentity, known: readonly KnownCommit[]): Promise<SinkAudit> {
    return this.#guarded('verify', () => {
      const { pending, manifest } = this.#placesOf(identity);
      return this.#again(() => verifyFiles(this.#files, { directory: this.#directory, pending, manifest }, known));
    });
  }

  close(): Promise<void> {
    this.#state = undefined;
    return Promise.resolve();
  }

  /** Errors of the system say what was done and where; after a failed sync nothing goes on. */
  async #guarded<R>(verb: string, work: () => Promise<R>): Promise<R> {
    if (this.#failure !== undefined && verb === 'commit to') throw this.#failure;
    try {
      return await work();
    } catch (thrown) {
      const error = toError(thrown);
      if (error instanceof StreamError || !('code' in error)) throw error;
      throw new SinkError(
        'STREAM_SINK',
        `Cannot ${verb} the file sink "${this.#directory}" as it must be a directory that can be read and written: ${error.message}`,
        {
          cause: error,
        },
      );
    }
  }

  async #syncDirectory(path: string): Promise<void> {
    try {
      await this.#files.syncDirectory(path);
    } catch (thrown) {
      const error = toError(thrown);
      this.#failure = new StorageError(
        'STREAM_SINK',
        `Cannot sync "${path}" of a file sink: what is durable is not known until the next start: ${error.message}`,
        {
          cause: error,
        },
      );
      throw this.#failure;
    }
  }

  #placesOf(owner: SinkIdentity): Places {
    const base = `${this.#directory}/${recordsDirectory(owner)}`;
    return { fences: `${base}/fence`, pending: `${base}/pending`, manifest: `${base}/manifest`, scratch: `${base}/scratch` };
  }

  async #listed(directory: string): Promise<readonly string[]> {
    return (await this.#files.stat(directory)) === undefined ? [] : this.#files.list(directory);
  }

  async #read(path: string): Promise<string> {
    const handle = await this.#files.open(path, 'read');
    try {
      return Buffer.from(await handle.read(0, RECORD_BYTES_MAX)).toString('utf8');
    } finally {
      await handle.close();
    }
  }

  #fence({ fences }: Places): Promise<SinkFence | undefined> {
    return this.#again(async () => {
      const last = (await this.#listed(fences)).at(-1);
      return last === undefined ? undefined : decodeFence(`${fences}/${last}`, await this.#read(`${fences}/${last}`));
    });
  }

  /** The fence of an epoch is a file that is linked once: of two drivers that claim it, one finds the name taken. */
  async #claim(places: Places, session: SinkSession): Promise<void> {
    const { fences, scratch } = places;
    const before = await this.#fence(places);
    if (!mayClaim(before, session)) throw claimError(before, session);
    const { epoch, incarnation, storeId } = session;
    const name = fenceName(epoch);
    if (before?.epoch !== epoch) {
      const temporary = `${scratch}/fence-${incarnation}`;
      await this.#create(temporary, Buffer.from(encodeRecord({ epoch, incarnation, storeId })));
      await this.#files.link(temporary, `${fences}/${name}`).catch((error: unknown) => {
        if (!isErrno(error, 'EEXIST')) throw error;
      });
    }
    await this.#syncDirectory(fences);
    const now = await this.#fence(places);
    if (now?.epoch !== epoch || now.incarnation !== incarnation) throw claimError(now, session);
    for (const other of await this.#files.list(fences)) if (other < name) await this.#files.remove(`${fences}/${other}`);
  }

  async #emptyScratch({ scratch }: Places): Promise<void> {
    for (const name of await this.#files.list(scratch)) await this.#files.remove(`${scratch}/${name}`);
  }

  /** Where another driver claims or commits meanwhile, what was listed may be gone: then it is looked at again. */
  async #again<T>(look: () => Promise<T>): Promise<T> {
    for (let looks = 1; ; looks++) {
      try {
        return await look();
      } catch (error) {
        if (!isErrno(error, 'ENOENT') || looks === LOOKS_MAX) throw error;
      }
    }
  }

  /** The newest record of each partition. */
  #records(places: Places): Promise<FoundRecords> {
    return this.#again(() => this.#lookAtRecords(places));
  }

  /** One that is pending counts if its file is there. */
  async #lookAtRecords(places: Places): Promise<FoundRecords> {
    const newest = new Map<number, { readonly name: string; readonly batchTime: number; readonly isPending: boolean }>();
    const note = (names: readonly string[], isPending: boolean): void => {
      for (const name of names) {
        const parsed = parseRecordName(name);
        if (parsed === undefined) continue;
        const known = newest.get(parsed.partitionId);
        if (known === undefined || parsed.batchTime > known.batchTime) newest.set(parsed.partitionId, { name, batchTime: parsed.batchTime, isPending });
      }
    };
    note(await this.#listed(places.manifest), false);
    const pending: string[] = [];
    for (const name of await this.#listed(places.pending)) if (parseRecordName(name) !== undefined && (await this.#isVisible(places, name))) pending.push(name);
    note(pending, true);
    const records = new Map<number, { readonly record: FileRecord; readonly isPending: boolean }>();
    for (const [partitionId, { name, isPending }] of newest) {
      const path = `${isPending ? places.pending : places.manifest}/${name}`;
      records.set(partitionId, { record: decodeFileRecord(path, await this.#read(path)), isPending });
    }
    return records;
  }

  async #isVisible({ pending }: Places, name: string): Promise<boolean> {
    const { file } = decodeFileRecord(`${pending}/${name}`, await this.#read(`${pending}/${name}`));
    return (await this.#files.stat(`${this.#directory}/${file}`)) !== undefined;
  }

  #create(path: string, bytes: Uint8Array): Promise<void> {
    return createSynced(this.#files, { path, mode: 'create-public' }, (handle) => writeFully(handle, [bytes], 0));
  }

  async #write(places: Places, record: FileRecord, bytes: Uint8Array): Promise<void> {
    const { pending, scratch } = places;
    const name = `${partName(toKey(record))}.json`;
    await this.#create(`${scratch}/${record.file}`, bytes);
    await this.#create(`${scratch}/${name}`, Buffer.from(encodeRecord(record)));
    await this.#files.rename(`${scratch}/${name}`, `${pending}/${name}`);
    await this.#syncDirectory(pending);
    const final = `${this.#directory}/${record.file}`;
    try {
      await this.#files.link(`${scratch}/${record.file}`, final);
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw error;
      await this.#requireSame(final, record);
    }
    await this.#confirm(places, record);
    await this.#files.remove(`${scratch}/${record.file}`);
  }

  /** The name is taken: by an attempt of ours that was not heard of, or of a driver before us, with these very bytes. */
  async #requireSame(path: string, record: FileRecord): Promise<void> {
    const handle = await this.#files.open(path, 'read');
    try {
      const bytes = await handle.read(0, record.bytes + 1);
      if (sha256Hex(bytes) === record.sha256) return;
      throw new CorruptionError(
        'STREAM_SINK_CONFLICT',
        `Cannot commit "${path}" as the name must be free or hold the ${record.bytes} bytes of this commit: a file with other bytes is there`,
      );
    } finally {
      await handle.close();
    }
  }

  /** The file is visible: makes its name durable, then moves its record into the manifest. */
  async #confirm({ pending, manifest }: Places, record: FileRecord): Promise<void> {
    const name = `${partName(toKey(record))}.json`;
    await this.#syncDirectory(this.#directory);
    await this.#files.rename(`${pending}/${name}`, `${manifest}/${name}`);
    await this.#syncDirectory(manifest);
  }
}

/** A line stands for a row: so it is in the formats that are built in. */
function linesOf(bytes: Uint8Array): readonly string[] {
  return Buffer.from(bytes).toString('utf8').split('\n').slice(0, -1);
}

function toKey({ batchTime, partitionId }: FileRecord): Pick<CommitKey, 'batchTime' | 'partitionId'> {
  return { batchTime: batchTime as CommitKey['batchTime'], partitionId };
}

/** Makes a file sink on a file system. */
export function createFileSink<T>(files: FileSystem, options: FileSinkOptions<T>): Sink<T> {
  const owner = 'fileSink';
  refuseUnknownOptions(owner, options, ['directory', 'format']);
  textOption(owner, 'directory', options.directory);
  const format: unknown = options.format;
  const isFormat =
    typeof format === 'object' &&
    format !== null &&
    typeof Reflect.get(format, 'encode') === 'function' &&
    typeof Reflect.get(format, 'extension') === 'string';
  if (format !== 'text' && format !== 'ndjson' && !isFormat)
    throw optionError(owner, 'format', { expected: "'text', 'ndjson' or a format with extension and encode, such as csvFormat", found: format });
  return new FileSink(files, options);
}

/**
 * Makes a sink that writes a file `part-<batch time>-<partition>.<extension>` for each partition with rows, exactly once: each appears whole, is durable when its batch is completed,
 * and never changes. `_millrace` beside the files holds the manifest with sizes and SHA-256 (docs/file-sink.md).
 *
 * @throws {UsageError} If an option is missing, unknown or of the wrong kind.
 * @example
 * ```ts
 * import { fileSink, seconds, StreamingContext } from 'millrace';
 *
 * const context = new StreamingContext({ appName: 'word-count', batchInterval: seconds(1) });
 * context
 *   .socketTextStream('localhost', 9999)
 *   .map((line) => ({ line, length: line.length }))
 *   .saveTo(fileSink({ directory: './lines', format: 'ndjson' }), { uid: 'lines' });
 * ```
 */
export function fileSink<T>(options: FileSinkOptions<T>): Sink<T> {
  return createFileSink(createNodeFileSystem(), options);
}
