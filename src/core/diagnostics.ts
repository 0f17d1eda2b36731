// What the engine tells while it runs, on channels of node:diagnostics_channel named `millrace:<event>`. Nothing is built when nobody listens.
import { channel, type Channel } from 'node:diagnostics_channel';
import type { BatchTime } from './time.ts';

/** The payload of each channel; docs/observability.md says when each is published. */
export interface DiagnosticEvents {
  /** A driver has the directory and begins to recover. */
  readonly 'recovery-started': { readonly app: string; readonly epoch: number };
  /** What the crash before left behind. */
  readonly 'recovery-found': RecoveryFound;
  /** All batches that had to run again have. */
  readonly 'recovery-completed': RecoveryCompleted;
  /** A block is durable. */
  readonly 'block-added': { readonly app: string; readonly stream: string; readonly blockId: string; readonly recordCount: number; readonly lsn: number };
  /** The plan of a batch is durable. */
  readonly 'batch-planned': { readonly app: string; readonly batchTime: BatchTime; readonly recordCount: number };
  /** A sink holds a partition. */
  readonly 'partition-committed': {
    readonly app: string;
    readonly batchTime: BatchTime;
    readonly sink: string;
    readonly partitionId: number;
    readonly result: 'committed' | 'duplicate';
  };
  /** The completion of a batch is durable. */
  readonly 'batch-completed': { readonly app: string; readonly batchTime: BatchTime; readonly isRerun: boolean };
  /** A batch is over, or a checkpoint covers some: how long a start would take if the driver died now. */
  readonly 'recovery-estimated': { readonly app: string } & RecoveryEstimate;
  /** A batch is closed by consent; its inputs run in the batch `by`. What a sink holds of it, by partition, may be there twice. */
  readonly 'batch-replaced': {
    readonly app: string;
    readonly epoch: number;
    readonly batchTime: BatchTime;
    readonly by: BatchTime;
    readonly maybeTwice: Readonly<Record<string, readonly number[]>>;
  };
  /** A checkpoint is about to be written. */
  readonly 'checkpoint-started': { readonly app: string; readonly number: number; readonly batchTime: BatchTime };
  /** A checkpoint is durable and anchored in the journal. */
  readonly 'checkpoint-written': { readonly app: string; readonly number: number; readonly batchTime: BatchTime; readonly slots: number };
  /** The disk has no room: receivers pause. */
  readonly 'disk-full': { readonly app: string };
  /** The disk has room again: receivers go on. */
  readonly 'disk-room': { readonly app: string };
}

/** What recovery found of the driver before. */
export interface RecoveryFound {
  readonly app: string;
  readonly epoch: number;
  /** Whether the driver before stopped cleanly, or there was none. */
  readonly isClean: boolean;
  /** Whether the driver before died before it had recovered. */
  readonly diedInRecovery: boolean;
  /** Whether the driver before died inside a checkpoint: parts of one are there that no anchor names. */
  readonly diedInCheckpoint: boolean;
  /** Blocks that are in no plan. */
  readonly blocksWaiting: number;
  /** Batches that were planned and not completed, and how many rows of them the sinks hold. */
  readonly batchesUnfinished: number;
  readonly rowsOfUnfinished: number;
  /** Batches that were completed and are in no checkpoint. */
  readonly batchesToReplay: number;
  /** Bytes of a torn write that were cut. */
  readonly tornBytes: number;
}

/** What a start took. */
export interface RecoveryCompleted {
  readonly app: string;
  readonly epoch: number;
  /** How many batches it ran again. */
  readonly batchesRerun: number;
  /** Milliseconds of `getOrCreate` and of `start()` until batches that had to run again have; not what passed between the two. */
  readonly durationMs: number;
  /** Bytes that it read: log and state. */
  readonly bytes: number;
}

/** How long the next start would take if the driver died now. */
export interface RecoveryEstimate {
  /** Milliseconds of `getOrCreate` and of `start()` until batches that must run again have. The process itself must start before, and the first new batch ends an interval later. */
  readonly ms: number;
  /** How many batches would run again. */
  readonly batches: number;
  /** How many bytes would be read: log and state. */
  readonly bytes: number;
}

/** The name of a channel without its prefix. */
export type DiagnosticName = keyof DiagnosticEvents;

const channels = new Map<DiagnosticName, Channel>();

function channelOf(name: DiagnosticName): Channel {
  const known = channels.get(name) ?? channel(`millrace:${name}`);
  channels.set(name, known);
  return known;
}

/** Publishes an event if anybody listens. */
export function publish<N extends DiagnosticName>(name: N, event: () => DiagnosticEvents[N]): void {
  const target = channelOf(name);
  if (target.hasSubscribers) target.publish(event());
}
