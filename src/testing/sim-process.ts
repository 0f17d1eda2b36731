// One life of a simulated program. Every operation on the outside is a step; the process can be killed at its n-th step, or the step can fail.
import { createDeferred } from '../core/deferred.ts';

/** Thrown by a synchronous step of a process that is dead. Nothing that catches it can have any effect on the outside. */
export class SimulatedDeath extends Error {
  override readonly name = 'SimulatedDeath';
}

/** When and how a step fails. */
export interface SimulatedFault {
  /** The number of the step, from 1. */
  readonly at: number;
  /** The errno. */
  readonly code: 'EIO' | 'ENOSPC';
  /** Whether all later steps of files fail as well. */
  readonly forever?: boolean;
}

/** Options of {@link SimProcess}. */
export interface SimProcessOptions {
  /** The step that never happens: the process is killed instead. */
  readonly killAt?: number;
  readonly fail?: SimulatedFault;
  /** The asynchronous step at which the process is stopped, as by SIGSTOP, until {@link SimProcess.resume} is called. Synchronous steps cannot stop: they belong to the one before. */
  readonly pauseAt?: SimulatedPause;
}

/** When a process is stopped. */
export interface SimulatedPause {
  /** The number of the step, from 1. */
  readonly at: number;
  /** Whether the step has had its effect already. */
  readonly isAfter: boolean;
}

/** What a step is called by. */
export type StepName = string;

function errnoError(code: string, name: StepName): Error {
  return Object.assign(new Error(`${code}: simulated failure of ${name}`), { code });
}

/** Counts the steps of a program and ends it at the chosen one. */
export class SimProcess {
  readonly #options: SimProcessOptions;
  readonly #names: StepName[] = [];
  readonly #die: () => void;
  readonly #atDeath: (() => void)[] = [];
  #isAlive = true;
  readonly #pausing = createDeferred();
  readonly #resuming = createDeferred();

  /** Resolves when the process is stopped. */
  readonly paused: Promise<void> = this.#pausing.promise;
  /** Resolves when the process is dead. */
  readonly died: Promise<void>;

  constructor(options: SimProcessOptions = {}) {
    this.#options = options;
    let die: () => void = () => undefined;
    this.died = new Promise((resolve) => {
      die = resolve;
    });
    this.#die = die;
  }

  /** How many steps were begun. */
  get steps(): number {
    return this.#names.length;
  }

  /** The name of each step. */
  get names(): readonly StepName[] {
    return this.#names;
  }

  /** Whether it still runs. */
  get isAlive(): boolean {
    return this.#isAlive;
  }

  /** Ends the process, as SIGKILL does: nothing that it has begun goes on. */
  kill(): void {
    if (!this.#isAlive) return;
    this.#isAlive = false;
    for (const task of this.#atDeath) task();
    this.#die();
  }

  /** Calls `task` when the process dies: for what the system takes back, such as locks. */
  onDeath(task: () => void): void {
    this.#atDeath.push(task);
  }

  /** An asynchronous step. Never settles once the process is dead. */
  async run<T>(name: StepName, action: () => T): Promise<T> {
    if (!this.#begin(name)) return new Promise<T>(() => undefined);
    const { pauseAt } = this.#options;
    const isPause = this.#names.length === pauseAt?.at;
    await (isPause && !pauseAt.isAfter ? this.#pause() : undefined);
    if (!this.#isAlive) return new Promise<T>(() => undefined);
    const result = action();
    await (isPause && pauseAt.isAfter ? this.#pause() : undefined);
    return this.#isAlive ? result : new Promise<T>(() => undefined);
  }

  /** A synchronous step. Throws {@link SimulatedDeath} once the process is dead. */
  runSync<T>(name: StepName, action: () => T): T {
    if (!this.#begin(name)) throw new SimulatedDeath(`the process died before ${name}`);
    return action();
  }

  /** Lets a stopped process go on. */
  resume(): void {
    this.#resuming.resolve();
  }

  #pause(): Promise<void> {
    this.#pausing.resolve();
    return this.#resuming.promise;
  }

  #begin(name: StepName): boolean {
    if (!this.#isAlive) return false;
    this.#names.push(name);
    const { killAt, fail } = this.#options;
    if (this.#names.length === killAt) {
      this.kill();
      return false;
    }
    if (fail !== undefined && (this.#names.length === fail.at || (fail.forever === true && this.#names.length > fail.at && name.startsWith('file.'))))
      throw errnoError(fail.code, name);
    return true;
  }
}
