// Files, with the operations that matter for crashes kept apart: what is written, what is synced, which names are durable.

/** What a path is. */
export interface FileInfo {
  /** A file, a directory, or something else (a link, a socket, ...). */
  readonly kind: 'file' | 'directory' | 'other';
  /** Size in bytes. */
  readonly size: number;
  /** The number by which the file system knows it, as decimal digits. */
  readonly inode: string;
  /** When the content of a file or the names of a directory changed last, in milliseconds since the Unix epoch. */
  readonly modifiedMs: number;
}

/** A name in a directory. */
export interface DirectoryEntry {
  readonly name: string;
  readonly kind: FileInfo['kind'];
}

/** An open file. */
export interface FileHandle {
  /**
   * Writes the pieces one after another from `position` and returns how many bytes were taken, which may be fewer than asked for, without an error.
   * Nothing is durable yet. Synchronous: it copies into the page cache.
   */
  write(pieces: readonly Uint8Array[], position: number): number;
  /** Makes what was written durable, with the size (fdatasync). A failure says that nothing about un-synced data is known any more: never retry. */
  sync(): Promise<void>;
  /**
   * Reads up to `length` bytes from `position`; fewer only at the end of the file. With `into` they are put there, and what is returned is the beginning of it.
   */
  read(position: number, length: number, into?: Uint8Array): Promise<Uint8Array>;
  /** Reads into `into` from `position` and returns the part of it that was filled: fewer bytes only at the end of the file. Synchronous. */
  readNow(position: number, into: Uint8Array): Uint8Array;
  /** Size in bytes. */
  size(): Promise<number>;
  /** Closes it; safe to call again. */
  close(): Promise<void>;
}

/** A lock that ends with its process. */
export interface FileLock {
  /** Gives it up; safe to call again. */
  release(): Promise<void>;
}

/** What a file is opened for. */
export type OpenMode = 'read' | 'update' | 'create' | 'create-public';

/** A file system. Errors carry the errno name in `code`, as in Node. */
export interface FileSystem {
  /**
   * Opens a file: `read` an existing one for reading and syncing, `update` an existing one for writing, `create` a new one for writing (EEXIST if the name is taken), mode 0600.
   * `create-public` likewise, for others to read too, as the umask of the process says.
   */
  open(path: string, mode: OpenMode): Promise<FileHandle>;
  /** What `path` is; undefined if there is nothing. Does not follow links. */
  stat(path: string): Promise<FileInfo | undefined>;
  /**
   * The number by which the file system knows what `path` names at this moment, as decimal digits; undefined if there is nothing. Synchronous: a look at a name that is in memory
   * takes microseconds, a trip through the thread pool ten times as long.
   */
  inodeNow(path: string): string | undefined;
  /** How many bytes may still be written on the file system of a directory. */
  freeBytes(directory: string): Promise<number>;
  /** The names in a directory, sorted. */
  list(directory: string): Promise<readonly string[]>;
  /** The names in a directory with what they are, sorted by name. */
  entries(directory: string): Promise<readonly DirectoryEntry[]>;
  /** Makes one directory, mode 0700, or as the umask says if it is public; nothing happens if it is there. The name is durable after its parent was synced. */
  makeDirectory(path: string, access?: 'private' | 'public'): Promise<void>;
  /** Replaces `to` by `from` atomically; durable after the directory was synced. */
  rename(from: string, to: string): Promise<void>;
  /** Gives the file at `from` a second name; EEXIST if `to` is taken. Durable after the directory was synced. */
  link(from: string, to: string): Promise<void>;
  /** Removes a file's name; nothing happens if it is not there. */
  remove(path: string): Promise<void>;
  /** Removes a directory with all that is in it; nothing happens if it is not there. */
  removeTree(path: string): Promise<void>;
  /** Makes the names in a directory durable. */
  syncDirectory(path: string): Promise<void>;
  /** Takes the lock that belongs to a directory, or returns undefined if another holder has it. The system frees it when the process dies. */
  lock(directory: string): Promise<FileLock | undefined>;
}
