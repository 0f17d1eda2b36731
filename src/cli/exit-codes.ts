// Pure: the exit codes of the command, and which one an error gives. docs/tools.md lists them.
import { CorruptionError, LockedError, SinkError, StorageError, UsageError, type ErrorCode, type ExitCode, StreamError } from '../core/errors.ts';

/** The exit codes of `millrace`. */
export const TOOL_CODES = {
  clean: 0,
  /** The log ends with a torn write: harmless. */
  torn: 1,
  corrupt: 2,
  version: 3,
  locked: 4,
  usage: 64,
  /** A bug of the tool. */
  unexpected: 70,
  /** The storage failed, or a sink. */
  storage: 74,
} as const;

/** One of the values of {@link TOOL_CODES}, or, where a command says what a start would come to, of the exit codes of a driver. */
export type ToolCode = (typeof TOOL_CODES)[keyof typeof TOOL_CODES] | ExitCode;

const VERSION_CODES: readonly ErrorCode[] = ['STREAM_WAL_VERSION', 'STREAM_JOURNAL_VERSION', 'STREAM_CHECKPOINT_FORMAT'];

/** Whether an error says that something was written by another version. */
export function isVersionError(error: unknown): boolean {
  return error instanceof StreamError && VERSION_CODES.includes(error.code);
}

/** The exit code for whatever was thrown. */
export function toolCodeOf(error: unknown): ToolCode {
  if (isVersionError(error)) return TOOL_CODES.version;
  if (error instanceof LockedError) return TOOL_CODES.locked;
  if (error instanceof CorruptionError) return TOOL_CODES.corrupt;
  if (error instanceof UsageError) return TOOL_CODES.usage;
  return error instanceof StorageError || error instanceof SinkError ? TOOL_CODES.storage : TOOL_CODES.unexpected;
}
