// The command `wal dump`: one line per record of the log, up to the first damage.
import type { DumpCommand } from './arguments.ts';
import { recordJson, recordText, type RecordLine } from './describe-record.ts';
import { EventCheck } from './event-check.ts';
import { TOOL_CODES, type ToolCode } from './exit-codes.ts';
import { damageLines, damagePlace, judgeFindings, tornSentence } from './fsck-report.ts';
import { absentSentence, withStore } from './open-store.ts';
import { surveyLog } from './survey.ts';
import type { Tool } from './tool.ts';

/** Records of a log with what checks them. */
class DumpVisitor extends EventCheck {
  readonly lines: readonly RecordLine[];

  constructor({ from, to }: DumpCommand) {
    const lines: RecordLine[] = [];
    super((line) => {
      if (line.lsn >= from && line.lsn <= to) lines.push(line);
    });
    this.lines = lines;
  }
}

/**
 * Prints the records of a log, and what is wrong with it on the other channel.
 *
 * @throws {StreamError} If the directory cannot be read at all.
 */
export async function dump(command: DumpCommand, tool: Tool): Promise<ToolCode> {
  return withStore(tool.env, command.directory, async (store) => {
    if (store === undefined) {
      tool.err(absentSentence(command.directory));
      return TOOL_CODES.clean;
    }
    const { visitor, ...survey } = await surveyLog(store.log, () => new DumpVisitor(command));
    for (const line of visitor.lines) tool.out(command.isJson ? recordJson(line) : recordText(line));
    const found = { ...survey, problem: visitor.problem };
    const place = damagePlace(found);
    for (const line of place === undefined ? [] : damageLines(place)) tool.err(line);
    const { verdict, exitCode } = judgeFindings(found);
    if (verdict === 'torn') tool.err(tornSentence(survey.tornBytes));
    return exitCode;
  });
}
