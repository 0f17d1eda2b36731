// The only door to the outside: everything above asks this value for time, files, randomness and a place to log, so that a simulation can stand in for all four.
import type { FileSystem } from './file-system.ts';

/** A timer that has been set. */
export interface Timer {
  /** Makes sure that the function is not called; safe to call again, also after it was called. */
  cancel(): void;
}

/** Time. */
export interface Clock {
  /** Wall-clock time in milliseconds since the Unix epoch; may jump either way. */
  now(): number;
  /** Milliseconds since an arbitrary moment, never going back. */
  monotonic(): number;
  /** Calls `task` once after `delayMs` milliseconds of monotonic time, however long that is. */
  setTimer(delayMs: number, task: () => void): Timer;
}

/** Randomness for ids. */
export interface Random {
  /** `count` unpredictable bytes. */
  bytes(count: number): Uint8Array;
}

/** Facts that go with a log line. */
export type LogFields = Readonly<Record<string, unknown>>;

/** A place to log, in pino's argument order, so that a pino logger fits as it is. */
export interface Logger {
  /** Detail for somebody who debugs the engine. */
  debug(fields: LogFields, message: string): void;
  /** A change of state. */
  info(fields: LogFields, message: string): void;
  /** Something is slower or weaker than it should be, but right. */
  warn(fields: LogFields, message: string): void;
  /** The context stops because of this. */
  error(fields: LogFields, message: string): void;
}

/** A place for text that `print()` shows. */
export interface Output {
  /** Shows the text, which ends with a line feed. */
  write(text: string): void;
}

/** Clock, files, randomness, logger and output as one value. */
export interface Env {
  /** Time. */
  readonly clock: Clock;
  /** Files. */
  readonly files: FileSystem;
  /** Randomness. */
  readonly random: Random;
  /** Log lines; silent unless the user gives a logger. */
  readonly logger: Logger;
  /** What `print()` writes to. */
  readonly output: Output;
  /** The number of this process, for messages. */
  readonly pid: number;
}
