// Appends that wait for room instead of being refused. Each kind keeps its order: blocks among blocks, decisions among decisions.
import type { LogPosition } from '../wal/read-at.ts';
import { diskFullError, isDiskFullError } from '../wal/disk-full.ts';
import type { Wal, WalRecord } from '../wal/wal.ts';
import type { DiskSpace } from './disk-space.ts';

/** What is appended: a block of a receiver, which waits until the disk has room for everything; or a decision, which may use the room that the ballast gave. */
export type AppendKind = 'block' | 'decision';

interface Item {
  readonly kind: AppendKind;
  /** Makes the record anew for each attempt. */
  readonly make: () => WalRecord;
  readonly resolve: (position: LogPosition) => void;
  readonly reject: (error: Error) => void;
}

/** Appends to a log, and holds what it has no room for. */
export class PatientAppends {
  readonly #wal: Wal;
  readonly #space: DiskSpace;
  readonly #directory: string;
  readonly #held: Record<AppendKind, Item[]> = { block: [], decision: [] };
  /** Kinds that are refused from here on instead of being held. */
  readonly #given = new Set<AppendKind>();

  constructor(wal: Wal, space: DiskSpace, directory: string) {
    this.#wal = wal;
    this.#space = space;
    this.#directory = directory;
    space.add({
      retryDecisions: () => this.#release('decision'),
      resume: () => {
        this.#release('decision');
        this.#release('block');
      },
    });
  }

  /**
   * Appends the record that `make` gives. Resolves when it is durable, however long the disk has no room for it.
   *
   * @throws {StorageError} `STREAM_DISK_FULL` if there is no room and what waits was given up; else as `Wal.append`.
   */
  append(kind: AppendKind, make: () => WalRecord): Promise<LogPosition> {
    return new Promise((resolve, reject) => this.#submit({ kind, make, resolve, reject }));
  }

  /** Refuses what waits of a kind, now and from here on. */
  giveUp(kind: AppendKind): void {
    this.#given.add(kind);
    for (const item of this.#held[kind].splice(0)) item.reject(this.#refusal());
  }

  #submit(item: Item): void {
    const { kind, make, resolve, reject } = item;
    if (this.#held[kind].length > 0 || (kind === 'block' && this.#space.isShort)) this.#hold(item);
    else {
      // What is refused for want of room is held at once, in the order of the log's queue, before anything else can be appended.
      const onRefused = (): void => this.#hold(item);
      this.#wal.append({ ...make(), onRefused }).then(resolve, (error: Error) => {
        if (!isDiskFullError(error)) reject(error);
      });
    }
  }

  #hold(item: Item): void {
    if (this.#given.has(item.kind)) item.reject(this.#refusal());
    else this.#held[item.kind].push(item);
    this.#space.report();
  }

  #release(kind: AppendKind): void {
    for (const item of this.#held[kind].splice(0)) this.#submit(item);
  }

  #refusal(): Error {
    return diskFullError(this.#directory, new Error('the context stops while it waits for room'));
  }
}
