// A dataset as text files in a directory of its own: part-00000, part-00001, ..., and _SUCCESS when all are there. Each file appears whole, by rename.
import { dirname } from 'node:path';
import { UsageError } from '../core/errors.ts';
import { encodeJson } from '../core/json-codec.ts';
import type { FileHandle, FileSystem } from '../env/file-system.ts';
import { createSynced } from '../wal/create-synced.ts';
import { writeFully } from '../wal/write-fully.ts';
import type { Producer, RddNode } from './node.ts';
import type { RddScope } from './scope.ts';

const SUCCESS = '_SUCCESS';
const PART_DIGITS = 5;
const CHUNK_CHARACTERS = 256 * 1024;

/** How a record stands in a text file: a string as it is, anything else as canonical JSON. */
export function recordText(record: unknown): string {
  return typeof record === 'string' ? record : encodeJson(record);
}

/** Options of `saveAsTextFile`. */
export interface SaveTextOptions {
  /**
   * Whether files of an earlier run are replaced. Otherwise a directory that is there already is an error.
   *
   * @defaultValue false
   */
  readonly overwrite?: boolean;
}

function writeLines(handle: FileHandle, produce: Producer<unknown>): void {
  let position = 0;
  let text = '';
  const flush = (): void => {
    const bytes = Buffer.from(text);
    if (bytes.length > 0) writeFully(handle, [bytes], position);
    position += bytes.length;
    text = '';
  };
  produce((record) => {
    text += `${recordText(record)}\n`;
    if (text.length >= CHUNK_CHARACTERS) flush();
  });
  flush();
}

/** Writes a file so that it appears whole and is durable once its directory is synced. */
async function writeWhole(files: FileSystem, place: { readonly directory: string; readonly name: string }, write: (handle: FileHandle) => void): Promise<void> {
  const { directory, name } = place;
  // Hidden, so that nobody takes it for a part.
  const temporary = `${directory}/.${name}.tmp`;
  await createSynced(files, { path: temporary, mode: 'create-public' }, write);
  await files.rename(temporary, `${directory}/${name}`);
}

async function makeOwnDirectory(files: FileSystem, directory: string, overwrite: boolean): Promise<void> {
  const found = await files.stat(directory);
  if (found !== undefined && (found.kind !== 'directory' || !overwrite)) {
    throw new UsageError(
      'STREAM_OUTPUT_EXISTS',
      `Cannot save to "${directory}" as it must not be there yet: it is a ${found.kind}. Choose another name, or pass { overwrite: true } to replace the files of an earlier run`,
    );
  }
  await files.makeDirectory(directory, 'public');
  await files.remove(`${directory}/${SUCCESS}`);
}

/** Writes every partition of a dataset, empty ones too; resolves when all of it is durable. */
export async function saveText(node: RddNode<unknown>, directory: string, use: { readonly scope: RddScope; readonly overwrite: boolean }): Promise<void> {
  const { scope, overwrite } = use;
  const { files, tasks } = scope;
  await makeOwnDirectory(files, directory, overwrite);
  for (let partition = 0; partition < node.partitionCount; partition++) {
    const name = `part-${String(partition).padStart(PART_DIGITS, '0')}`;
    await tasks.run(`partition ${partition} of ${scope.name}`, async () => {
      const produce = await node.prepare(partition);
      await writeWhole(files, { directory, name }, (handle) => writeLines(handle, produce));
    });
  }
  await files.syncDirectory(directory);
  await writeWhole(files, { directory, name: SUCCESS }, () => undefined);
  await files.syncDirectory(directory);
  await files.syncDirectory(dirname(directory));
}
