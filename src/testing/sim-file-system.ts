// The FileSystem of a simulated process: every call is one step of it.
import type { FileHandle, FileSystem } from '../env/file-system.ts';
import { copyInto } from '../env/memory-file-system.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { SimDisk, SimFileUse } from './sim-disk.ts';
import type { SimProcess } from './sim-process.ts';

/** How a simulated file system misbehaves besides what its process does. */
export interface SimFileSystemOptions {
  /** When given, writes take only a part of what they are given, as this says. */
  readonly shortWrites?: SeededRandom;
}

interface HandleOwner {
  readonly path: string;
  readonly process: SimProcess;
  readonly shortWrites: SeededRandom | undefined;
}

function createSimHandle(file: SimFileUse, { path, process, shortWrites }: HandleOwner): FileHandle {
  let isOpen = true;
  /** A file that was closed is used by nobody: a real one would answer EBADF, or be another file by now. */
  const opened = <T>(action: () => T): (() => T) => {
    return () => {
      if (!isOpen) throw Object.assign(new Error(`EBADF: simulated, '${path}' was closed`), { code: 'EBADF' });
      return action();
    };
  };
  const step = <T>(operation: string, action: () => T): Promise<T> => process.run(`file.${operation} ${path}`, action);
  const write = (pieces: readonly Uint8Array[], position: number): number => {
    const bytes = Buffer.concat(pieces);
    const count = shortWrites === undefined ? bytes.length : Math.max(1, shortWrites.integer(bytes.length + 1));
    return file.write(bytes.subarray(0, count), position);
  };
  return {
    write: (pieces, position) =>
      process.runSync(
        `file.write ${path}`,
        opened(() => write(pieces, position)),
      ),
    sync: () =>
      step(
        'sync',
        opened(() => file.sync()),
      ),
    read: (position, length, into) =>
      step(
        'read',
        opened(() => copyInto(file.read(position, length), into)),
      ),
    readNow: (position, into) =>
      process.runSync(
        `file.read ${path}`,
        opened(() => copyInto(file.read(position, into.length), into)),
      ),
    size: () =>
      step(
        'size',
        opened(() => file.size()),
      ),
    close: () =>
      step('close', () => {
        isOpen = false;
      }),
  };
}

/** Makes the file system that a process sees. */
export function createSimFileSystem(disk: SimDisk, process: SimProcess, options: SimFileSystemOptions = {}): FileSystem {
  const step = <T>(operation: string, path: string, action: () => T): Promise<T> => process.run(`file.${operation} ${path}`, action);
  return {
    open: (path, mode) =>
      step(`open-${mode}`, path, () => {
        if (mode === 'create' || mode === 'create-public') disk.create(path);
        return createSimHandle(disk.open(path), { path, process, shortWrites: options.shortWrites });
      }),
    stat: (path) => step('stat', path, () => disk.stat(path)),
    inodeNow: (path) => process.runSync(`file.inode ${path}`, () => disk.stat(path)?.inode),
    freeBytes: (directory) => step('freeBytes', directory, () => disk.freeBytes),
    list: (directory) => step('list', directory, () => disk.list(directory)),
    entries: (directory) => step('entries', directory, () => disk.entries(directory)),
    makeDirectory: (path) => step('makeDirectory', path, () => disk.makeDirectory(path)),
    rename: (from, to) => step('rename', to, () => disk.rename(from, to)),
    link: (from, to) => step('link', to, () => disk.link(from, to)),
    remove: (path) => step('remove', path, () => disk.remove(path)),
    removeTree: (path) => step('removeTree', path, () => disk.remove(path)),
    syncDirectory: (path) => step('syncDirectory', path, () => disk.syncDirectory(path)),
    lock: (directory) =>
      step('lock', directory, () => {
        if (!disk.lock(directory)) return undefined;
        let isHeld = true;
        const release = (): void => {
          if (isHeld) disk.unlock(directory);
          isHeld = false;
        };
        process.onDeath(release);
        return { release: () => step('unlock', directory, release) };
      }),
  };
}
