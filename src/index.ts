/**
 * Millrace: streaming programs over micro-batches, with a write-ahead log, checkpoints and sinks that commit exactly once.
 *
 * @packageDocumentation
 */
export { StreamingContext } from './context/streaming-context.ts';
export type { GetOrCreateOptions, StopOptions } from './context/opening-options.ts';
export type { BackpressureOptions, StreamingContextOptions } from './context/options.ts';
export type {
  CodecFileStreamOptions,
  IterableStreamOptions,
  QueueStreamOptions,
  SocketStreamOptions,
  TextFileStreamOptions,
} from './context/source-options.ts';
export type { StreamSources } from './context/stream-sources.ts';
export type { Acceptance } from './recovery/judge-consent.ts';
export type { ContextState } from './context/life-cycle.ts';
export { runMain } from './context/run-main.ts';
export { DStream, MapWithStateDStream, type BatchContext } from './dstream/dstream.ts';
export type { Explanation, Guarantee, PathGuarantee } from './dstream/explain.ts';
export type {
  CombineOptions,
  MapAsyncOptions,
  MapWithStateOptions,
  OperatorOptions,
  OutputOptions,
  ShuffleOptions,
  StatefulOptions,
  StateOptions,
  TransformOptions,
} from './dstream/options.ts';
export type { State } from './state/map-slot.ts';
export type { StateMigration } from './state/migrate-state.ts';
export type { StateCodec } from './state/state-codec.ts';
export { RDD, type PartitionContext, type PartitionOptions } from './rdd/rdd.ts';
export { RddContext, type RddContextOptions } from './rdd/rdd-context.ts';
export type { Combiner } from './rdd/aggregators.ts';
export type { Cogrouped } from './rdd/cogroup.ts';
export type { SaveTextOptions } from './rdd/save-text.ts';
export type { FileCodec } from './rdd/text-file.ts';
export { fileSink, type FileSinkOptions } from './sinks/file-sink.ts';
export type { FileFormat } from './sinks/file-format.ts';
export { levelSink, type LevelSink, type LevelSinkOptions } from './sinks/level-sink.ts';
export type { CommitScene } from './sinks/judge-commit.ts';
export { requireClaim, requireCommit } from './sinks/require-commit.ts';
export type { CommitRecord, LedgerRow, PreparedRows, Sink, SinkFence, SinkIdentity, SinkSession, SinkView } from './sinks/sink.ts';
export type { AsyncSource, PositionOf } from './sources/iterable-receiver.ts';
export type { QueueItem } from './sources/queue-source.ts';
export type { Receiver, ReceiverContext, SourceGuarantee } from './sources/receiver.ts';
export type { RecordCodecName } from './sources/record-codec.ts';
export type { SourceRange } from './journal/events.ts';
export type { CheckpointStore, StoreChange } from './checkpoint/checkpoint-store.ts';
export type { Clock, Env, LogFields, Logger, Output, Random, Timer } from './env/env.ts';
export type { DirectoryEntry, FileHandle, FileInfo, FileLock, FileSystem } from './env/file-system.ts';
export type { BlockId, CommitKey, Incarnation, PlanId, StoreId, Uid } from './core/ids.ts';
export type {
  BatchInfo,
  CompletedBatch,
  CompletedOutput,
  OutputInfo,
  ReceiverInfo,
  StartedBatch,
  StreamingEvents,
  StreamingListener,
} from './core/listener.ts';
export type { KeyOf, KeyValuePair, PairOf, Rec, Storable, ValueOf } from './core/records.ts';
export { milliseconds, minutes, seconds, type BatchTime, type Duration, type MissedBatches, type Time } from './core/time.ts';
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
export type { DiagnosticEvents, DiagnosticName, RecoveryCompleted, RecoveryEstimate, RecoveryFound } from './core/diagnostics.ts';
