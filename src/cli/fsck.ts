// The command `fsck`: reads a whole store directory but for its checkpoints, and changes nothing.
import type { DirectoryCommand } from './arguments.ts';
import { EventCheck } from './event-check.ts';
import { TOOL_CODES, type ToolCode } from './exit-codes.ts';
import { fsckJson, fsckLines, judgeFindings, type FsckFindings } from './fsck-report.ts';
import { absentSentence, withStore, type HeldStore } from './open-store.ts';
import { surveyLog, type Survey } from './survey.ts';
import type { Tool } from './tool.ts';

/** Puts together what a survey found. */
async function findingsOf(store: HeldStore, survey: Survey<EventCheck>): Promise<FsckFindings> {
  const { heads, foreign, firstLsn, end, tornBytes, damage, visitor } = survey;
  let bytes = 0;
  for (const { path } of heads) bytes += (await store.log.files.stat(path))?.size ?? 0;
  const { records, problem, isFolded } = visitor;
  const { directory, identity } = store;
  return { directory, identity, segments: heads.length, records, firstLsn, bytes, tornBytes, end, damage, problem, isFolded, foreign };
}

/**
 * Checks a store directory: its identity, every segment and frame, every event. Prints what was found.
 *
 * @throws {StreamError} If the directory cannot be read at all: see {@link withStore} and {@link surveyLog}.
 */
export async function fsck({ directory, isJson }: DirectoryCommand, tool: Tool): Promise<ToolCode> {
  return withStore(tool.env, directory, async (store) => {
    if (store === undefined) {
      tool.out(isJson ? JSON.stringify({ exitCode: TOOL_CODES.clean, verdict: 'absent', directory }) : absentSentence(directory));
      return TOOL_CODES.clean;
    }
    const found = await findingsOf(store, await surveyLog(store.log, () => new EventCheck()));
    for (const line of isJson ? [fsckJson(found)] : fsckLines(found)) tool.out(line);
    return judgeFindings(found).exitCode;
  });
}
