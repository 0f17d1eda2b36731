// saveAsTextFiles: a directory of text files per batch. A rerun of the batch writes the same files again, each replaced as a whole.
import { dirname } from 'node:path';
import { optionError } from '../../core/options.ts';
import { makeDirectoryDurably } from '../../env/make-directory.ts';
import { RDD } from '../../rdd/rdd.ts';
import { saveText } from '../../rdd/save-text.ts';
import type { Graph, StreamNode } from '../graph.ts';
import type { OutputOptions } from '../options.ts';
import { addForeachRdd } from './foreach-rdd.ts';

/** The directory of a batch: `prefix-TIME[.suffix]`, or `TIME[.suffix]` where the prefix is empty or ends with a slash. */
export function textDirectory(names: { readonly prefix: string; readonly suffix: string | undefined }, batchTime: number): string {
  const { prefix, suffix } = names;
  const joint = prefix === '' || prefix.endsWith('/') ? '' : '-';
  return `${prefix}${joint}${batchTime}${suffix === undefined ? '' : `.${suffix}`}`;
}

function requireName(name: string, value: unknown, isSlashAllowed: boolean): void {
  if (typeof value === 'string' && !/\p{Cc}/u.test(value) && (isSlashAllowed || (value !== '' && !value.includes('/')))) return;
  throw optionError('saveAsTextFiles', name, {
    expected: `a string without control characters${isSlashAllowed ? '' : ' and slashes, not empty'}`,
    found: value,
  });
}

/** Adds saveAsTextFiles to the graph. */
export function addSaveAsTextFiles<T>(
  graph: Graph,
  parent: StreamNode<T>,
  output: { readonly prefix: string; readonly suffix: string | undefined; readonly options: OutputOptions },
): void {
  requireName('prefix', output.prefix, true);
  if (output.suffix !== undefined) requireName('suffix', output.suffix, false);
  addForeachRdd(graph, parent, {
    kind: 'saveAsTextFiles',
    options: output.options,
    async f(rdd, batchTime) {
      const directory = textDirectory(output, batchTime);
      const scope = RDD.scopeOf(rdd);
      await makeDirectoryDurably(scope.files, dirname(directory), { purpose: 'the parent of a directory of text files', access: 'public' });
      await saveText(RDD.nodeOf(rdd), directory, { scope, overwrite: true });
    },
  });
}
