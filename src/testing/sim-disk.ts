// A disk that keeps apart what is visible (the page cache) and what is durable. A killed process loses nothing of either; a power cut keeps of un-synced
// writes all, nothing, or single sectors, and of un-synced names the old or the new ones.
import { dirname } from 'node:path';
import type { DirectoryEntry, FileInfo } from '../env/file-system.ts';
import type { SeededRandom } from './seeded-random.ts';

const SECTOR_BYTES = 512;

interface SimFile {
  readonly inode: number;
  changed: number;
  volatile: Buffer;
  size: number;
  durable: Buffer;
  durableSize: number;
  /** What was written since the last sync, in order: the disk may hold an earlier state of a place that was written twice. */
  dirty: DirtyRange[];
}

interface DirtyRange {
  readonly from: number;
  readonly until: number;
  readonly bytes: Buffer;
}

interface SimDirectory {
  readonly inode: number;
  changed: number;
  readonly names: Map<string, SimEntry>;
  durable: Map<string, SimEntry>;
}

type SimEntry = SimFile | SimDirectory;

function isDirectory(entry: SimEntry | undefined): entry is SimDirectory {
  return entry !== undefined && 'names' in entry;
}

function errno(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: simulated, '${path}'`), { code });
}

/** What survives simulated processes. */
export class SimDisk {
  #inodes = 1;
  #changes = 0;
  readonly #root: SimDirectory = this.#newDirectory();
  /** Locks by inode of the directory. */
  readonly #locks = new Set<number>();
  /** How many bytes all files together may have; writing over bytes that are there needs none. A write that reaches it takes what there is room for, the next one fails with ENOSPC. */
  capacityBytes: number = Number.MAX_SAFE_INTEGER;
  /** When set, the next sync of a file fails with EIO, marks the pages clean, and loses their durability: what Linux file systems do. */
  failNextSync = false;

  /** The simulated time of a change: the changes are counted, one a millisecond since the Unix epoch. */
  #tick(): number {
    this.#changes += 1;
    return this.#changes;
  }

  #newDirectory(): SimDirectory {
    this.#inodes += 1;
    return { inode: this.#inodes, changed: this.#tick(), names: new Map(), durable: new Map() };
  }

  #find(path: string): SimEntry | undefined {
    let entry: SimEntry | undefined = this.#root;
    for (const part of path.split('/')) {
      if (part === '' || part === '.') continue;
      if (!isDirectory(entry)) return undefined;
      entry = entry.names.get(part);
    }
    return entry;
  }

  #directory(path: string): SimDirectory {
    const entry = this.#find(path);
    if (isDirectory(entry)) return entry;
    throw errno(entry === undefined ? 'ENOENT' : 'ENOTDIR', path);
  }

  #file(path: string): SimFile {
    const entry = this.#find(path);
    if (entry === undefined) throw errno('ENOENT', path);
    if (isDirectory(entry)) throw errno('EISDIR', path);
    return entry;
  }

  #nameOf(path: string): string {
    return path.slice(path.lastIndexOf('/') + 1);
  }

  /** What a path is. */
  stat(path: string): FileInfo | undefined {
    const entry = this.#find(path);
    if (entry === undefined) return undefined;
    const common = { inode: String(entry.inode), modifiedMs: entry.changed };
    return isDirectory(entry) ? { kind: 'directory', size: 0, ...common } : { kind: 'file', size: entry.size, ...common };
  }

  /** Makes an empty file; EEXIST if the name is taken. */
  create(path: string): void {
    const parent = this.#directory(dirname(path));
    if (parent.names.has(this.#nameOf(path))) throw errno('EEXIST', path);
    this.#inodes += 1;
    parent.changed = this.#tick();
    parent.names.set(this.#nameOf(path), {
      inode: this.#inodes,
      changed: this.#tick(),
      volatile: Buffer.alloc(0),
      size: 0,
      durable: Buffer.alloc(0),
      durableSize: 0,
      dirty: [],
    });
  }

  /** Bytes that all files have. */
  get usedBytes(): number {
    return bytesBelow(this.#root);
  }

  /** Bytes that may still be written. */
  get freeBytes(): number {
    return this.capacityBytes === Number.MAX_SAFE_INTEGER ? this.capacityBytes : Math.max(0, this.capacityBytes - this.usedBytes);
  }

  /** A handle by which a file is used also after its name is gone. */
  open(path: string): SimFileUse {
    const file = this.#file(path);
    return {
      write: (bytes, position) => this.#writeWhatFits(file, bytes, position),
      sync: () => this.#sync(file),
      read: (position, length) => Buffer.from(file.volatile.subarray(position, Math.min(position + length, file.size))),
      size: () => file.size,
    };
  }

  #writeWhatFits(file: SimFile, bytes: Uint8Array, position: number): number {
    const room = Math.max(0, Math.max(file.size, position) - position) + this.freeBytes;
    const taken = Math.min(bytes.length, room);
    if (taken === 0 && bytes.length > 0) throw errno('ENOSPC', 'write');
    this.#write(file, bytes.subarray(0, taken), position);
    return taken;
  }

  #write(file: SimFile, bytes: Uint8Array, position: number): void {
    const end = position + bytes.length;
    file.volatile = grown(file.volatile, file.size, end);
    file.volatile.set(bytes, position);
    file.size = Math.max(file.size, end);
    file.dirty.push({ from: position, until: end, bytes: Buffer.from(bytes) });
    file.changed = this.#tick();
  }

  #sync(file: SimFile): void {
    if (this.failNextSync) {
      this.failNextSync = false;
      file.dirty = [];
      throw errno('EIO', 'fdatasync');
    }
    if (file.dirty.length === 0) return;
    for (const { from, until } of file.dirty) {
      file.durable = grown(file.durable, file.durableSize, until);
      file.durableSize = Math.max(file.durableSize, until);
      file.volatile.copy(file.durable, from, from, until);
    }
    file.dirty = [];
  }

  /** The names in a directory, sorted. */
  list(path: string): readonly string[] {
    return [...this.#directory(path).names.keys()].sort();
  }

  /** The names in a directory with what they are, sorted. */
  entries(path: string): readonly DirectoryEntry[] {
    const { names } = this.#directory(path);
    return this.list(path).map((name) => ({ name, kind: isDirectory(names.get(name)) ? 'directory' : 'file' }));
  }

  /** Makes a directory unless it is there. */
  makeDirectory(path: string): void {
    const parent = this.#directory(dirname(path));
    const name = this.#nameOf(path);
    if (isDirectory(parent.names.get(name))) return;
    if (parent.names.has(name)) throw errno('EEXIST', path);
    parent.names.set(name, this.#newDirectory());
    parent.changed = this.#tick();
  }

  /** Replaces `to` by `from`. */
  rename(from: string, to: string): void {
    const source = this.#directory(dirname(from));
    const entry = source.names.get(this.#nameOf(from));
    if (entry === undefined) throw errno('ENOENT', from);
    const target = this.#directory(dirname(to));
    target.names.set(this.#nameOf(to), entry);
    source.names.delete(this.#nameOf(from));
    source.changed = this.#tick();
    target.changed = this.#tick();
  }

  /** Gives a file a second name. */
  link(from: string, to: string): void {
    const file = this.#file(from);
    const target = this.#directory(dirname(to));
    if (target.names.has(this.#nameOf(to))) throw errno('EEXIST', to);
    target.names.set(this.#nameOf(to), file);
    target.changed = this.#tick();
  }

  /** Removes a name. */
  remove(path: string): void {
    const parent = this.#find(dirname(path));
    if (!isDirectory(parent)) return;
    parent.names.delete(this.#nameOf(path));
    parent.changed = this.#tick();
  }

  /** Makes the names in a directory durable. */
  syncDirectory(path: string): void {
    const directory = this.#directory(path);
    directory.durable = new Map(directory.names);
  }

  /** Takes the lock of a directory; false if it is taken. */
  lock(path: string): boolean {
    const { inode } = this.#directory(path);
    if (this.#locks.has(inode)) return false;
    this.#locks.add(inode);
    return true;
  }

  /** Gives the lock of a directory back. */
  unlock(path: string): void {
    this.#locks.delete(this.#directory(path).inode);
  }

  /** The bytes that are visible in a file. */
  readVolatile(path: string): Buffer {
    const file = this.#file(path);
    return Buffer.from(file.volatile.subarray(0, file.size));
  }

  /** Puts bytes into a file from outside, durable at once: damage, or what an older version left. */
  overwrite(path: string, bytes: Uint8Array): void {
    const file = this.#file(path);
    file.changed = this.#tick();
    file.volatile = Buffer.from(bytes);
    file.size = bytes.length;
    file.durable = Buffer.from(bytes);
    file.durableSize = bytes.length;
    file.dirty = [];
  }

  /** Cuts the power: what was not synced is kept, lost or torn, as `random` says. Returns how much was lost, so that a test can tell that it was. */
  cutPower(random: SeededRandom): { readonly lostWrites: number; readonly lostNames: number } {
    const losses = { lostWrites: 0, lostNames: 0 };
    this.#cutDirectory(this.#root, random, losses);
    return losses;
  }

  #cutDirectory(directory: SimDirectory, random: SeededRandom, losses: { lostWrites: number; lostNames: number }): void {
    for (const name of new Set([...directory.names.keys(), ...directory.durable.keys()])) {
      const now = directory.names.get(name);
      const before = directory.durable.get(name);
      if (now === before || random.chance(0.5)) continue;
      losses.lostNames += 1;
      if (before === undefined) directory.names.delete(name);
      else directory.names.set(name, before);
    }
    directory.durable = new Map(directory.names);
    for (const entry of new Set(directory.names.values())) {
      if (isDirectory(entry)) this.#cutDirectory(entry, random, losses);
      else this.#cutFile(entry, random, losses);
    }
  }

  #cutFile(file: SimFile, random: SeededRandom, losses: { lostWrites: number }): void {
    // A failed sync leaves bytes in the cache that are not dirty and not on the disk.
    if (file.dirty.length === 0 && file.volatile.subarray(0, file.size).equals(file.durable.subarray(0, file.durableSize))) return;
    const result = Buffer.alloc(Math.max(file.durableSize, file.size));
    file.durable.copy(result, 0, 0, file.durableSize);
    let size = file.durableSize;
    for (const { from, until, bytes } of file.dirty) {
      const fate = random.integer(3);
      if (fate === 0) {
        losses.lostWrites += 1;
        continue;
      }
      size = Math.max(size, until);
      if (fate === 1) bytes.copy(result, from);
      else {
        losses.lostWrites += 1;
        tear(bytes, result, { from, until, random });
      }
    }
    file.volatile = result.subarray(0, size);
    file.size = size;
    file.durable = Buffer.from(file.volatile);
    file.durableSize = size;
    file.dirty = [];
  }
}

function bytesBelow(directory: SimDirectory): number {
  let used = 0;
  for (const entry of new Set(directory.names.values())) used += isDirectory(entry) ? bytesBelow(entry) : entry.size;
  return used;
}

/** The buffer, or a larger one with its first `size` bytes, zeros behind them. */
function grown(buffer: Buffer, size: number, needed: number): Buffer {
  if (needed <= buffer.length) return buffer;
  const larger = Buffer.alloc(Math.max(needed, buffer.length * 2));
  buffer.copy(larger, 0, 0, size);
  return larger;
}

/** A file in use. */
export interface SimFileUse {
  /** Puts bytes into the page cache; returns how many there was room for. */
  write(bytes: Uint8Array, position: number): number;
  /** Makes what was written durable. */
  sync(): void;
  /** What is visible from `position` on, at most `length` bytes. */
  read(position: number, length: number): Buffer;
  /** The visible size. */
  size(): number;
}

/** Writes some sectors of a range, whose bytes `source` holds, and leaves the others old, zero or garbage. */
function tear(source: Buffer, target: Buffer, range: { readonly from: number; readonly until: number; readonly random: SeededRandom }): void {
  const { from, until, random } = range;
  for (let start = from; start < until; start = (Math.floor(start / SECTOR_BYTES) + 1) * SECTOR_BYTES) {
    const end = Math.min(until, (Math.floor(start / SECTOR_BYTES) + 1) * SECTOR_BYTES);
    const fate = random.integer(4);
    if (fate === 0) source.copy(target, start, start - from, end - from);
    else if (fate === 1) target.fill(0, start, end);
    else if (fate === 2) target.set(random.bytes(end - start), start);
  }
}
