// Pure: what does batch T consist of? The blocks that wait, in the order of the log, and the files that were found, as far as the limits of a batch reach.
import type { Uid } from '../core/ids.ts';
import type { BatchTime } from '../core/time.ts';
import type { BatchInput, BatchPlanned, InputFile } from './events.ts';
import type { Ledger, LedgerInput, LoggedBlock, Replacement } from './ledger.ts';
import { bytesOf } from './ledger.ts';

/** How many inputs each stream gives to a batch: blocks, or partitions of its files. */
export type InputCounts = ReadonlyMap<Uid, number>;

/** What a source that is asked at each batch has found. */
export interface SourceOffer {
  /** Files that may be taken, in order. */
  readonly files: readonly InputFile[];
  readonly filesGone: readonly string[];
}

/** How much a batch takes. */
export interface BatchLimits {
  readonly recordsMax: number;
  readonly bytesMax: number;
}

/** What the planner is told besides the ledger. */
export interface PlanRequest {
  readonly batchTime: BatchTime;
  /** 32 random hex digits. */
  readonly planId: string;
  /** The uids of all streams of the graph. */
  readonly streams: readonly Uid[];
  /** By uid of the stream. */
  readonly offers: ReadonlyMap<Uid, SourceOffer>;
  readonly limits: BatchLimits;
  /** How many partitions the files of a stream make. */
  readonly filePartitions: (stream: Uid, files: readonly InputFile[]) => number;
  /** The partition counts of sinks and shuffles, given how many inputs each stream has. */
  readonly partitionsOf: (inputs: InputCounts) => { readonly outputs: ReadonlyMap<Uid, number>; readonly shuffles: ReadonlyMap<Uid, number> };
  readonly graphFingerprint: string;
  readonly codeVersion: string;
}

/** What is left of the limits. */
interface Room {
  records: number;
  bytes: number;
}

/** Blocks in the order of the log. The first one is always taken, so that one larger than the limit does not wait for ever. */
function takeBlocks(ledger: Ledger, request: PlanRequest, room: Room): readonly LoggedBlock[] {
  const taken: LoggedBlock[] = [];
  for (const block of ledger.waiting) {
    if (!request.streams.includes(block.stream)) continue;
    room.records -= block.recordCount;
    room.bytes -= bytesOf(block);
    if (taken.length > 0 && (room.records < 0 || room.bytes < 0)) break;
    taken.push(block);
  }
  return taken;
}

/** Files in the order of their offer. The first one of each stream is always taken. */
function takeFiles(files: readonly InputFile[], room: Room): readonly InputFile[] {
  const taken: InputFile[] = [];
  for (const file of files) {
    room.bytes -= file.size;
    if (taken.length > 0 && room.bytes < 0) break;
    taken.push(file);
  }
  return taken;
}

function inputOf(blocks: readonly LoggedBlock[], offer: SourceOffer | undefined, room: Room): BatchInput {
  const files = takeFiles(offer?.files ?? [], room);
  const filesGone = offer?.filesGone ?? [];
  return {
    blocks: blocks.map((block) => block.blockId),
    ...(files.length === 0 ? {} : { files }),
    ...(filesGone.length === 0 ? {} : { filesGone }),
  };
}

/** What is settled once it is known which inputs a batch has. */
function planOf(request: Omit<PlanRequest, 'offers' | 'limits' | 'streams'>, inputs: ReadonlyMap<Uid, BatchInput>): BatchPlanned {
  const { batchTime, planId, graphFingerprint, codeVersion } = request;
  const counts = new Map(
    [...inputs].map(([stream, input]) => [stream, input.blocks.length + (input.files === undefined ? 0 : request.filePartitions(stream, input.files))]),
  );
  const { outputs, shuffles } = request.partitionsOf(counts);
  return { kind: 'batch-planned', batchTime, planId, inputs, outputs, shuffles, graphFingerprint, codeVersion };
}

/** Makes the plan of a batch that takes the inputs of one that was replaced: all of them, whatever the limits, since the batch before had them. */
export function planReplacement(replacement: Replacement, request: Omit<PlanRequest, 'batchTime' | 'offers' | 'limits'>): BatchPlanned {
  const nothing: LedgerInput = { blocks: [], files: [] };
  const inputs = request.streams.map((stream) => {
    const { blocks, files } = replacement.inputs.get(stream) ?? nothing;
    return [stream, { blocks: blocks.map(({ blockId }) => blockId), ...(files.length === 0 ? {} : { files }) }] as const;
  });
  return planOf({ ...request, batchTime: replacement.by }, new Map(inputs));
}

/** Makes the plan of a batch. */
export function planBatch(ledger: Ledger, request: PlanRequest): BatchPlanned {
  const { streams, offers, limits } = request;
  const room = { records: limits.recordsMax, bytes: limits.bytesMax };
  const blocks = takeBlocks(ledger, request, room);
  const inputs = new Map(
    streams.map((stream) => [
      stream,
      inputOf(
        blocks.filter((block) => block.stream === stream),
        offers.get(stream),
        room,
      ),
    ]),
  );
  return planOf(request, inputs);
}
