/**
 * Millrace: streaming programs over micro-batches, with a write-ahead log, checkpoints and sinks that commit exactly once.
 *
 * @packageDocumentation
 */
export { StreamingContext, type GetOrCreateOptions, type StopOptions } from './context/streaming-context.ts';
export type { SocketStreamOptions, StreamingContextOptions } from './context/options.ts';
export type { ContextState } from './context/life-cycle.ts';
export { runMain } from './context/run-main.ts';
export { DStream, type ForeachContext } from './dstream/dstream.ts';
export type { OperatorOptions, ShuffleOptions } from './dstream/options.ts';
export { RDD, type PartitionContext } from './rdd/rdd.ts';
export { levelSink, type LevelSink, type LevelSinkOptions } from './sinks/level-sink.ts';
export type { CommitRecord, LedgerRow, PreparedRows, Sink, SinkFence, SinkIdentity, SinkSession, SinkView } from './sinks/sink.ts';
export type { Receiver, ReceiverContext } from './sources/receiver.ts';
export type { RecordCodecName } from './sources/record-codec.ts';
export type { SourceRange } from './journal/events.ts';
export type { CheckpointStore, StoreChange } from './checkpoint/checkpoint-store.ts';
export type { Clock, Env, LogFields, Logger, Output, Random, Timer } from './env/env.ts';
export type { FileHandle, FileInfo, FileLock, FileSystem } from './env/file-system.ts';
export type { BlockId, CommitKey, Incarnation, PlanId, StoreId, Uid } from './core/ids.ts';
export type { KeyOf, KeyValuePair, Rec, Storable, ValueOf } from './core/records.ts';
export { milliseconds, minutes, seconds, type BatchTime, type Duration, type Time } from './core/time.ts';
export {
  AbortError,
  CorruptionError,
  ERROR_CODES,
  EXIT_CODES,
  InvariantError,
  LockedError,
  SinkError,
  SourceError,
  StorageError,
  StreamError,
  TaskError,
  UsageError,
  type ErrorCode,
  type ExitCode,
} from './core/errors.ts';
export type { DiagnosticEvents, DiagnosticName, RecoveryFound } from './core/diagnostics.ts';
