// The command `inspect`: says what a store holds. It opens LevelDB, which changes LevelDB's own files and nothing else.
import { Checkpoints, type StoredHead } from '../checkpoint/checkpoints.ts';
import { refuseDeadlyStore } from '../checkpoint/guarded-store.ts';
import type { FileSystem } from '../env/file-system.ts';
import { decodeMetadata } from '../journal/checkpoint-metadata.ts';
import type { LoggedEvent } from '../journal/apply-event.ts';
import { scanEvents } from '../recovery/read-events.ts';
import { lastGraph } from '../recovery/recover.ts';
import { restoreCheckpoint, restoreScene, type Restored } from '../recovery/restore-checkpoint.ts';
import { checkpointDirectory } from '../recovery/store-layout.ts';
import type { DirectoryCommand } from './arguments.ts';
import { TOOL_CODES, type ToolCode } from './exit-codes.ts';
import { inspectJson, inspectLines, lowWaterOf, type Inspection } from './inspect-report.ts';
import { absentSentence, withStore, type HeldStore } from './open-store.ts';
import type { Tool } from './tool.ts';

/** Bytes of all files below a path, as far as they go. */
async function bytesBelow(files: FileSystem, path: string): Promise<number> {
  const found = await files.stat(path);
  if (found?.kind !== 'directory') return found?.kind === 'file' ? found.size : 0;
  let bytes = 0;
  for (const name of await files.list(path)) bytes += await bytesBelow(files, `${path}/${name}`);
  return bytes;
}

function operatorsOf({ states, accepted }: Restored, graph: Inspection['graph']): Inspection['operators'] {
  const uids = new Set([...(graph?.operators.filter(({ isStateful }) => isStateful).map(({ uid }) => uid) ?? []), ...states.keys()]);
  return [...uids].map((uid) => {
    const slots = accepted?.head.slots.filter((slot) => slot.uid === uid) ?? [];
    return {
      uid,
      kind: graph?.operators.find((operator) => operator.uid === uid)?.kind,
      keys: slots.reduce((sum, { entries }) => sum + entries, 0),
      bytes: slots.reduce((sum, { blobs }) => sum + blobs.reduce((all, blob) => all + blob.bytes, 0), 0),
    };
  });
}

/** Files that two checkpoints cover: their batch is in the older one as well. */
function releasedFiles(events: readonly LoggedEvent[], older: StoredHead | undefined): readonly string[] {
  if (older === undefined) return [];
  return events.flatMap(({ event }) =>
    event.kind === 'batch-planned' && event.batchTime <= older.head.batchTime
      ? [...event.inputs].flatMap(([stream, { files = [] }]) => files.map(({ name }) => `${stream}: ${name}`))
      : [],
  );
}

async function inspectStore(store: HeldStore, tool: Tool): Promise<Inspection> {
  const { identity, directory } = store;
  const { scan, events } = await scanEvents(store.log);
  const checkpointStore = tool.createStore(checkpointDirectory(directory));
  try {
    await refuseDeadlyStore(checkpointStore, { files: tool.env.files, directory });
    await checkpointStore.open('existing');
    const log = { first: scan.spans[0]?.header.firstLsn ?? 1, last: scan.nextLsn - 1 };
    const scene = await restoreScene(tool.env.files, store, log);
    const restored = await restoreCheckpoint(new Checkpoints(checkpointStore), events, scene);
    const { ledger, accepted, retained } = restored;
    const graph = lastGraph(events, accepted);
    const { files } = tool.env;
    const heads = retained.map(({ head }) => ({
      number: head.number,
      batchTime: head.batchTime,
      lsn: head.lsn,
      neededLsn: decodeMetadata(head.metadata).neededLsn,
    }));
    const savepoints = scene.savepoints.map(({ name, header: { number, batchTime, lsn }, neededLsn }) => ({ name, number, batchTime, lsn, neededLsn }));
    return {
      directory,
      identity,
      graph,
      codeVersion: events.flatMap(({ event }) => (event.kind === 'opened' ? [event.codeVersion] : [])).at(-1),
      isClean: events.at(-1)?.event.kind === 'closed',
      ledger,
      heads,
      savepoints,
      operators: operatorsOf(restored, graph),
      log: { segments: scan.spans.length, ...log, tornBytes: scan.tornBytes, lowWater: lowWaterOf(heads, savepoints) },
      releasedFiles: releasedFiles(events, retained.at(1)),
      bytes: {
        journal: await bytesBelow(files, store.log.directory),
        checkpoint: await bytesBelow(files, checkpointDirectory(directory)),
        ballast: await bytesBelow(files, `${directory}/ballast`),
      },
    };
  } finally {
    await checkpointStore.close();
  }
}

/**
 * Says what a store holds, as a start would find it. Changes nothing but LevelDB's own files.
 *
 * @throws {StreamError} If the store cannot be read: a driver has it, or it is damaged (`fsck` says more).
 */
export async function inspect({ directory, isJson }: DirectoryCommand, tool: Tool): Promise<ToolCode> {
  return withStore(tool.env, directory, async (store) => {
    if (store === undefined) {
      tool.out(isJson ? JSON.stringify({ exitCode: TOOL_CODES.clean, verdict: 'absent', directory }) : absentSentence(directory));
      return TOOL_CODES.clean;
    }
    const found = await inspectStore(store, tool);
    for (const line of isJson ? [inspectJson(found)] : inspectLines(found)) tool.out(line);
    return TOOL_CODES.clean;
  });
}
