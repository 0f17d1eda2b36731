// The files of a directory as a stream: a partition per piece of a file, or per file where it is compressed or read by a codec.
import { present } from '../../core/assert.ts';
import { leaf, type Producer } from '../../rdd/node.ts';
import { filePartitions, prepareDecoded, prepareLines, type FileCodec } from '../../rdd/text-file.ts';
import { createDirectorySource, type DirectorySettings } from '../../sources/directory-source.ts';
import type { BatchScope, Graph, StreamNode } from '../graph.ts';

/** Adds the files of a directory to the graph. */
export function addFileSource<T>(
  graph: Graph,
  settings: Omit<DirectorySettings, 'hasCodec'>,
  stream: { readonly uid: string | undefined; readonly codec: FileCodec<T> | undefined },
): StreamNode<T> {
  const kind = 'textFileStream';
  const { codec } = stream;
  const hasCodec = codec !== undefined;
  const descriptor = graph.register({ kind, uid: stream.uid, parents: [], isStateful: false, codec: codec?.name ?? 'lines' });
  const { uid } = descriptor;
  graph.addSource({ kind: 'polled', uid, source: createDirectorySource({ ...settings, hasCodec }), isLogged: true });
  return {
    descriptor,
    partitions: (inputs) => inputs.get(uid) ?? 0,
    rdd: (scope: BatchScope) => {
      const places = scope.inputFiles(uid).flatMap((file) => Array.from({ length: filePartitions(file, hasCodec) }, (_, piece) => ({ file, piece })));
      return {
        lineage: leaf(`${kind} ${settings.directory}`),
        partitionCount: places.length,
        async prepare(partition): Promise<Producer<T>> {
          const place = present(places[partition], `partition ${partition} of "${uid}" is in the plan`);
          const path = `${settings.directory}/${place.file.name}`;
          if (codec !== undefined) return prepareDecoded(scope.files, path, { file: place.file, codec });
          // Without a codec the records are the lines.
          return (await prepareLines(scope.files, path, place)) as Producer<unknown> as Producer<T>;
        },
      };
    },
  };
}
