// print: the first records of each batch, in Spark's form.
import { inspect } from 'node:util';
import { wholeOption } from '../../core/options.ts';
import type { Output } from '../../env/env.ts';
import type { Graph, StreamNode } from '../graph.ts';
import type { OutputOptions } from '../options.ts';
import { addForeachRdd } from './foreach-rdd.ts';

/** How many records `print` shows by default. */
export const PRINT_RECORDS = 10;

const RULE = '-'.repeat(43);

/** The text that `print` shows for a batch. */
export function printedBatch(batchTime: number, records: readonly unknown[], count: number): string {
  const lines = records.slice(0, count).map((record) => (typeof record === 'string' ? record : inspect(record, { breakLength: Infinity })));
  if (records.length > count) lines.push('...');
  return [RULE, `Time: ${batchTime} ms`, RULE, ...lines, '', ''].join('\n');
}

/** Adds print to the graph. */
export function addPrint<T>(
  graph: Graph,
  parent: StreamNode<T>,
  output: { readonly count: number; readonly options: OutputOptions; readonly to: () => Output },
): void {
  const count = wholeOption('print', 'count', { value: output.count, fallback: PRINT_RECORDS, min: 0 });
  addForeachRdd(graph, parent, {
    kind: 'print',
    options: output.options,
    f: async (rdd, batchTime) => output.to().write(printedBatch(batchTime, await rdd.take(count + 1), count)),
  });
}
