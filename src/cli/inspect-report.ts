// Pure: what a store holds, as lines for people or as an object for programs.
import type { GraphDescriptor } from '../core/graph-descriptor.ts';
import type { Identity } from '../journal/identity.ts';
import { loggedBytes, type Ledger, type LedgerBatch } from '../journal/ledger.ts';

/** A checkpoint that is kept. */
export interface KeptHead {
  readonly number: number;
  readonly batchTime: number;
  /** The last record that was folded into it. */
  readonly lsn: number;
  /** The lowest record that a start from it needs. */
  readonly neededLsn: number;
}

/** A registered savepoint. */
export interface KeptSavepoint extends KeptHead {
  readonly name: string;
}

/** Up to where the log may be cut, and why not further. */
export interface LowWater {
  /** The lowest record that must stay. */
  readonly lsn: number;
  readonly because: string;
}

/** What a store holds. */
export interface Inspection {
  readonly directory: string;
  readonly identity: Pick<Identity, 'app' | 'storeId' | 'epoch' | 'format'>;
  /** The graph that wrote it last; undefined for a store that never opened. */
  readonly graph: GraphDescriptor | undefined;
  readonly codeVersion: string | undefined;
  /** Whether the last driver stopped gracefully. */
  readonly isClean: boolean;
  readonly ledger: Ledger;
  /** Newest first. */
  readonly heads: readonly KeptHead[];
  /** Newest first. */
  readonly savepoints: readonly KeptSavepoint[];
  /** Operators that keep state, as the newest checkpoint has it. */
  readonly operators: readonly { readonly uid: string; readonly kind: string | undefined; readonly keys: number; readonly bytes: number }[];
  readonly log: { readonly segments: number; readonly first: number; readonly last: number; readonly tornBytes: number; readonly lowWater: LowWater };
  /** Files that may be deleted, as far as the log still names their batches. */
  readonly releasedFiles: readonly string[];
  /** Bytes on the disk. */
  readonly bytes: { readonly journal: number; readonly checkpoint: number; readonly ballast: number };
}

/** Up to where the log may be cut, by the checkpoints and savepoints that are kept. */
export function lowWaterOf(heads: readonly KeptHead[], savepoints: readonly KeptSavepoint[] = []): LowWater {
  if (heads.length < 2) return { lsn: 1, because: `nothing is cut before two checkpoints stand: there ${heads.length === 1 ? 'is 1' : 'is none'}` };
  const [first, ...more] = heads;
  let least = first as KeptHead;
  for (const head of more) if (head.neededLsn < least.neededLsn) least = head;
  const because =
    least.neededLsn < least.lsn
      ? `a block that checkpoint ${least.number} has in no completed batch stands there`
      : `checkpoint ${least.number} was folded from all up to there`;
  const oldest = savepoints.reduce<KeptSavepoint | undefined>(
    (found, each) => (found !== undefined && found.neededLsn <= each.neededLsn ? found : each),
    undefined,
  );
  if (oldest !== undefined && oldest.neededLsn < least.neededLsn)
    return { lsn: oldest.neededLsn, because: `the savepoint "${oldest.name}" needs all from there on` };
  return { lsn: least.neededLsn, because };
}

function timeText(ms: number): string {
  return ms === 0 ? 'never' : `${ms} (${new Date(ms).toISOString()})`;
}

/** What waits, by stream. */
function waitingOf({ waiting }: Ledger): readonly { readonly stream: string; readonly blocks: number; readonly records: number; readonly bytes: number }[] {
  return [...new Set(waiting.map(({ stream }) => stream))].map((stream) => {
    const blocks = waiting.filter((block) => block.stream === stream);
    return { stream, blocks: blocks.length, records: blocks.reduce((sum, { recordCount }) => sum + recordCount, 0), bytes: loggedBytes(blocks) };
  });
}

function isUnfinished(batch: LedgerBatch): boolean {
  return batch.completion === undefined;
}

