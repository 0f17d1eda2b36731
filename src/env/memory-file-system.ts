// Files in the memory of the process: for a context that has no directory. Nothing outlives the process, so a sync has nothing to do.
import { dirname } from 'node:path';
import type { FileHandle, FileInfo, FileSystem, OpenMode } from './file-system.ts';

interface MemoryFile {
  readonly kind: 'file';
  readonly inode: number;
  bytes: Buffer;
  size: number;
  changed: number;
}

interface MemoryDirectory {
  readonly kind: 'directory';
  readonly inode: number;
  changed: number;
}

type Entry = MemoryFile | MemoryDirectory;

/** A copy of the bytes: at the beginning of `into`, if that is given. */
export function copyInto(bytes: Uint8Array, into: Uint8Array | undefined): Uint8Array {
  if (into === undefined) return Buffer.from(bytes);
  into.set(bytes);
  return into.subarray(0, bytes.length);
}

function errno(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}

class MemoryFiles implements FileSystem {
  readonly #entries = new Map<string, Entry>([['/', { kind: 'directory', inode: 1, changed: 0 }]]);
  readonly #locked = new Set<string>();
  #last = 1;

  async open(path: string, mode: OpenMode): Promise<FileHandle> {
    const known = this.#entries.get(path);
    if (mode === 'read' || mode === 'update') {
      if (known?.kind !== 'file') throw errno(known === undefined ? 'ENOENT' : 'EISDIR', path);
      return this.#handle(known);
    }
    if (known !== undefined) throw errno('EEXIST', path);
    const file: MemoryFile = { kind: 'file', inode: this.#next(), bytes: Buffer.alloc(0), size: 0, changed: this.#last };
    this.#put(path, file);
    return this.#handle(file);
  }

  async stat(path: string): Promise<FileInfo | undefined> {
    const entry = this.#entries.get(path.endsWith('/.') ? path.slice(0, -2) : path);
    if (entry === undefined) return undefined;
    return { kind: entry.kind, size: entry.kind === 'file' ? entry.size : 0, inode: String(entry.inode), modifiedMs: entry.changed };
  }

  inodeNow(path: string): string | undefined {
    const inode = this.#entries.get(path)?.inode;
    return inode === undefined ? undefined : String(inode);
  }

  async freeBytes(): Promise<number> {
    return Number.MAX_SAFE_INTEGER;
  }

  async list(directory: string): Promise<readonly string[]> {
    return (await this.entries(directory)).map(({ name }) => name);
  }

  async entries(directory: string): Promise<readonly { readonly name: string; readonly kind: Entry['kind'] }[]> {
    if (this.#entries.get(directory)?.kind !== 'directory') throw errno('ENOENT', directory);
    const prefix = directory === '/' ? '/' : `${directory}/`;
    return [...this.#entries]
      .filter(([path]) => path !== '/' && path.startsWith(prefix) && !path.includes('/', prefix.length))
      .map(([path, { kind }]) => ({ name: path.slice(prefix.length), kind }))
      .sort((left, right) => (left.name < right.name ? -1 : 1));
  }

  async makeDirectory(path: string): Promise<void> {
    if (!this.#entries.has(path)) this.#put(path, { kind: 'directory', inode: this.#next(), changed: this.#last });
  }

  async rename(from: string, to: string): Promise<void> {
    this.#put(to, this.#required(from));
    this.#drop(from);
  }

  async link(from: string, to: string): Promise<void> {
    if (this.#entries.has(to)) throw errno('EEXIST', to);
    this.#put(to, this.#required(from));
  }

  async remove(path: string): Promise<void> {
    this.#drop(path);
  }

  async removeTree(path: string): Promise<void> {
    for (const below of this.#entries.keys()) if (below.startsWith(`${path}/`)) this.#entries.delete(below);
    this.#drop(path);
  }

  syncDirectory(): Promise<void> {
    return Promise.resolve();
  }

  async lock(directory: string): Promise<{ release(): Promise<void> } | undefined> {
    if (this.#locked.has(directory)) return undefined;
    this.#locked.add(directory);
    return { release: async () => void this.#locked.delete(directory) };
  }

  #next(): number {
    this.#last += 1;
    return this.#last;
  }

  #required(path: string): Entry {
    const entry = this.#entries.get(path);
    if (entry === undefined) throw errno('ENOENT', path);
    return entry;
  }

  #put(path: string, entry: Entry): void {
    const parent = this.#required(dirname(path));
    parent.changed = this.#next();
    this.#entries.set(path, entry);
  }

  #drop(path: string): void {
    if (!this.#entries.delete(path)) return;
    this.#required(dirname(path)).changed = this.#next();
  }

  #handle(file: MemoryFile): FileHandle {
    return {
      write: (pieces, position) => {
        const bytes = Buffer.concat(pieces);
        const end = position + bytes.length;
        if (end > file.bytes.length) {
          const larger = Buffer.alloc(Math.max(end, file.bytes.length * 2));
          file.bytes.copy(larger, 0, 0, file.size);
          file.bytes = larger;
        }
        bytes.copy(file.bytes, position);
        file.size = Math.max(file.size, end);
        file.changed = this.#next();
        return bytes.length;
      },
      sync: () => Promise.resolve(),
      read: async (position, length, into) => copyInto(file.bytes.subarray(position, Math.min(position + length, file.size)), into),
      readNow: (position, into) => copyInto(file.bytes.subarray(position, Math.min(position + into.length, file.size)), into),
      size: () => Promise.resolve(file.size),
      close: () => Promise.resolve(),
    };
  }
}

/** Makes an empty file system in memory. */
export function createMemoryFileSystem(): FileSystem {
  return new MemoryFiles();
}
