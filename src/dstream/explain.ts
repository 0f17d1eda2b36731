// What each path from a source to an output guarantees, computed from what both declare.
import type { Uid } from '../core/ids.ts';
import type { MissedBatches } from '../core/time.ts';
import { UsageError } from '../core/errors.ts';
import type { SourceGuarantee } from '../sources/receiver.ts';
import type { Graph, OutputNode, SourceNode } from './graph.ts';

/** The guarantee of a path: each record counts once, or once or more, or may be lost or come twice where a crash met it in flight. */
export type Guarantee = 'exactly-once' | 'at-least-once' | 'best-effort';

/** A path from a source to an output. */
export interface PathGuarantee {
  /** The uid of the stream. */
  readonly source: Uid;
  /** The uid of the output. */
  readonly output: Uid;
  readonly guarantee: Guarantee;
  /** What it rests on, or what weakens it. */
  readonly because: readonly string[];
  /** What would make it exactly-once, as instructions: for each weakness that a remedy is known for. */
  readonly remedies: readonly string[];
}

/** What a program guarantees. */
export interface Explanation {
  /** In the order of the outputs, then of the sources. */
  readonly paths: readonly PathGuarantee[];
  /** The paths as text, a line for each and one for each reason. */
  toString(): string;
}

/** What one end of a path promises. */
interface EndPromise {
  readonly isOnce: boolean;
  readonly because: string;
  readonly remedy?: string | undefined;
}

const SAVE_TO = 'write with saveTo into a transactional sink';

function outputPromise(output: OutputNode): EndPromise {
  if (output.kind === 'foreach') return { isOnce: false, because: `"${output.uid}" runs again after a crash`, remedy: `"${output.uid}": ${SAVE_TO}` };
  const { guarantee } = output.sink;
  if (guarantee === 'transactional') return { isOnce: true, because: `the sink of "${output.uid}" commits each partition once` };
  if (guarantee === 'idempotent') return { isOnce: true, because: `the sink of "${output.uid}" writes the same rows again after a crash` };
  return { isOnce: false, because: `the sink of "${output.uid}" may write rows again after a crash`, remedy: `"${output.uid}": ${SAVE_TO}` };
}

const UNDECLARED: SourceGuarantee = {
  kind: 'best-effort',
  because: 'its receiver declares no guarantee, so what is in flight at a crash may be lost or come twice',
  remedy: 'store each record with its range, begin at position(), and declare the guarantee of the receiver',
};

function sourcePromise(source: SourceNode): EndPromise {
  if (!source.isLogged) {
    return {
      isOnce: false,
      because: `"${source.uid}": its records are not logged (writeAheadLog is false), so a crash loses those that were in no completed batch, and state loses all since the last checkpoint`,
      remedy: `"${source.uid}": leave writeAheadLog at true`,
    };
  }
  const { kind, because, remedy } = (source.kind === 'receiver' ? source.receiver.guarantee : source.source.guarantee) ?? UNDECLARED;
  return { isOnce: kind === 'exactly-once', because: `"${source.uid}": ${because}`, remedy: remedy === undefined ? undefined : `"${source.uid}": ${remedy}` };
}

/** All operators that an operator is made of, itself included. */
function ancestors(graph: Graph, uid: Uid): ReadonlySet<Uid> {
  const parents = new Map(graph.descriptor.operators.map((operator) => [operator.uid, operator.parents]));
  const found = new Set<Uid>();
  const visit = (each: Uid): void => {
    if (found.has(each)) return;
    found.add(each);
    for (const parent of parents.get(each) ?? []) visit(parent);
  };
  visit(uid);
  return found;
}

/** What operators on a path make of intervals in which no driver runs. */
function missedReasons(graph: Graph, reached: ReadonlySet<Uid>, missedBatches: MissedBatches): readonly string[] {
  if (missedBatches === 'run') return [];
  return graph.descriptor.operators
    .filter(({ uid, kind }) => kind === 'updateStateByKey' && reached.has(uid))
    .map(({ uid }) => `"${uid}": its function is not called for intervals that pass while no driver runs (missedBatches is 'skip')`);
}

/**
 * Computes the guarantee of each path.
 *
 * @param missedBatches - What becomes of the intervals that pass while no driver runs.
 */
export function explainGraph(graph: Graph, missedBatches: MissedBatches): Explanation {
  const paths = graph.outputs.flatMap((output) => {
    const reached = ancestors(graph, output.uid);
    const put = outputPromise(output);
    const missed = missedReasons(graph, reached, missedBatches);
    return graph.sources
      .filter(({ uid }) => reached.has(uid))
      .map((source): PathGuarantee => {
        const taken = sourcePromise(source);
        const guarantee = !taken.isOnce ? 'best-effort' : put.isOnce ? 'exactly-once' : 'at-least-once';
        const remedies = [taken, put].flatMap(({ isOnce, remedy }) => (isOnce || remedy === undefined ? [] : [remedy]));
        return { source: source.uid, output: output.uid, guarantee, because: [taken.because, put.because, ...missed], remedies };
      });
  });
  const text = paths.map(pathText).join('');
  return { paths, toString: () => text };
}

function pathText({ source, output, guarantee, because, remedies }: PathGuarantee): string {
  const lines = [...because, ...remedies.map((remedy) => `for exactly-once: ${remedy}`)];
  return [`${source} -> ${output}: ${guarantee}`, ...lines.map((line) => `  ${line}`), ''].join('\n');
}

/**
 * Refuses a program of which an output must be exactly-once and is not.
 *
 * @throws {UsageError} Naming the path, what weakens it, and what would mend it.
 */
export function requireExactlyOnce(graph: Graph, { paths }: Explanation): void {
  for (const { uid, isExactlyOnce } of graph.outputs) {
    const weaker = isExactlyOnce ? paths.find(({ output, guarantee }) => output === uid && guarantee !== 'exactly-once') : undefined;
    if (weaker === undefined) continue;
    const { source, guarantee, because, remedies } = weaker;
    const mend = remedies.length === 0 ? '' : `. For exactly-once: ${remedies.join('; ')}`;
    throw new UsageError(
      'STREAM_GUARANTEE',
      `Cannot start the context as each record must count exactly once in "${uid}" (exactlyOnce is true): from "${source}" it is ${guarantee}. ${because.join('; ')}${mend}`,
    );
  }
}
