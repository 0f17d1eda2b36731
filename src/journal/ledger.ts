// The ledger: what the durable events of the journal come to. It is the only memory of what waits, what is planned, what was received and what the sinks must hold.
import type { BlockId, PlanId, Uid } from '../core/ids.ts';
import { array, boolean, count, dictionary, object, optional, string, type Shape } from '../core/shape.ts';
import { toBatchTime, type BatchTime } from '../core/time.ts';
import type { LogPosition } from '../wal/read-at.ts';
import { inputFileShape } from './event-codec.ts';
import type { InputFile } from './events.ts';

/** A block and where its bytes stand. */
export interface LoggedBlock {
  readonly stream: Uid;
  readonly blockId: BlockId;
  readonly recordCount: number;
  readonly codec: string;
  readonly position: LogPosition;
  /** How many bytes the records have, if they are not in the log. */
  readonly unloggedBytes?: number | undefined;
}

/** What a stream gives to a batch. */
export interface LedgerInput {
  /** In the order of the log. */
  readonly blocks: readonly LoggedBlock[];
  readonly files: readonly InputFile[];
}

/** What is known of the files of a stream. */
export interface TakenFiles {
  /** Whether it is settled which files were there before the stream. */
  isPositioned: boolean;
  /** The names that are not taken any more, because they were taken or there before. Each is forgotten once it is listed no more. */
  readonly names: Set<string>;
}

/** What a completed batch put out. */
export interface Completion {
  readonly written: ReadonlyMap<Uid, ReadonlyMap<number, string>>;
  readonly stateDigest: string;
}

/** A planned batch that no checkpoint covers. */
export interface LedgerBatch {
  readonly batchTime: BatchTime;
  readonly planId: PlanId;
  readonly inputs: ReadonlyMap<Uid, LedgerInput>;
  readonly outputs: ReadonlyMap<Uid, number>;
  readonly shuffles: ReadonlyMap<Uid, number>;
  readonly graphFingerprint: string;
  readonly codeVersion: string;
  /** There once the batch is completed. */
  completion: Completion | undefined;
}

/** What a partition of a sink committed last. */
export interface ExpectedRow {
  readonly batchTime: BatchTime;
  readonly planId: PlanId;
  readonly fingerprint: string;
}

/** The inputs of a batch that was replaced, until the batch that takes them is planned. */
export interface Replacement {
  /** The batch that takes them. */
  readonly by: BatchTime;
  readonly inputs: ReadonlyMap<Uid, LedgerInput>;
}

/** When state was dropped by consent. */
export interface DroppedState {
  /** The record that says so. */
  readonly lsn: number;
  /** The last batch planned before it. */
  readonly batchTime: BatchTime;
}

/** What was ever given up by consent. A consent that is given again, because a supervisor repeats the command, asks for nothing more. */
export interface GivenUp {
  readonly states: Map<Uid, DroppedState>;
  readonly sinks: Set<Uid>;
  readonly streams: Set<Uid>;
  /** Times of batches that were replaced. */
  readonly batches: Set<number>;
}

/** The fold of the journal. Changed by `applyEvent` and `forgetBatches` only. */
export interface Ledger {
  /** The last record that was folded in. */
  lsn: number;
  /** The last planned batch; 0 when there was none. */
  lastBatchTime: BatchTime;
  /** Epoch of the last `opened`. */
  epoch: number;
  /** The newest block, so that one that is already there is noticed. */
  lastBlock: { readonly epoch: number; readonly counter: number };
  /** Blocks that are in no plan, in the order of the log. */
  waiting: LoggedBlock[];
  /** Bytes of the blocks in no plan, as they stand in the log. */
  waitingBytes: number;
  /** Planned batches that no checkpoint covers, oldest first. */
  batches: readonly LedgerBatch[];
  /** The position behind the last record received, per stream and source partition. */
  positions: Map<Uid, Map<string, number>>;
  /** The files of each stream that reads files. */
  files: Map<Uid, TakenFiles>;
  /** What each partition of each sink committed last. */
  expected: Map<Uid, Map<number, ExpectedRow>>;
  /** The largest partition count any plan gave to a sink. */
  partitionsMax: Map<Uid, number>;
  /** Inputs of replaced batches that no plan took yet, oldest first. The next plans are theirs. */
  replacing: readonly Replacement[];
  readonly givenUp: GivenUp;
}

