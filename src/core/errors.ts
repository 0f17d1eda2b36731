// Every error a caller can handle: one class per thing the caller does next, one stable code per condition, one exit code per answer a process manager gives.

/** The exit codes of a driver. A supervisor restarts 1, 74 and signals; the others need a person. */
export const EXIT_CODES = {
  clean: 0,
  unexpected: 1,
  usage: 64,
  locked: 73,
  storage: 74,
  corruption: 78,
} as const;

/** One of the values of {@link EXIT_CODES}. */
export type ExitCode = (typeof EXIT_CODES)[keyof typeof EXIT_CODES];

/** Every code an error of this library may carry, with its meaning. Codes are stable; messages are not. */
export const ERROR_CODES = {
  STREAM_ABORTED: 'the work was given up because the context stops',
  STREAM_BATCH_DIFFERS: 'a rerun of a batch gave other results than its first run',
  STREAM_BLOCK_CORRUPT: 'the bytes of a block do not match what was logged',
  STREAM_CHECKPOINT_AHEAD: 'a checkpoint names log records that the log does not hold',
  STREAM_CHECKPOINT_CORRUPT: 'a checkpoint is damaged and no older one can replace it',
  STREAM_CHECKPOINT_FORMAT: 'a checkpoint was written in a format this version does not know',
  STREAM_CHECKPOINT_STORE: 'the checkpoint store refused to open, read or write',
  STREAM_CODE_VERSION: 'batches that must run again were planned by another version of the program',
  STREAM_CODEC: 'a value cannot be encoded or decoded',
  STREAM_DIRECTORY: 'the store directory cannot be used',
  STREAM_DISK_FULL: 'the disk has no room for a record; nothing of it is in the log, and it may be appended again',
  STREAM_EMPTY_RDD: 'an action that needs a record was called on an empty dataset',
  STREAM_FENCED: 'a newer driver has taken over',
  STREAM_GRAPH_CHANGED: 'the graph is not the one the checkpoint belongs to',
  STREAM_GUARANTEE: 'an output must be exactly-once and is not',
  STREAM_IDENTITY: 'the identity of the store directory is missing, damaged or another',
  STREAM_ILLEGAL_STATE: 'the call is not allowed in the state the context is in',
  STREAM_INVALID_GRAPH: 'the graph of the program cannot run',
  STREAM_JOURNAL_CORRUPT: 'the journal holds an event that contradicts what came before it',
  STREAM_JOURNAL_VERSION: 'the journal holds an event of a newer version',
  STREAM_LOCKED: 'another driver holds the directory',
  STREAM_MIGRATION: 'the state of an operator cannot be brought to the version of the program',
  STREAM_OPTION: 'an option is unknown or has a value outside its range',
  STREAM_OUTPUT_EXISTS: 'a directory for output is there already',
  STREAM_RECEIVER: 'a receiver failed',
  STREAM_RECEIVER_BUFFER_FULL: 'a record was refused because the buffer of its receiver is full',
  STREAM_RECORD_TOO_LARGE: 'a record is larger than the log takes',
  STREAM_SAVEPOINT: 'a file is no savepoint, is damaged, or is not the one that was asked for',
  STREAM_SINK: 'a sink could not write or read',
  STREAM_SINK_CONFLICT: 'a sink holds rows that this directory did not write or lacks rows that it did',
  STREAM_SOURCE_BEHIND: 'a source holds less than was already received from it',
  STREAM_SOURCE_FILE: 'a file of a source cannot be read',
  STREAM_SOURCE_FILE_CHANGED: 'a file is not what it was when its batch was planned',
  STREAM_SOURCE_LINE_TOO_LONG: 'a line is longer than the limit',
  STREAM_SOURCE_NOT_UTF8: 'a line is not valid UTF-8',
  STREAM_SOURCE_PROTOCOL: 'a feeder does not keep to the protocol of acknowledged lines',
  STREAM_TASK: 'a task failed in all its attempts',
  STREAM_WAL_CORRUPT: 'the write-ahead log is damaged where it held acknowledged data',
  STREAM_WAL_POISONED: 'writing the log failed; what was in flight is indeterminate',
  STREAM_WAL_VERSION: 'the write-ahead log was written in a format this version does not know',
} as const;

/** One of the keys of {@link ERROR_CODES}. */
export type ErrorCode = keyof typeof ERROR_CODES;

/** What every error of this library has in common: a stable `code` and the `exitCode` a main program ends with. */
export abstract class StreamError extends Error {
  /** The stable name of the condition. */
  readonly code: ErrorCode;
  /** The exit code by which a process manager can tell "restart me" from "a person must look". */
  abstract readonly exitCode: ExitCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** The program or its configuration must be changed. Exit code 64. */
export class UsageError extends StreamError {
  override readonly exitCode: ExitCode = EXIT_CODES.usage;
}

/** Where the write-ahead log is damaged. */
export interface LogDamage {
  /** The number of the segment. */
  readonly segment: number;
  /** Where in its file the damage begins, in bytes. */
  readonly offset: number;
  /** The first record that is damaged or missing. */
  readonly lsnFrom: number;
  /** The last one; undefined where nothing whole follows. */
  readonly lsnTo: number | undefined;
}

/** Data on disk is damaged, missing or contradicts itself: a person must look. Exit code 78. */
export class CorruptionError extends StreamError {
  override readonly exitCode: ExitCode = EXIT_CODES.corruption;
  /** The place, where it is the log that is damaged. */
  readonly damage: LogDamage | undefined;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions & { readonly damage?: LogDamage }) {
    super(code, message, options);
    this.damage = options?.damage;
  }
}

/** The storage failed; what was in flight is indeterminate. Restart: the next start finds out what is there. Exit code 74. */
export class StorageError extends StreamError {
  override readonly exitCode: ExitCode = EXIT_CODES.storage;
}

/** Another driver owns the directory or the sink. Exit code 73. */
export class LockedError extends StreamError {
  override readonly exitCode: ExitCode = EXIT_CODES.locked;
}

/** A user function or a task failed in all its attempts. Its inputs are safe for the next start. Exit code 1. */
export class TaskError extends StreamError {
  override readonly exitCode: ExitCode = EXIT_CODES.unexpected;
}

/** A sink is out of reach or refused a row. Exit code 1. */
export class SinkError extends StreamError {
  override readonly exitCode: ExitCode = EXIT_CODES.unexpected;
}

/** A source or receiver failed, or sent what cannot be taken. Nothing acknowledged is lost. Exit code 1. */
export class SourceError extends StreamError {
  override readonly exitCode: ExitCode = EXIT_CODES.unexpected;
}

/** The work was given up because the context stops. Exit code 1. */
export class AbortError extends StreamError {
  override readonly exitCode: ExitCode = EXIT_CODES.unexpected;
}

/** A bug in this library: an assertion did not hold. Never caught; it stops the context. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/** The exit code for whatever was thrown: the error's own, or 1. */
export function exitCodeOf(error: unknown): ExitCode {
  return error instanceof StreamError ? error.exitCode : EXIT_CODES.unexpected;
}

/** Turns whatever was thrown into an Error, so that it can be a `cause`. */
export function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(`a value that is not an error was thrown: ${String(thrown)}`);
}
