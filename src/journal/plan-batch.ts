// Pure: what does batch T consist of? All blocks that wait, stream by stream in the order of the log.
import type { Uid } from '../core/ids.ts';
import type { BatchTime } from '../core/time.ts';
import type { BatchPlanned } from './events.ts';
import type { Ledger } from './ledger.ts';

/** What the planner is told besides the ledger. */
export interface PlanRequest {
  readonly batchTime: BatchTime;
  /** 32 random hex digits. */
  readonly planId: string;
  /** The uids of all streams of the graph. */
  readonly streams: readonly Uid[];
  /** The partition counts of sinks and shuffles, given how many blocks each stream has. */
  readonly partitionsOf: (blocks: ReadonlyMap<Uid, number>) => { readonly outputs: ReadonlyMap<Uid, number>; readonly shuffles: ReadonlyMap<Uid, number> };
  readonly graphFingerprint: string;
  readonly codeVersion: string;
}

/** Makes the plan of a batch. */
export function planBatch(ledger: Ledger, request: PlanRequest): BatchPlanned {
  const { batchTime, planId, streams, graphFingerprint, codeVersion } = request;
  const inputs = new Map(
    streams.map((stream) => [stream, { blocks: ledger.waiting.filter((block) => block.stream === stream).map((block) => block.blockId) }]),
  );
  const { outputs, shuffles } = request.partitionsOf(new Map([...inputs].map(([stream, input]) => [stream, input.blocks.length])));
  return { kind: 'batch-planned', batchTime, planId, inputs, outputs, shuffles, graphFingerprint, codeVersion };
}