/** Nothing was ever given up. */
function nothingGivenUp(): GivenUp {
  return { states: new Map(), sinks: new Set(), streams: new Set(), batches: new Set() };
}

/** The ledger of a journal without events. */
export function emptyLedger(): Ledger {
  return {
    lsn: 0,
    lastBatchTime: toBatchTime(0),
    epoch: 0,
    lastBlock: { epoch: 0, counter: 0 },
    waiting: [],
    waitingBytes: 0,
    batches: [],
    positions: new Map(),
    files: new Map(),
    expected: new Map(),
    partitionsMax: new Map(),
    replacing: [],
    givenUp: nothingGivenUp(),
  };
}

const positionShape: Shape<LogPosition> = object<{ [K in keyof LogPosition]: LogPosition[K] }>({
  lsn: count,
  segment: count,
  offset: count,
  frameBytes: count,
});

const blockShape: Shape<LoggedBlock> = object<{ [K in keyof Required<LoggedBlock>]: LoggedBlock[K] }>({
  stream: string,
  blockId: string,
  recordCount: count,
  codec: string,
  position: positionShape,
  unloggedBytes: optional(count),
});

const rowShape = object<{ batchTime: number; planId: string; fingerprint: string }>({ batchTime: count, planId: string, fingerprint: string });

const completionShape = object<{ written: ReadonlyMap<string, ReadonlyMap<string, string>>; stateDigest: string }>({
  written: dictionary(dictionary(string)),
  stateDigest: string,
});

const inputShape: Shape<LedgerInput> = object<{ [K in keyof LedgerInput]: LedgerInput[K] }>({ blocks: array(blockShape), files: array(inputFileShape) });

const takenShape = object<{ isPositioned: boolean; names: readonly string[] }>({ isPositioned: boolean, names: array(string) });

const batchShape = object<{
  batchTime: number;
  planId: string;
  inputs: ReadonlyMap<string, LedgerInput>;
  outputs: ReadonlyMap<string, number>;
  shuffles: ReadonlyMap<string, number>;
  graphFingerprint: string;
  codeVersion: string;
  completion: { written: ReadonlyMap<string, ReadonlyMap<string, string>>; stateDigest: string } | undefined;
}>({
  batchTime: count,
  planId: string,
  inputs: dictionary(inputShape),
  outputs: dictionary(count),
  shuffles: dictionary(count),
  graphFingerprint: string,
  codeVersion: string,
  completion: optional(completionShape),
});

const replacementShape = object<{ by: number; inputs: ReadonlyMap<string, LedgerInput> }>({ by: count, inputs: dictionary(inputShape) });

const droppedShape = object<{ lsn: number; batchTime: number }>({ lsn: count, batchTime: count });

const givenUpShape = object<{
  states: ReadonlyMap<string, { lsn: number; batchTime: number }>;
  sinks: readonly string[];
  streams: readonly string[];
  batches: readonly number[];
}>({ states: dictionary(droppedShape), sinks: array(string), streams: array(string), batches: array(count) });

