// What each path from a source to an output guarantees, computed from what both declare.
import type { Uid } from '../core/ids.ts';
import type { MissedBatches } from '../core/time.ts';
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
}

/** What a program guarantees. */
export interface Explanation {
  /** In the order of the outputs, then of the sources. */
  readonly paths: readonly PathGuarantee[];
  /** The paths as text, a line for each and one for each reason. */
  toString(): string;
}

function outputPromise(output: OutputNode): { readonly isOnce: boolean; readonly because: string } {
  if (output.kind === 'foreach') return { isOnce: false, because: `"${output.uid}" runs again after a crash` };
  const { guarantee } = output.sink;
  if (guarantee === 'transactional') return { isOnce: true, because: `the sink of "${output.uid}" commits each partition once` };
  if (guarantee === 'idempotent') return { isOnce: true, because: `the sink of "${output.uid}" writes the same rows again after a crash` };
  return { isOnce: false, because: `the sink of "${output.uid}" may write rows again after a crash` };
}

function sourcePromise(source: SourceNode): { readonly isOnce: boolean; readonly because: string } {
  const declared = source.kind === 'receiver' ? source.receiver.guarantee : source.source.guarantee;
  const isOnce = declared?.kind === 'exactly-once';
  if (!source.isLogged) {
    return {
      isOnce: false,
      because: `"${source.uid}": its records are not logged (writeAheadLog is false), so a crash loses those that were in no completed batch, and state loses all since the last checkpoint`,
    };
  }
  return {
    isOnce,
    because: `"${source.uid}": ${declared?.because ?? 'its receiver declares no guarantee, so what is in flight at a crash may be lost or come twice'}`,
  };
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
        return { source: source.uid, output: output.uid, guarantee, because: [taken.because, put.because, ...missed] };
      });
  });
  const text = paths
    .map(({ source, output, guarantee, because }) => [`${source} -> ${output}: ${guarantee}`, ...because.map((each) => `  ${each}`), ''].join('\n'))
    .join('');
  return { paths, toString: () => text };
}
