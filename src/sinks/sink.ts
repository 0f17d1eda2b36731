// The contract of a sink: it commits the rows of (batch time, partition) in one transaction with a row of its own ledger, and answers `duplicate` when that was done before.
import type { CommitKey, Incarnation, PlanId, StoreId, Uid } from '../core/ids.ts';
import type { BatchTime } from '../core/time.ts';

/** Whom a sink is asked about. */
export interface SinkIdentity {
  /** The application's id. */
  readonly app: string;
  /** The uid of the output. */
  readonly sink: Uid;
  /** The store directory that owns the output. */
  readonly storeId: StoreId;
}

/** One start of a driver, as a sink sees it. */
export interface SinkSession extends SinkIdentity {
  /** Grows at every start of the driver. */
  readonly epoch: number;
  /** The random id of this start. */
  readonly incarnation: Incarnation;
  /** Every partition id that any plan ever used, for stores that can only fence partition by partition. */
  readonly partitions: readonly number[];
}

/** The row that says who may commit. */
export interface SinkFence {
  readonly epoch: number;
  readonly incarnation: Incarnation;
  readonly storeId: StoreId;
}

/** The row of a sink's ledger: what a partition committed last. */
export interface LedgerRow {
  readonly batchTime: BatchTime;
  readonly planId: PlanId;
  readonly epoch: number;
  /** 32 hex digits over the encoded rows. */
  readonly fingerprint: string;
  /** How many rows were committed. */
  readonly rows: number;
}

/** What a sink holds for one identity. */
export interface SinkView {
  readonly fence?: SinkFence;
  /** The ledger row of each partition that ever committed. */
  readonly rows: ReadonlyMap<number, LedgerRow>;
}

/** Rows made ready for a commit. */
export interface PreparedRows {
  /** 32 hex digits: the first 16 bytes of SHA-256 over the encoded rows in partition order. */
  readonly fingerprint: string;
  readonly rowCount: number;
  /** What `commit` of the same sink writes; opaque to everybody else. */
  readonly payload: unknown;
}

/** What goes into the ledger row besides the key. */
export interface CommitRecord {
  readonly planId: PlanId;
  readonly fingerprint: string;
  /** The batch time of the row this commit follows; absent when the partition never committed. */
  readonly previous?: BatchTime;
}

/** A commit that a store directory knows to be complete. */
export interface KnownCommit {
  readonly batchTime: BatchTime;
  readonly partitionId: number;
  readonly planId: PlanId;
  readonly fingerprint: string;
}

/** Something that a sink holds, or does not hold, against what the store directory says. */
export interface SinkFinding {
  /** `missing`: what was committed is not there. `doubled`: it is there twice. `foreign`: something else is there. `damaged`: it is there with other bytes. */
  readonly kind: 'missing' | 'doubled' | 'foreign' | 'damaged';
  /** What, and what was expected, for people. */
  readonly what: string;
}

/** What a sink says of its data. */
export interface SinkAudit {
  /** How many commits were compared with their data. */
  readonly checked: number;
  /** How many commits have no data any more that a reader may have taken away. */
  readonly taken: number;
  readonly findings: readonly SinkFinding[];
}

/**
 * An output that commits each partition of each batch at most once.
 *
 * @typeParam T - The rows it takes.
 */
export interface Sink<in T> {
  /** What the sink can promise: only `transactional` has a ledger that is compared. */
  readonly guarantee: 'transactional' | 'idempotent' | 'at-least-once';
  /** Reads fence and ledger rows and changes nothing; an output that was never used is an empty view. */
  look(identity: SinkIdentity): Promise<SinkView>;
  /** Claims the fence, which needs an epoch strictly greater than the one it holds, then reads. From here on no older driver can commit. */
  open(session: SinkSession): Promise<SinkView>;
  /** Encodes rows and computes their fingerprint. Pure; needs no `open`. */
  prepare(rows: readonly T[]): PreparedRows;
  /**
   * Writes rows and ledger row in one transaction, as compare-and-set on the row before. Resolves when both are durable.
   *
   * @returns `duplicate` if this very commit stands already.
   */
  commit(key: CommitKey, rows: PreparedRows, record: CommitRecord): Promise<'committed' | 'duplicate'>;
  /**
   * The rows of a commit as text, a text for each row: those that the sink holds, and those that were made ready now. For the message that says in which row a rerun differs. Undefined where they
   * cannot be read back; left out where they never can.
   *
   * @param prepared - Undefined where the rerun gave no rows.
   */
  readBack?(key: CommitKey, prepared: PreparedRows | undefined): Promise<{ readonly before: readonly string[]; readonly now: readonly string[] } | undefined>;
  /**
   * Compares the data with what was committed; reads only, needs no `open`. `millrace verify` calls it. Left out where rows do not tell which batch they are of: then the ledger rows alone are compared.
   *
   * @param known - The complete commits that the log of the store directory still names, and the last one of each partition.
   */
  verify?(identity: SinkIdentity, known: readonly KnownCommit[]): Promise<SinkAudit>;
  /** Closes it; safe to call again. */
  close(): Promise<void>;
}
