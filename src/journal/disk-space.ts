// Whether the disk has room. Short of it the ballast is given up, receivers pause, and only what was decided is still written; when there is room again everything goes on by itself.
import { publish } from '../core/diagnostics.ts';
import { toError } from '../core/errors.ts';
import type { Env, Timer } from '../env/env.ts';
import { hasBallast, releaseBallast, restoreBallast, STORE_ROOM_BYTES, type BallastPlace } from './ballast.ts';

/** How often a short disk is looked at. */
const LOOK_MS = 1000;

/** What the watch over the disk works with. */
export interface DiskSpaceOptions {
  readonly env: Env;
  readonly app: string;
  readonly directory: string;
  readonly ballastBytes: number;
  /** Stops the context: the storage failed. */
  readonly fail: (error: Error) => void;
}

/** What a short disk holds up. */
export interface Held {
  /** Called whenever there may be room for what was decided: the ballast is gone, or time has passed. */
  retryDecisions(): void;
  /** Called when there is room for everything. */
  resume(): void;
}

/** Watches the room on the disk of a store. */
export class DiskSpace {
  readonly #options: DiskSpaceOptions;
  readonly #place: BallastPlace;
  #held: readonly Held[] = [];
  #isShort = false;
  #timer: Timer | undefined;
  #turn: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(options: DiskSpaceOptions) {
    this.#options = options;
    this.#place = { files: options.env.files, directory: options.directory, bytes: options.ballastBytes };
  }

  /** Whether the disk is short of room: nothing new is taken in. */
  get isShort(): boolean {
    return this.#isShort;
  }

  /** Tells `held` from here on. */
  add(held: Held): void {
    this.#held = [...this.#held, held];
  }

  /**
   * Makes the ballast if it is not there, and resolves when it is durable. Where there is no room for it the disk is short from the beginning.
   *
   * @throws {Error} If the storage fails, for another reason than that it is full.
   */
  async begin(): Promise<void> {
    if (!(await hasBallast(this.#place)) && !(await restoreBallast(this.#place))) await this.#becomeShort();
  }

  /** Something was refused for want of room. */
  report(): void {
    if (!this.#isShort) this.#inTurn(() => this.#becomeShort());
  }

  /** Looks whether there is room for a checkpoint, with the ballast given up if need be. */
  async hasStoreRoom(): Promise<boolean> {
    const { env, directory } = this.#options;
    await this.#turn;
    if ((await env.files.freeBytes(directory)) >= STORE_ROOM_BYTES) return true;
    this.#inTurn(() => this.#becomeShort());
    await this.#turn;
    return (await env.files.freeBytes(directory)) >= STORE_ROOM_BYTES;
  }

  /** Ends the watch. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    await this.#turn;
  }

  /** One thing after another, and none of them dropped. */
  #inTurn(work: () => Promise<void>): void {
    this.#turn = this.#turn.then(work).catch((error: unknown) => this.#options.fail(toError(error)));
  }

  async #becomeShort(): Promise<void> {
    if (this.#isShort || this.#isClosed) return;
    const { env, app, directory } = this.#options;
    this.#isShort = true;
    env.logger.warn({ directory }, 'the disk is full: receivers pause');
    publish('disk-full', () => ({ app }));
    await releaseBallast(this.#place);
    for (const held of this.#held) held.retryDecisions();
    this.#look();
  }

  #look(): void {
    if (this.#isClosed) return;
    this.#timer = this.#options.env.clock.setTimer(LOOK_MS, () => this.#inTurn(() => this.#tryAgain()));
  }

  async #tryAgain(): Promise<void> {
    if (this.#isClosed) return;
    if (await restoreBallast(this.#place)) {
      const { env, app, directory } = this.#options;
      this.#isShort = false;
      env.logger.info({ directory }, 'the disk has room again: receivers go on');
      publish('disk-room', () => ({ app }));
      for (const held of this.#held) held.resume();
      return;
    }
    for (const held of this.#held) held.retryDecisions();
    this.#look();
  }
}
