// The commands `savepoint`: copies of the newest checkpoint, registered in its store or carried to another directory.
import { UsageError } from '../core/errors.ts';
import { Checkpoints } from '../checkpoint/checkpoints.ts';
import { readSavepoint } from '../checkpoint/savepoint-file.ts';
import { lockDirectory } from '../context/directory-lock.ts';
import { makeDirectoryDurably } from '../env/make-directory.ts';
import { scanEvents } from '../recovery/read-events.ts';
import { restoreCheckpoint, restoreScene, type Restored } from '../recovery/restore-checkpoint.ts';
import { exportSavepoint, forgetSavepoint, importSavepoint, registeredSavepoints, registerSavepoint, type SavepointSource } from '../recovery/savepoints.ts';
import { checkpointDirectory, readStoreIdentity } from '../recovery/store-layout.ts';
import type { SavepointCommand } from './arguments.ts';
import { TOOL_CODES, type ToolCode } from './exit-codes.ts';
import { withStore, type HeldStore } from './open-store.ts';
import type { Tool } from './tool.ts';

/** What a command has done: a sentence for people, fields for programs. */
interface Done {
  readonly sentence: string;
  readonly fields: object;
}

async function forget({ directory }: HeldStore, name: string, tool: Tool): Promise<Done> {
  await forgetSavepoint(tool.env.files, directory, name);
  return { sentence: `forgot "${name}"`, fields: { name } };
}

async function withSource(store: HeldStore, tool: Tool, use: (source: SavepointSource, restored: Restored) => Promise<Done>): Promise<Done> {
  const { scan, events } = await scanEvents(store.log);
  const checkpointStore = tool.createStore(checkpointDirectory(store.directory));
  try {
    await checkpointStore.open('existing');
    const checkpoints = new Checkpoints(checkpointStore);
    const log = { first: scan.spans[0]?.header.firstLsn ?? 1, last: scan.nextLsn - 1, isLedgerOnly: true };
    const restored = await restoreCheckpoint(checkpoints, events, await restoreScene(tool.env.files, store, log));
    const { accepted, savepoint } = restored;
    if (accepted === undefined || savepoint !== undefined)
      throw new UsageError(
        'STREAM_SAVEPOINT',
        `Cannot make a savepoint of "${store.directory}" as it must have a checkpoint that can be read: it has none. Let the program run first`,
      );
    return await use({ checkpoints, stored: accepted, epoch: store.identity.epoch }, restored);
  } finally {
    await checkpointStore.close();
  }
}

function made(what: string, { stored: { head } }: SavepointSource, digest: string): Done {
  const fields = { digest, number: head.number, batchTime: head.batchTime, lsn: head.lsn };
  return { sentence: `${what} checkpoint ${head.number}, batch ${head.batchTime}; SHA-256 ${digest}`, fields };
}

async function list(store: HeldStore, tool: Tool): Promise<Done> {
  const found = await registeredSavepoints(tool.env.files, store.directory, store.identity.storeId);
  const savepoints = found.map(({ name, header, neededLsn }) => ({ name, number: header.number, batchTime: header.batchTime, lsn: header.lsn, neededLsn }));
  const lines = savepoints.map(
    ({ name, number, batchTime, neededLsn }) => `${name}: checkpoint ${number}, batch ${batchTime}, needs the log from record ${neededLsn} on`,
  );
  return { sentence: lines.length === 0 ? 'no savepoint is registered' : lines.join('\n'), fields: { savepoints } };
}

function inStore(command: SavepointCommand & { readonly action: Exclude<SavepointCommand['action'], 'import'> }, store: HeldStore, tool: Tool): Promise<Done> {
  const { files } = tool.env;
  const { directory } = store;
  switch (command.action) {
    case 'list':
      return list(store, tool);
    case 'register':
      return withSource(store, tool, async (source) =>
        made(`registered "${command.target}" of`, source, await registerSavepoint(files, { directory, name: command.target }, source)),
      );
    case 'forget':
      return forget(store, command.target, tool);
    case 'export':
      return withSource(store, tool, async (source, { ledger }) =>
        made('exported', source, await exportSavepoint(files, { path: command.target, ledger }, source)),
      );
  }
}

async function importInto(directory: string, path: string, tool: Tool): Promise<Done> {
  const { env } = tool;
  const savepoint = await readSavepoint(env.files, path);
  await makeDirectoryDurably(env.files, directory, { purpose: 'a store directory', access: 'private' });
  const lock = await lockDirectory(env, directory);
  try {
    if ((await readStoreIdentity(env, directory, false)) !== undefined)
      throw new UsageError('STREAM_SAVEPOINT', `Cannot import into "${directory}" as no store must be there: there is one`);
    const store = tool.createStore(checkpointDirectory(directory));
    try {
      await importSavepoint(env, { directory, savepoint }, store);
    } finally {
      await store.close();
    }
  } finally {
    await lock.release();
  }
  const { app, storeId, batchTime } = savepoint.header;
  return { sentence: `a store of "${app}" begins behind batch ${batchTime}`, fields: { app, storeId, batchTime, digest: savepoint.digest } };
}

/**
 * Makes, lists, forgets or imports savepoints.
 *
 * @throws {StreamError} If the store cannot be read, a driver has it, a file is damaged, or the command does not fit what is there.
 */
export async function savepoint(command: SavepointCommand, tool: Tool): Promise<ToolCode> {
  const { directory, isJson } = command;
  const { action } = command;
  const done =
    action === 'import'
      ? await importInto(directory, command.target, tool)
      : await withStore(tool.env, directory, (store) => {
          if (store === undefined)
            throw new UsageError('STREAM_SAVEPOINT', `Cannot use the savepoints of "${directory}" as a store must be there: none was ever made`);
          return inStore({ ...command, action }, store, tool);
        });
  tool.out(isJson ? JSON.stringify({ exitCode: TOOL_CODES.clean, directory, ...done.fields }) : done.sentence);
  return TOOL_CODES.clean;
}
