// The typed events of the journal: the only truth about what came in and what was decided. Data only, never closures or class instances.
import type { GraphDescriptor } from '../core/graph-descriptor.ts';
import type { BlockId, Incarnation, PlanId, StoreId, Uid } from '../core/ids.ts';
import type { BatchTime } from '../core/time.ts';

/** Records of one source partition: from the first position up to, not including, `until`. */
export interface SourceRange {
  /** The name of the source partition. */
  readonly partition: string;
  readonly from: number;
  readonly until: number;
}

/** A driver started. */
export interface Opened {
  readonly kind: 'opened';
  readonly epoch: number;
  readonly incarnation: Incarnation;
  readonly storeId: StoreId;
  /** The format version of the store. */
  readonly format: number;
  readonly app: string;
  readonly codeVersion: string;
  readonly graph: GraphDescriptor;
}

/** A receiver's records are durable. */
export interface BlockAdded {
  readonly kind: 'block-added';
  readonly stream: Uid;
  readonly blockId: BlockId;
  readonly recordCount: number;
  /** How the records stand in the payload. */
  readonly codec: string;
  readonly ranges?: readonly SourceRange[] | undefined;
  /** How many bytes the records have, if they are in the memory of the driver only, because their stream is not logged: the event then says that they came, and a crash loses them. */
  readonly unloggedBytes?: number | undefined;
  /** The records, each followed by a line feed. */
  readonly payload: readonly Uint8Array[];
}

/** A file as it was when it was planned. */
export interface InputFile {
  /** Its path below the directory of its stream; the whole path for a dataset without a stream. */
  readonly name: string;
  /** In bytes. */
  readonly size: number;
  /** The number by which the file system knows it. */
  readonly inode: string;
  /** How many bytes each piece has, but for the last. */
  readonly pieceBytes: number;
  /** The first 16 bytes of SHA-256 over each piece, as hex digits. */
  readonly hashes: readonly string[];
}

/** What one stream gives to a batch. */
export interface BatchInput {
  readonly blocks: readonly BlockId[];
  readonly files?: readonly InputFile[] | undefined;
  /** Names of files that were taken and are listed no more: their names may come again. */
  readonly filesGone?: readonly string[] | undefined;
}

/** Where a replayable source begins. A directory of files: the names that were there before and are not taken. */
export interface SourcePositioned {
  readonly kind: 'source-positioned';
  readonly stream: Uid;
  readonly files: readonly string[];
  /** Whether this was the last event about this beginning. */
  readonly isComplete: boolean;
}

/** What a batch consists of, fixed before anything of it runs. */
export interface BatchPlanned {
  readonly kind: 'batch-planned';
  readonly batchTime: BatchTime;
  readonly planId: PlanId;
  /** By uid of the stream. */
  readonly inputs: ReadonlyMap<Uid, BatchInput>;
  /** How many partitions each sink gets, by uid of the output. */
  readonly outputs: ReadonlyMap<Uid, number>;
  /** How many partitions each shuffle makes, by uid of the operator. */
  readonly shuffles: ReadonlyMap<Uid, number>;
  readonly graphFingerprint: string;
  readonly codeVersion: string;
}

/** Every output of a batch has run and every partition with rows is committed. */
export interface BatchCompleted {
  readonly kind: 'batch-completed';
  readonly batchTime: BatchTime;
  /** The fingerprint of each partition that wrote, by uid of the output and partition id. */
  readonly written: ReadonlyMap<Uid, ReadonlyMap<number, string>>;
  /** SHA-256 over the state the batch changed. */
  readonly stateDigest: string;
}

/**
 * A batch that was bound to other code is closed by consent; its inputs wait for the plan of the batch `by`, or of an earlier one that was promised to newer inputs. Newer batches are closed before older ones, so that what is left at any
 * point are the oldest.
 */
export interface BatchReplaced {
  readonly kind: 'batch-replaced';
  readonly batchTime: BatchTime;
  /** The time of one more batch to come, later than every plan and every such time before. */
  readonly by: BatchTime;
  /** The fingerprint of each partition that the sinks hold of it, by uid of the output and partition id. */
  readonly committed: ReadonlyMap<Uid, ReadonlyMap<number, string>>;
}

/** What was given up by consent, by uid. */
export interface Forgotten {
  readonly kind: 'forgotten';
  /** Operators whose state is dropped. */
  readonly states: readonly Uid[];
  /** Sinks whose rows are expected no more. */
  readonly sinks: readonly Uid[];
  /** Streams whose waiting inputs are dropped. Their positions, and the names of their files, stay. */
  readonly streams: readonly Uid[];
}

/** A checkpoint is durable: the anchor that tells which one must be in the store. */
export interface CheckpointWritten {
  readonly kind: 'checkpoint';
  readonly number: number;
  readonly batchTime: BatchTime;
  readonly lsn: number;
  readonly headHash: string;
}

/** The driver stopped cleanly. */
export interface Closed {
  readonly kind: 'closed';
}

/** Any event of the journal. */
export type JournalEvent = Opened | BlockAdded | BatchPlanned | BatchCompleted | CheckpointWritten | Closed | SourcePositioned | Forgotten | BatchReplaced;
