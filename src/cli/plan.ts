// The command `plan`: says what becomes of a store when a program goes on with it. It opens LevelDB, which changes LevelDB's own files and nothing else.
import { EXIT_CODES, toError } from '../core/errors.ts';
import type { Program } from '../recovery/bound-batches.ts';
import { assess, requireConsent, type Acceptance, type StoreContent } from '../recovery/judge-consent.ts';
import type { StoredStates } from '../recovery/restore-checkpoint.ts';
import { checkApp } from '../recovery/store-layout.ts';
import { tryMigrations } from '../recovery/try-migrations.ts';
import type { PlanCommand } from './arguments.ts';
import type { ToolCode } from './exit-codes.ts';
import { withStore } from './open-store.ts';
import { planJson, planLines, type PlanReport } from './plan-report.ts';
import { describeProgram, withContent, type Described } from './program.ts';
import type { Tool } from './tool.ts';

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
  const program = await describeProgram(path, { tool, verb: 'plan' });
  return withStore(tool.env, directory, async (store) => {
    if (store !== undefined) checkApp(directory, store.identity, program.app);
    return withContent(store, tool, async ({ content, readStates }) => {
      const judged = await tried(judge(content, program, { directory, accept }), program, readStates);
      const exitCode = judged.refusal === undefined ? EXIT_CODES.clean : EXIT_CODES.usage;
      const report: PlanReport = { ...judged, directory, exitCode, program, identity: store?.identity };
      for (const line of isJson ? [planJson(report)] : planLines(report)) tool.out(line);
      return exitCode;
    });
  });
}
