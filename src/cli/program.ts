// What the commands have in common that compare a store with a program: the program, made as a start would make it, and what a start would read. Opens LevelDB, which changes LevelDB's own files.
import { UsageError } from '../core/errors.ts';
import { Checkpoints } from '../checkpoint/checkpoints.ts';
import { StreamingContext } from '../context/streaming-context.ts';
import type { LoggedEvent } from '../journal/apply-event.ts';
import { EMPTY_STORE, type StoreContent } from '../recovery/judge-consent.ts';
import { scanEvents } from '../recovery/read-events.ts';
import { graphsOf } from '../recovery/recover.ts';
import { restoreCheckpoint, restoreScene, type StoredStates } from '../recovery/restore-checkpoint.ts';
import { checkpointDirectory } from '../recovery/store-layout.ts';
import type { HeldStore } from './open-store.ts';
import type { Tool } from './tool.ts';

/** What a module makes. */
export type Described = ReturnType<typeof StreamingContext.describe>;

/** Makes the program of a module, as a start would, and says what it is. Nothing of it runs. */
export async function describeProgram(path: string, { tool, verb }: { readonly tool: Tool; readonly verb: string }): Promise<Described> {
  const { default: create } = await tool.load(path);
  const made: unknown = typeof create === 'function' ? await (create as () => unknown)() : undefined;
  if (!(made instanceof StreamingContext)) {
    const found =
      typeof create === 'function' ? `it returned ${made === null ? 'null' : typeof made}, or one of another copy of the package` : `it is ${typeof create}`;
    throw new UsageError(
      'STREAM_INVALID_GRAPH',
      `Cannot ${verb} with "${path}" as its default export must be a function that returns a StreamingContext: ${found}`,
    );
  }
  const described = StreamingContext.describe(made);
  await made.stop();
  return described;
}

/** What a start would read of a store. */
export interface ReadContent {
  readonly content: StoreContent;
  /** All events of the log. */
  readonly events: readonly LoggedEvent[];
  /** Reads the state as well. */
  readonly readStates: () => Promise<StoredStates>;
}

/** Uses what a start would read of a store, while its checkpoints are open. */
export async function withContent<T>(store: HeldStore | undefined, tool: Tool, use: (read: ReadContent) => T | Promise<T>): Promise<T> {
  if (store === undefined) return use({ content: EMPTY_STORE, events: [], readStates: () => Promise.resolve(new Map()) });
  const { scan, events } = await scanEvents(store.log);
  const checkpointStore = tool.createStore(checkpointDirectory(store.directory));
  try {
    await checkpointStore.open('existing');
    const checkpoints = new Checkpoints(checkpointStore);
    const scene = await restoreScene(tool.env.files, store, { first: scan.spans[0]?.header.firstLsn ?? 1, last: scan.nextLsn - 1 });
    const { ledger, accepted: head } = await restoreCheckpoint(checkpoints, events, { ...scene, isLedgerOnly: true });
    const readStates = async (): Promise<StoredStates> => (await restoreCheckpoint(checkpoints, events, scene)).states;
    return await use({ content: { graphs: graphsOf(events, head), ledger, head }, events, readStates });
  } finally {
    await checkpointStore.close();
  }
}
