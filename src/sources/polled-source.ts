// A source that is asked at each batch instead of pushing: what it gives is journaled before the batch is planned, or is in the plan itself.
import type { Env } from '../env/env.ts';
import type { InputFile, SourcePositioned } from '../journal/events.ts';
import type { TakenFiles } from '../journal/ledger.ts';
import type { SourceOffer } from '../journal/plan-batch.ts';
import type { BuiltBlock } from './block-builder.ts';
import type { SourceGuarantee } from './receiver.ts';

/** What the engine gives to a polled source. */
export interface PolledContext {
  readonly env: Env;
  /** The uid of the stream. */
  readonly stream: string;
  /** More than this is not taken into one batch. */
  readonly batchBytesMax: number;
  /** What the ledger knows of the files of the stream; undefined if it never began. */
  readonly taken: TakenFiles | undefined;
  /** Journals a part of the beginning of the source; resolves when it is durable. */
  position(part: Pick<SourcePositioned, 'files' | 'isComplete'>): Promise<void>;
  /** Journals records as a block: each followed by a line feed, in canonical JSON. Resolves when it is durable. */
  addBlock(block: Pick<BuiltBlock, 'pieces' | 'bytes' | 'recordCount'>): Promise<void>;
}

/** A source that is asked at each batch. */
export interface PolledSource {
  readonly guarantee: SourceGuarantee;
  /** Called when the context starts, before the first batch: settles where the source begins. */
  begin(context: PolledContext): Promise<void>;
  /** Called before each batch is planned. */
  poll(context: PolledContext): Promise<SourceOffer>;
  /** How many partitions files of this source make. */
  filePartitions(files: readonly InputFile[]): number;
}
