// The command `verify`: says whether the sinks of a program hold what a store says they hold. It opens LevelDB, which changes LevelDB's own files, and only looks at the sinks.
import { CorruptionError } from '../core/errors.ts';
import type { OutputNode } from '../dstream/graph.ts';
import { checkApp } from '../recovery/store-layout.ts';
import { checkRows, knownCommits } from '../recovery/verify-sink.ts';
import type { VerifyCommand } from './arguments.ts';
import { TOOL_CODES, type ToolCode } from './exit-codes.ts';
import { absentSentence, withStore, type HeldStore } from './open-store.ts';
import { describeProgram, withContent, type ReadContent } from './program.ts';
import type { Tool } from './tool.ts';
import { verifyJson, verifyLines, type SinkReport } from './verify-report.ts';

type SinkOutput = Extract<OutputNode, { readonly kind: 'sink' }>;

/** Looks at a sink. Damage that it finds in its own ledger is a finding. */
async function verifySink({ uid, sink }: SinkOutput, store: HeldStore, { content: { ledger }, events }: ReadContent): Promise<SinkReport> {
  const { app, storeId } = store.identity;
  const identity = { app, sink: uid, storeId };
  const known = knownCommits(events, ledger, uid);
  try {
    if (sink.guarantee !== 'transactional') return { sink: uid, known: known.length, rows: undefined, data: undefined };
    const rows = checkRows(await sink.look(identity), ledger, { sink: uid, identity: store.identity });
    return { sink: uid, known: known.length, rows, data: await sink.verify?.(identity, known) };
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error;
    return { sink: uid, known: known.length, rows: { complete: 0, ofUnfinished: 0, findings: [{ kind: 'damaged', what: error.message }] }, data: undefined };
  } finally {
    await sink.close();
  }
}

/**
 * Compares each sink with what the log and the ledger of the store say it must hold. Changes nothing but LevelDB's own files.
 *
 * @returns 0 if nothing was found, 2 otherwise.
 * @throws {StreamError} If the store or a sink cannot be read, or the module makes no program.
 */
export async function verify({ program: path, directory, isJson }: VerifyCommand, tool: Tool): Promise<ToolCode> {
  const program = await describeProgram(path, { tool, verb: 'verify' });
  return withStore(tool.env, directory, async (store) => {
    if (store === undefined) {
      for (const line of isJson ? [verifyJson({ directory, exitCode: TOOL_CODES.clean, sinks: [], unknown: [] })] : [absentSentence(directory)]) tool.out(line);
      return TOOL_CODES.clean;
    }
    checkApp(directory, store.identity, program.app);
    return withContent(store, tool, async (read) => {
      const outputs = program.outputs.filter((output) => output.kind === 'sink');
      const sinks: SinkReport[] = [];
      for (const output of outputs) sinks.push(await verifySink(output, store, read));
      const unknown = [...read.content.ledger.expected.keys()].filter((uid) => !outputs.some((output) => output.uid === uid));
      const isSound = sinks.every(({ rows, data }) => [...(rows?.findings ?? []), ...(data?.findings ?? [])].length === 0);
      const report = { directory, exitCode: isSound ? TOOL_CODES.clean : TOOL_CODES.corrupt, sinks, unknown };
      for (const line of isJson ? [verifyJson(report)] : verifyLines(report)) tool.out(line);
      return report.exitCode;
    });
  });
}
