// Compares the files of a file sink with their records, and with the commits that the log of the store directory names.
import { createHash } from 'node:crypto';
import { toError } from '../core/errors.ts';
import type { FileSystem } from '../env/file-system.ts';
import { decodeFileRecord, parseRecordName, partName, type FileRecord } from './file-records.ts';
import type { KnownCommit, SinkAudit, SinkFinding } from './sink.ts';

const READ_BYTES = 1024 * 1024;
const RECORD_BYTES_MAX = 64 * 1024;
const FINGERPRINT_DIGITS = 32;

/** Where a sink has its files, and its records. */
export interface FilePlaces {
  readonly directory: string;
  readonly manifest: string;
  /** Records of files that may be visible. */
  readonly pending: string;
}

/** What is known of the file of a commit. */
interface Promised {
  readonly name: string;
  readonly fingerprint: string;
  /** Undefined where its record is gone. */
  readonly record: FileRecord | undefined;
}

async function listed(files: FileSystem, directory: string): Promise<readonly string[]> {
  return (await files.stat(directory)) === undefined ? [] : files.list(directory);
}

async function sha256Of(files: FileSystem, path: string): Promise<{ readonly sha256: string; readonly bytes: number }> {
  const handle = await files.open(path, 'read');
  try {
    const hash = createHash('sha256');
    let bytes = 0;
    for (;;) {
      const piece = await handle.read(bytes, READ_BYTES);
      if (piece.length === 0) return { sha256: hash.digest('hex'), bytes };
      hash.update(piece);
      bytes += piece.length;
    }
  } finally {
    await handle.close();
  }
}

/** All records by the name of their part; a damaged one is a finding. */
async function readRecords(files: FileSystem, directory: string, findings: SinkFinding[]): Promise<ReadonlyMap<string, FileRecord>> {
  const found = new Map<string, FileRecord>();
  for (const name of await listed(files, directory)) {
    if (parseRecordName(name) === undefined) continue;
    const path = `${directory}/${name}`;
    const handle = await files.open(path, 'read');
    try {
      found.set(name.slice(0, -'.json'.length), decodeFileRecord(path, Buffer.from(await handle.read(0, RECORD_BYTES_MAX)).toString('utf8')));
    } catch (error) {
      findings.push({ kind: 'damaged', what: toError(error).message });
    } finally {
      await handle.close();
    }
  }
  return found;
}

/** What each part must be: by its record, and by the log. Where they differ, the record is of somebody else. */
function promises(records: ReadonlyMap<string, FileRecord>, known: readonly KnownCommit[], findings: SinkFinding[]): ReadonlyMap<string, Promised> {
  const promised = new Map<string, Promised>();
  for (const [name, record] of records) promised.set(name, { name, fingerprint: record.fingerprint, record });
  for (const commit of known) {
    const name = partName(commit);
    const { fingerprint, planId } = commit;
    const record = records.get(name);
    if (record !== undefined && (record.fingerprint !== fingerprint || record.planId !== planId))
      findings.push({
        kind: 'foreign',
        what: `the record of ${name} must be of plan ${planId} with the fingerprint ${fingerprint}: it is of plan ${record.planId} with ${record.fingerprint}`,
      });
    promised.set(name, { name, fingerprint, record });
  }
  return promised;
}

/** The files of the sink, by the name of their part. */
async function partsOf(files: FileSystem, directory: string): Promise<ReadonlyMap<string, readonly string[]>> {
  const parts = new Map<string, string[]>();
  for (const file of await listed(files, directory)) {
    const name = /^(part-\d+-\d+)\./u.exec(file)?.[1];
    if (name !== undefined) parts.set(name, [...(parts.get(name) ?? []), file]);
  }
  return parts;
}

/**
 * Reads every file of a file sink. A file that is gone counts as taken by a reader, where its record stands or has gone with it: both are allowed.
 *
 * @param known - The complete commits that the log names.
 */
export async function verifyFiles(files: FileSystem, places: FilePlaces, known: readonly KnownCommit[]): Promise<SinkAudit> {
  const findings: SinkFinding[] = [];
  const parts = await partsOf(files, places.directory);
  // A crash leaves the record of a file that was never linked: that is no commit.
  const pending = [...(await readRecords(files, places.pending, findings))].filter(([name]) => parts.has(name));
  const manifest = await readRecords(files, places.manifest, findings);
  const promised = promises(new Map([...pending, ...manifest]), known, findings);
  let [checked, taken] = [0, 0];
  for (const { name, fingerprint, record } of promised.values()) {
    const [file, ...others] = parts.get(name) ?? [];
    if (file === undefined) {
      taken += 1;
      continue;
    }
    checked += 1;
    if (others.length > 0) findings.push({ kind: 'doubled', what: `${name} must be one file: ${[file, ...others].join(' and ')} are there` });
    const { sha256, bytes } = await sha256Of(files, `${places.directory}/${file}`);
    const wanted = record?.sha256 ?? fingerprint;
    if (sha256.slice(0, FINGERPRINT_DIGITS) !== wanted.slice(0, FINGERPRINT_DIGITS))
      findings.push({
        kind: 'damaged',
        what: `${file} must have ${record === undefined ? '' : `${record.bytes} bytes and `}a SHA-256 of ${wanted}: it has ${bytes} bytes and ${sha256}`,
      });
  }
  for (const [name, all] of parts)
    if (!promised.has(name)) findings.push({ kind: 'foreign', what: `${all.join(' and ')} is there, and neither a record nor the log names a commit of it` });
  return { checked, taken, findings };
}
