// The command `plan`: says what becomes of a store when a program goes on with it. It opens LevelDB, which changes LevelDB's own files and nothing else.
import { EXIT_CODES, toError, UsageError } from '../core/errors.ts';
import { Checkpoints } from '../checkpoint/checkpoints.ts';
import { StreamingContext } from '../context/streaming-context.ts';
import type { StatefulNode } from '../dstream/graph.ts';
import type { Program } from '../recovery/bound-batches.ts';
import { assess, EMPTY_STORE, requireConsent, type Acceptance, type StoreContent } from '../recovery/judge-consent.ts';
import { scanEvents } from '../recovery/read-events.ts';
import { graphsOf } from '../recovery/recover.ts';
import { restoreCheckpoint, restoreScene, type StoredStates } from '../recovery/restore-checkpoint.ts';
import { checkApp, checkpointDirectory } from '../recovery/store-layout.ts';
import { tryMigrations } from '../recovery/try-migrations.ts';
import type { PlanCommand } from './arguments.ts';
import type { ToolCode } from './exit-codes.ts';
import { withStore, type HeldStore } from './open-store.ts';
import { planJson, planLines, type PlanReport } from './plan-report.ts';
import type { Tool } from './tool.ts';

/** What a module makes. */
type Described = Program & { readonly app: string; readonly stateful: readonly StatefulNode[] };

/** Makes the program of a module, as a start would, and says what it is. Nothing of it runs. */
async function describeProgram(path: string, tool: Tool): Promise<Described> {
  const { default: create } = await tool.load(path);
  const made: unknown = typeof create === 'function' ? await (create as () => unknown)() : undefined;
  if (!(made instanceof StreamingContext)) {
    const found =
      typeof create === 'function' ? `it returned ${made === null ? 'null' : typeof made}, or one of another copy of the package` : `it is ${typeof create}`;
    throw new UsageError(
      'STREAM_INVALID_GRAPH',
      `Cannot plan with "${path}" as its default export must be a function that returns a StreamingContext: ${found}`,
    );
  }
  const described = StreamingContext.describe(made);
  await made.stop();
  return described;
}

/** Uses what a start would read of a store, while its checkpoints are open; `readStates` reads the state as well. */
async function withContent<T>(
  store: HeldStore | undefined,
  tool: Tool,
  use: (content: StoreContent, readStates: () => Promise<StoredStates>) => T | Promise<T>,
): Promise<T> {
  if (store === undefined) return use(EMPTY_STORE, () => Promise.resolve(new Map()));
  const { scan, events } = await scanEvents(store.log);
  const checkpointStore = tool.createStore(checkpointDirectory(store.directory));
  try {
    await checkpointStore.open('existing');
    const checkpoints = new Checkpoints(checkpointStore);
    const scene = await restoreScene(tool.env.files, store, { first: scan.spans[0]?.header.firstLsn ?? 1, last: scan.nextLsn - 1 });
    const { ledger, accepted: head } = await restoreCheckpoint(checkpoints, events, { ...scene, isLedgerOnly: true });
    return await use({ graphs: graphsOf(events, head), ledger, head }, async () => (await restoreCheckpoint(checkpoints, events, scene)).states);
  } finally {
    await checkpointStore.close();
  }
}

type Judged = Pick<PlanReport, 'assessment' | 'refusal' | 'migrations'>;

function judge(content: StoreContent, program: Program, start: { readonly directory: string; readonly accept: Acceptance }): Judged {
  const assessment = assess(content, program);
  try {
    requireConsent(assessment, start.accept, { directory: start.directory, program });
    return { assessment, refusal: undefined, migrations: undefined };
  } catch (error) {
    return { assessment, refusal: toError(error), migrations: undefined };
  }
}

/** Tries the migrations of a start that would go on: it would be refused if one failed. */
async function tried(judged: Judged, { stateful }: Described, readStates: () => Promise<StoredStates>): Promise<Judged> {
  const { migrations } = judged.assessment.upgrade;
  if (migrations.length === 0 || judged.refusal !== undefined) return judged;
  try {
    return { ...judged, migrations: tryMigrations(await readStates(), stateful, migrations) };
  } catch (error) {
    return { ...judged, refusal: toError(error) };
  }
}

/**
 * Says what becomes of a store, as a start with these consents would decide it. Changes nothing but LevelDB's own files.
 *
 * @returns The exit code of that start, as far as it depends on the program and the store.
 * @throws {StreamError} If the store cannot be read, or the module makes no program.
 */
export async function plan({ program: path, directory, isJson, accept }: PlanCommand, tool: Tool): Promise<ToolCode> {
  const program = await describeProgram(path, tool);
  return withStore(tool.env, directory, async (store) => {
    if (store !== undefined) checkApp(directory, store.identity, program.app);
    return withContent(store, tool, async (content, readStates) => {
      const judged = await tried(judge(content, program, { directory, accept }), program, readStates);
      const exitCode = judged.refusal === undefined ? EXIT_CODES.clean : EXIT_CODES.usage;
      const report: PlanReport = { ...judged, directory, exitCode, program, identity: store?.identity };
      for (const line of isJson ? [planJson(report)] : planLines(report)) tool.out(line);
      return exitCode;
    });
  });
}
