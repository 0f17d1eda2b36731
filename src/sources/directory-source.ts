// The files of a directory as a source: each name is taken once. What was taken, or was there before, is in the ledger until it is listed no more.
import { SourceError, toError, UsageError } from '../core/errors.ts';
import type { InputFile } from '../journal/events.ts';
import type { SourceOffer } from '../journal/plan-batch.ts';
import { isSameFile, planFile } from '../rdd/file-pieces.ts';
import { filePartitions } from '../rdd/text-file.ts';
import type { FileInfo } from '../env/file-system.ts';
import { ListedFiles, type NameRules } from './listed-files.ts';
import type { PolledContext, PolledSource } from './polled-source.ts';
import type { SourceGuarantee } from './receiver.ts';

/** How many names one event about the beginning carries. */
const NAMES_PER_EVENT = 1000;

/** How a directory is read. */
export interface DirectorySettings extends NameRules {
  /** Absolute. */
  readonly directory: string;
  /** Whether the files that are there when the stream begins are left out. */
  readonly newFilesOnly: boolean;
  /** A file is complete when it has not changed for so long. */
  readonly settleMs: number;
  readonly filesMax: number;
  /** Whether each file is one partition, because a codec reads it as a whole. */
  readonly hasCodec: boolean;
}

/** A file that is not taken yet, as it was when it was looked at last. */
interface Candidate {
  readonly info: FileInfo;
  /** Since when it is as it is, monotonic. */
  readonly sinceMs: number;
}

/** Makes a source of a directory. */
export function createDirectorySource(settings: DirectorySettings): PolledSource {
  return new DirectorySource(settings);
}

class DirectorySource implements PolledSource {
  readonly guarantee: SourceGuarantee = {
    kind: 'exactly-once',
    because: 'each file is taken once, and read again from the directory until its batch is in a checkpoint',
  };
  readonly #settings: DirectorySettings;
  readonly #listed: ListedFiles;
  /** Names that are not taken, in order. */
  #waiting: readonly string[] = [];
  #gone: readonly string[] = [];
  readonly #candidates = new Map<string, Candidate>();

  constructor(settings: DirectorySettings) {
    this.#settings = settings;
    this.#listed = new ListedFiles(settings.directory, settings);
  }

  async begin(context: PolledContext): Promise<void> {
    const found = await this.#look(context, true);
    if (context.taken?.isPositioned === true) return;
    const names = this.#settings.newFilesOnly ? (found ?? []).toSorted() : [];
    for (let from = 0; from === 0 || from < names.length; from += NAMES_PER_EVENT) {
      const files = names.slice(from, from + NAMES_PER_EVENT);
      await context.position({ files, isComplete: from + NAMES_PER_EVENT >= names.length });
    }
  }

  async poll(context: PolledContext): Promise<SourceOffer> {
    await this.#look(context, false);
    const { names } = this.#taken(context);
    this.#waiting = this.#waiting.filter((name) => !names.has(name));
    const files: InputFile[] = [];
    let bytes = 0;
    for (const name of this.#waiting) {
      if (files.length >= this.#settings.filesMax || bytes >= context.batchBytesMax) break;
      const file = (await this.#isComplete(context, name)) ? await this.#plan(context, name) : undefined;
      if (file === undefined) continue;
      files.push(file);
      bytes += file.size;
    }
    return { files, filesGone: this.#gone.filter((name) => names.has(name)) };
  }

  filePartitions(files: readonly InputFile[]): number {
    return files.reduce((sum, file) => sum + filePartitions(file, this.#settings.hasCodec), 0);
  }

  #taken(context: PolledContext): { readonly names: ReadonlySet<string> } {
    return context.taken ?? { names: new Set<string>() };
  }

  async #look(context: PolledContext, isBeginning: boolean): Promise<readonly string[] | undefined> {
    const { directory } = this.#settings;
    try {
      const found = await this.#listed.look(context.env);
      if (found !== undefined) this.#compare(context, found);
      return found;
    } catch (thrown) {
      const error = toError(thrown);
      const message = `Cannot list "${directory}" for "${context.stream}" as it must be a directory that this process can read: ${error.message}`;
      throw isBeginning ? new UsageError('STREAM_SOURCE_FILE', message, { cause: error }) : new SourceError('STREAM_SOURCE_FILE', message, { cause: error });
    }
  }

  /** Notes which of the names found are not taken, and which of the names taken are not found. */
  #compare(context: PolledContext, found: readonly string[]): void {
    const { names } = this.#taken(context);
    const there = new Set(found);
    this.#waiting = found.filter((name) => !names.has(name)).sort();
    this.#gone = [...names].filter((name) => !there.has(name));
    for (const name of this.#candidates.keys()) if (!there.has(name) || names.has(name)) this.#candidates.delete(name);
  }

  /** Whether a file has stayed as it is for the settle time: by its time of change, or by our own clock where that time lies in the future. */
  async #isComplete({ env }: PolledContext, name: string): Promise<boolean> {
    const { directory, settleMs } = this.#settings;
    const info = await env.files.stat(`${directory}/${name}`);
    if (info?.kind !== 'file') return false;
    if (env.clock.now() - info.modifiedMs >= settleMs) return true;
    const nowMs = env.clock.monotonic();
    const known = this.#candidates.get(name);
    const sinceMs = known !== undefined && isSameFile(known.info, info) ? known.sinceMs : nowMs;
    this.#candidates.set(name, { info, sinceMs });
    return nowMs - sinceMs >= settleMs;
  }

  async #plan({ env, stream }: PolledContext, name: string): Promise<InputFile | undefined> {
    const path = `${this.#settings.directory}/${name}`;
    try {
      return await planFile(env.files, path, name);
    } catch (thrown) {
      const error = toError(thrown);
      throw new SourceError('STREAM_SOURCE_FILE', `Cannot read "${path}" for "${stream}" as this process must be able to: ${error.message}`, { cause: error });
    }
  }
}
