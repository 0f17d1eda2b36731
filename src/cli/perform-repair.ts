// Performs a planned cut. Copies first, each complete under its name or not there; then one change after another, each durable before the next.
import { basename, dirname } from 'node:path';
import { isErrno } from '../env/errno.ts';
import type { Env } from '../env/env.ts';
import type { FileHandle, FileSystem } from '../env/file-system.ts';
import { createSynced } from '../wal/create-synced.ts';
import { segmentName } from '../wal/segment-files.ts';
import { writeFully } from '../wal/write-fully.ts';
import type { RepairStep } from './repair-plan.ts';
import { withHandle } from './tool.ts';

const PIECE_BYTES = 1024 * 1024;

function copyBytes(from: FileHandle, to: FileHandle): void {
  const buffer = Buffer.allocUnsafe(PIECE_BYTES);
  for (let position = 0; ;) {
    const piece = from.readNow(position, buffer);
    if (piece.length === 0) return;
    position = writeFully(to, [piece], position);
  }
}

/** Gives a file a second name that is free. A link never replaces a copy of an earlier repair. */
async function linkFree(files: FileSystem, from: string, to: { readonly prefix: string; readonly stamp: number }): Promise<string> {
  for (let { stamp } = to; ; stamp++) {
    const path = `${to.prefix}${stamp}`;
    try {
      await files.link(from, path);
      return path;
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw error;
    }
  }
}

/** Copies a segment, complete and synced before the copy gets its name. Returns the path of the copy. */
async function copySegment(env: Env, path: string): Promise<string> {
  const { files } = env;
  const temporary = `${path}.broken.tmp`;
  try {
    await withHandle(files, { path, mode: 'read' }, (from) => createSynced(files, { path: temporary, mode: 'create' }, (to) => copyBytes(from, to)));
    const copy = await linkFree(files, temporary, { prefix: `${path}.broken-`, stamp: Math.floor(env.clock.now()) });
    await files.syncDirectory(dirname(path));
    return copy;
  } finally {
    await files.remove(temporary);
  }
}

async function zero(files: FileSystem, path: string, { from, to }: { readonly from: number; readonly to: number }): Promise<void> {
  await withHandle(files, { path, mode: 'update' }, async (handle) => {
    const zeros = Buffer.alloc(Math.min(PIECE_BYTES, to - from));
    for (let position = from; position < to;) position = writeFully(handle, [zeros.subarray(0, to - position)], position);
    await handle.sync();
  });
}

/**
 * Performs the steps in order. After a crash the same cut is planned and performed again.
 *
 * @param directory - The directory of the log.
 * @returns The names of the copies.
 */
export async function performRepair(env: Env, directory: string, steps: readonly RepairStep[]): Promise<readonly string[]> {
  const { files } = env;
  const copies: string[] = [];
  for (const step of steps) {
    const path = `${directory}/${segmentName(step.segment)}`;
    switch (step.kind) {
      case 'copy':
        copies.push(basename(await copySegment(env, path)));
        break;
      case 'zero':
        await zero(files, path, step);
        break;
      case 'remove':
        await files.remove(path);
        await files.syncDirectory(directory);
        break;
    }
  }
  return copies;
}
