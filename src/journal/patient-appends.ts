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
  /** Whether it waits for room. */
  readonly isPatient: boolean;
}

/** Appends to a log, and holds what it has no room for. */
export class PatientAppends {
  readonly #wal: Wal;
  readonly #space: DiskSpace;
  readonly #directory: string;
  readonly #held: Record<AppendKind, Item[]> = { block: [], decision: [] };
  /** Kinds that are refused instead of being held. */
  readonly #given = new Set<AppendKind>();
  /** Kinds of which one was refused: what follows it must not get in before it, so all of the kind are refused from here on. */
  readonly #refused = new Set<AppendKind>();

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
    return new Promise((resolve, reject) => this.#submit({ kind, make, resolve, reject, isPatient: true }));
  }

  /**
   * Appends what was decided, or refuses it at once.
   *
   * @throws {StorageError} `STREAM_DISK_FULL` if there is no room.
   */
  appendAtOnce(make: () => WalRecord): Promise<LogPosition> {
    return new Promise((resolve, reject) => this.#submit({ kind: 'decision', make, resolve, reject, isPatient: false }));
  }

  /** Refuses what waits of a kind, and what would have to wait from here on. After a refusal nothing of the kind is taken any more. */
  giveUp(kind: AppendKind): void {
    this.#given.add(kind);
    for (const item of this.#held[kind].splice(0)) this.#refuse(item);
  }

  #submit(item: Item): void {
    const { kind, make, resolve, reject } = item;
    if (this.#refused.has(kind)) this.#refuse(item);
    else if (this.#held[kind].length > 0 || (kind === 'block' && this.#space.isShort)) this.#hold(item);
    else {
      // What is refused for want of room is held at once, in the order of the log's queue, before anything else can be appended.
      const onRefused = (): void => this.#hold(item);
      this.#wal.append({ ...make(), onRefused }).then(resolve, (error: Error) => {
        if (!isDiskFullError(error)) reject(error);
      });
    }
  }

  #hold(item: Item): void {
    if (!item.isPatient) item.reject(this.#refusal('it must be taken at once'));
    else if (this.#given.has(item.kind)) this.#refuse(item);
    else this.#held[item.kind].push(item);
    this.#space.report();
  }

  #release(kind: AppendKind): void {
    for (const item of this.#held[kind].splice(0)) this.#submit(item);
  }

  #refuse({ kind, reject }: Item): void {
    this.#refused.add(kind);
    reject(this.#refusal('the context stops while it waits for room'));
  }

  #refusal(why: string): Error {
    return diskFullError(this.#directory, new Error(why));
  }
}