const ledgerShape = object<{
  lsn: number;
  lastBatchTime: number;
  epoch: number;
  lastBlock: { epoch: number; counter: number };
  waiting: readonly LoggedBlock[];
  batches: readonly ReturnType<typeof batchShape>[];
  positions: ReadonlyMap<string, ReadonlyMap<string, number>>;
  files: ReadonlyMap<string, ReturnType<typeof takenShape>>;
  expected: ReadonlyMap<string, ReadonlyMap<string, ReturnType<typeof rowShape>>>;
  partitionsMax: ReadonlyMap<string, number>;
  replacing: readonly ReturnType<typeof replacementShape>[] | undefined;
  givenUp: ReturnType<typeof givenUpShape> | undefined;
}>({
  lsn: count,
  lastBatchTime: count,
  epoch: count,
  lastBlock: object<{ epoch: number; counter: number }>({ epoch: count, counter: count }),
  waiting: array(blockShape),
  batches: array(batchShape),
  positions: dictionary(dictionary(count)),
  files: dictionary(takenShape),
  expected: dictionary(dictionary(rowShape)),
  partitionsMax: dictionary(count),
  replacing: optional(array(replacementShape)),
  givenUp: optional(givenUpShape),
});

function numberKeys<T, U>(map: ReadonlyMap<string, T>, convert: (value: T) => U): Map<number, U> {
  return new Map([...map].map(([key, value]) => [Number(key), convert(value)]));
}

function plain(_key: string, value: unknown): unknown {
  if (value instanceof Map) return Object.fromEntries<unknown>(value.entries());
  return value instanceof Set ? [...(value as ReadonlySet<unknown>)] : value;
}

/** The bytes of a ledger: JSON, maps as objects, sets as arrays. */
export function encodeLedger(ledger: Ledger): Uint8Array {
  return Buffer.from(JSON.stringify({ ...ledger, waitingBytes: undefined }, plain));
}

/** The bytes of a block as it stands in the log, or in memory. */
export function bytesOf({ position, unloggedBytes = 0 }: Pick<LoggedBlock, 'position' | 'unloggedBytes'>): number {
  return position.frameBytes + unloggedBytes;
}

/** The bytes of blocks as they stand in the log, or in memory. */
export function loggedBytes(blocks: readonly LoggedBlock[]): number {
  return blocks.reduce((sum, block) => sum + bytesOf(block), 0);
}

function toGivenUp({ states, sinks, streams, batches }: ReturnType<typeof givenUpShape>): GivenUp {
  return {
    states: new Map([...states].map(([uid, { lsn, batchTime }]) => [uid, { lsn, batchTime: toBatchTime(batchTime) }])),
    sinks: new Set(sinks),
    streams: new Set(streams),
    batches: new Set(batches),
  };
}

/** Reads a ledger back. Throws if the bytes are none. */
export function decodeLedger(bytes: Uint8Array): Ledger {
  const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
  const found = ledgerShape(value, 'ledger');
  return {
    ...found,
    waiting: [...found.waiting],
    waitingBytes: loggedBytes(found.waiting),
    lastBatchTime: toBatchTime(found.lastBatchTime),
    batches: found.batches.map((batch) => ({
      ...batch,
      batchTime: toBatchTime(batch.batchTime),
      completion:
        batch.completion === undefined
          ? undefined
          : {
              stateDigest: batch.completion.stateDigest,
              written: new Map([...batch.completion.written].map(([sink, partitions]) => [sink, numberKeys(partitions, (fingerprint) => fingerprint)])),
            },
    })),
    positions: new Map([...found.positions].map(([stream, partitions]) => [stream, new Map(partitions)])),
    files: new Map([...found.files].map(([stream, { isPositioned, names }]) => [stream, { isPositioned, names: new Set(names) }])),
    expected: new Map([...found.expected].map(([sink, rows]) => [sink, numberKeys(rows, (row) => ({ ...row, batchTime: toBatchTime(row.batchTime) }))])),
    partitionsMax: new Map(found.partitionsMax),
    replacing: (found.replacing ?? []).map(({ by, inputs }) => ({ by: toBatchTime(by), inputs })),
    givenUp: found.givenUp === undefined ? nothingGivenUp() : toGivenUp(found.givenUp),
  };
}