/** The batches that a start would run again. */
function againOf({ ledger, heads }: Inspection): { readonly unfinished: readonly number[]; readonly forState: readonly number[] } {
  const covered = heads[0]?.batchTime ?? 0;
  const times = (batches: readonly LedgerBatch[]): readonly number[] => batches.map(({ batchTime }) => batchTime);
  return {
    unfinished: times(ledger.batches.filter(isUnfinished)),
    forState: times(ledger.batches.filter((batch) => !isUnfinished(batch) && batch.batchTime > covered)),
  };
}

/** A store as lines for people. */
export function inspectLines(found: Inspection): readonly string[] {
  const { identity, graph, codeVersion, isClean, ledger, heads, operators, log, releasedFiles, bytes } = found;
  const again = againOf(found);
  return [
    `store       ${identity.storeId}, application "${identity.app}", format ${identity.format}`,
    `driver      epoch ${identity.epoch}, version ${codeVersion === undefined ? 'unknown' : `"${codeVersion}"`}, ${isClean ? 'stopped gracefully' : 'did not stop gracefully'}`,
    `batches     last planned ${timeText(ledger.lastBatchTime)}, interval ${graph?.batchIntervalMs ?? '?'} ms`,
    `            ${again.unfinished.length} unfinished, ${again.forState.length} to run again for their state only`,
    ...waitingOf(ledger).map(({ stream, blocks, records, bytes: size }) => `waiting     "${stream}": ${blocks} blocks, ${records} records, ${size} bytes`),
    ...ledger.replacing.map(({ by, inputs }) => `replaced    batch ${by} takes what a batch had that it replaces, from ${inputs.size} streams`),
    ...operators.map(
      ({ uid, kind, keys, bytes: size }) => `state       "${uid}" (${kind ?? 'not in the graph'}): ${keys} keys, ${size} bytes in the newest checkpoint`,
    ),
    ...[...ledger.positions].flatMap(([stream, partitions]) =>
      [...partitions].map(([partition, until]) => `position    "${stream}", "${partition}": ${until}`),
    ),
    ...[...ledger.expected].map(
      ([sink, rows]) =>
        `sink        "${sink}": ${rows.size} partitions committed, the last at ${timeText(Math.max(...[...rows.values()].map(({ batchTime }) => batchTime)))}`,
    ),
    ...heads.map(({ number, batchTime, lsn }) => `checkpoint  ${number}: batch ${timeText(batchTime)}, folded from all records up to ${lsn}`),
    `log         records ${log.first} to ${log.last} in ${log.segments} segments, torn ${log.tornBytes} bytes`,
    `low water   record ${log.lowWater.lsn}: ${log.lowWater.because}`,
    ...releasedFiles.map((name) => `released    ${name}`),
    `bytes       journal ${bytes.journal}, checkpoint ${bytes.checkpoint}, ballast ${bytes.ballast}`,
  ];
}

/** A store as an object for programs. */
export function inspectJson(found: Inspection): string {
  const { directory, identity, graph, codeVersion, isClean, ledger, heads, operators, log, releasedFiles, bytes } = found;
  const { app, storeId, epoch, format } = identity;
  return JSON.stringify({
    exitCode: 0,
    directory,
    store: { app, storeId, epoch, format },
    codeVersion,
    isClean,
    batchIntervalMs: graph?.batchIntervalMs,
    lastBatchTime: ledger.lastBatchTime,
    again: againOf(found),
    waiting: waitingOf(ledger),
    replacing: ledger.replacing.map(({ by }) => by),
    operators,
    positions: Object.fromEntries([...ledger.positions].map(([stream, partitions]) => [stream, Object.fromEntries(partitions)])),
    sinks: Object.fromEntries([...ledger.expected].map(([sink, rows]) => [sink, Object.fromEntries(rows)])),
    files: Object.fromEntries([...ledger.files].map(([stream, { names }]) => [stream, { remembered: names.size }])),
    releasedFiles,
    checkpoints: heads,
    log,
    bytes,
  });
}
