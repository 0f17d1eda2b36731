// What stands in a directory, looked at often and listed seldom: a directory is listed again only when its time of change has moved, or moved so lately that a second change might
// have the same time.
import type { Env } from '../env/env.ts';
import type { DirectoryEntry } from '../env/file-system.ts';

/** How long after a change a directory is listed at each look: more than the coarsest clock of a file system, 2 s on FAT. */
const RELIST_MS = 3000;

/** A directory is not listed again before this many times what the last listing took: at most a tenth of the time goes into listing. */
const LISTING_SHARE = 10;

/** Which names count. */
export interface NameRules {
  /** Whether directories below are looked into. */
  readonly nested: boolean;
  /** Whether files of this directory count, by its path below the base; empty for the base. */
  readonly takesDirectory: (path: string) => boolean;
  /** Whether a file counts, by its path below the base. */
  readonly takesFile: (path: string) => boolean;
}

interface Listing {
  readonly modifiedMs: number;
  /** When this time of change was noticed first, and when the directory was listed, both monotonic. */
  readonly noticedMs: number;
  readonly listedMs: number;
  /** How long the listing took. */
  readonly costMs: number;
  /** Paths below the base. */
  readonly files: readonly string[];
  readonly directories: readonly string[];
}

/** Whether a directory must be listed again: its time of change moved, or moved so lately that it might hide another change; and the last listing is long enough ago. */
function isListingDue({ listedMs, noticedMs, costMs }: Listing, isSame: boolean, nowMs: number): boolean {
  return !(isSame && listedMs - noticedMs >= RELIST_MS) && nowMs - listedMs >= LISTING_SHARE * costMs;
}

/** Whether a name is neither hidden nor that of a file that is still being written, by the habits of the field. */
export function isVisibleName(name: string): boolean {
  return !/^[._]/u.test(name) && !/(?:\.tmp|\.part|\.partial|\.crdownload|\.swp|\._copying_|~)$/iu.test(name);
}

/** Looks at a base directory again and again. */
export class ListedFiles {
  readonly #base: string;
  readonly #rules: NameRules;
  #listings = new Map<string, Listing>();

  constructor(base: string, rules: NameRules) {
    this.#base = base;
    this.#rules = rules;
  }

  /**
   * Looks again.
   *
   * @returns Paths of all files that count, below the base, unordered; undefined if nothing was listed again since the last look.
   * @throws {Error} With the errno in `code` if the base cannot be listed.
   */
  async look(env: Env): Promise<readonly string[] | undefined> {
    const listings = new Map<string, Listing>();
    let isNew = false;
    const visit = async (path: string): Promise<void> => {
      const known = this.#listings.get(path);
      const listing = await this.#list(env, path, known);
      if (listing === undefined) return;
      if (listing !== known) isNew = true;
      listings.set(path, listing);
      for (const directory of listing.directories) await visit(directory);
    };
    await visit('');
    isNew ||= listings.size !== this.#listings.size;
    this.#listings = listings;
    return isNew ? [...listings.values()].flatMap((listing) => listing.files) : undefined;
  }

  async #list({ files, clock }: Env, path: string, known: Listing | undefined): Promise<Listing | undefined> {
    const full = path === '' ? this.#base : `${this.#base}/${path}`;
    const info = await files.stat(full === this.#base ? `${full}/.` : full);
    if (path !== '' && info?.kind !== 'directory') return undefined;
    const nowMs = clock.monotonic();
    const modifiedMs = info?.modifiedMs ?? 0;
    const isSame = known?.modifiedMs === modifiedMs;
    if (known !== undefined && !isListingDue(known, isSame, nowMs)) return known;
    const entries = await files.entries(full);
    return { modifiedMs, noticedMs: isSame ? known.noticedMs : nowMs, listedMs: nowMs, costMs: clock.monotonic() - nowMs, ...this.#sort(path, entries) };
  }

  #sort(path: string, entries: readonly DirectoryEntry[]): Pick<Listing, 'files' | 'directories'> {
    const { nested, takesDirectory, takesFile } = this.#rules;
    const pathsOf = (wanted: DirectoryEntry['kind']): readonly string[] =>
      entries.filter(({ kind, name }) => kind === wanted && isVisibleName(name)).map(({ name }) => (path === '' ? name : `${path}/${name}`));
    return { files: takesDirectory(path) ? pathsOf('file').filter(takesFile) : [], directories: nested ? pathsOf('directory') : [] };
  }
}
