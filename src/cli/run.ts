// Runs one command and turns whatever comes of it into lines and an exit code.
import { CorruptionError, exitCodeOf, StreamError, toError } from '../core/errors.ts';
import { withDirectoryErrors } from '../recovery/directory-errors.ts';
import { parseCommand, USAGE, type Command } from './arguments.ts';
import { dump } from './dump.ts';
import { TOOL_CODES, toolCodeOf, type ToolCode } from './exit-codes.ts';
import { fsck } from './fsck.ts';
import { inspect } from './inspect.ts';
import { plan } from './plan.ts';
import { repair } from './repair.ts';
import { savepoint } from './savepoint.ts';
import type { Tool } from './tool.ts';
import { verify } from './verify.ts';

function perform(command: Exclude<Command, { readonly name: 'help' }>, tool: Tool): Promise<ToolCode> {
  switch (command.name) {
    case 'fsck':
      return fsck(command, tool);
    case 'inspect':
      return inspect(command, tool);
    case 'dump':
      return dump(command, tool);
    case 'repair':
      return repair(command, tool);
    case 'plan':
      return plan(command, tool);
    case 'verify':
      return verify(command, tool);
    case 'savepoint':
      return savepoint(command, tool);
  }
}

/** Whether the answer is one object. A dump has one per record and no other. */
function isAnsweredAsObject(command: Command | undefined): boolean {
  return command !== undefined && command.name !== 'help' && command.name !== 'dump' && command.isJson;
}

function report(thrown: unknown, command: Command | undefined, tool: Tool): ToolCode {
  const error = toError(thrown);
  // What ends a plan would end a start as well.
  const exitCode = (command?.name === 'plan' ? exitCodeOf : toolCodeOf)(error);
  tool.err(error instanceof StreamError ? `${error.code}: ${error.message}` : (error.stack ?? error.message));
  if (command === undefined) for (const line of USAGE) tool.err(line);
  if (isAnsweredAsObject(command)) {
    const code = error instanceof StreamError ? error.code : undefined;
    tool.out(JSON.stringify({ exitCode, error: { code, message: error.message, damage: error instanceof CorruptionError ? error.damage : undefined } }));
  }
  return exitCode;
}

/**
 * Runs the command `millrace`. Never throws: what went wrong is printed and told by the exit code.
 *
 * @param words - The words behind the name of the command.
 */
export async function run(words: readonly string[], tool: Tool): Promise<ToolCode> {
  let command: Command | undefined;
  try {
    const parsed = parseCommand(words);
    command = parsed;
    if (parsed.name !== 'help') return await withDirectoryErrors(parsed.directory, () => perform(parsed, tool));
    for (const line of USAGE) tool.out(line);
    return TOOL_CODES.clean;
  } catch (error) {
    return report(error, command, tool);
  }
}
