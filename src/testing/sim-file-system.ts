// The FileSystem of a simulated process: every call is one step of it.
import type { FileSystem } from '../env/file-system.ts';
import { copyInto } from '../env/memory-file-system.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { SimDisk } from './sim-disk.ts';
import type { SimProcess } from './sim-process.ts';

/** How a simulated file system misbehaves besides what its process does. */
export interface SimFileSystemOptions {
  /** When given, writes take only a part of what they are given, as this says. */
  readonly shortWrites?: SeededRandom;
}

/** Makes the file system that a process sees. */
export function createSimFileSystem(disk: SimDisk, process: SimProcess, options: SimFileSystemOptions = {}): FileSystem {
  const step = <T>(operation: string, path: string, action: () => T): Promise<T> => process.run(`file.${operation} ${path}`, action);
  return {
    open: (path, mode) =>
      step(`open-${mode}`, path, () => {
        if (mode === 'create' || mode === 'create-public') disk.create(path);
        const file = disk.open(path);
        return {
          write: (pieces, position) =>
            process.runSync(`file.write ${path}`, () => {
              const bytes = Buffer.concat(pieces);
              const count = options.shortWrites === undefined ? bytes.length : Math.max(1, options.shortWrites.integer(bytes.length + 1));
              return file.write(bytes.subarray(0, count), position);
            }),
          sync: () => step('sync', path, () => file.sync()),
          read: (position, length, into) => step('read', path, () => copyInto(file.read(position, length), into)),
          readNow: (position, into) => process.runSync(`file.read ${path}`, () => copyInto(file.read(position, into.length), into)),
          size: () => step('size', path, () => file.size()),
          close: () => step('close', path, () => undefined),
        };
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
