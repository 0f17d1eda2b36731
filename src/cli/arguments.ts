// Pure: what the command was asked to do, from the words of its command line.
import { parseArgs, type ParseArgsConfig } from 'node:util';
import { UsageError, toError } from '../core/errors.ts';
import { resolveAcceptance } from '../context/accept-option.ts';
import type { Acceptance } from '../recovery/judge-consent.ts';

/** What `--help` prints, and a mistake in the command line. */
export const USAGE: readonly string[] = [
  'millrace fsck <dir> [--json]',
  '    checks a store directory and changes nothing',
  'millrace inspect <dir> [--json]',
  '    says what a store holds: batches, operators with their keys, the log and what it is kept for',
  'millrace plan <program> <dir> [--json] [--accept drop-state=UID|forget-sink=UID|drop-input=UID|replace-batch=TIME]...',
  '    says what becomes of a store when a program goes on with it, and what must be consented to; changes nothing',
  'millrace verify <program> <dir> [--json]',
  '    says whether the sinks of a program hold what a store says they hold; changes nothing',
  'millrace savepoint register|forget <dir> <name> [--json], millrace savepoint list <dir> [--json]',
  '    keeps a copy of the newest checkpoint in the store, with the log behind it; gives it up; lists what is kept',
  'millrace savepoint export <dir> <file> [--json], millrace savepoint import <dir> <file> [--json]',
  '    carries a store that was stopped cleanly to another directory',
  'millrace wal dump <dir> [--json] [--from LSN] [--to LSN]',
  '    prints the records of its log',
  'millrace wal repair <dir> [--truncate-at LSN] [--i-accept-loss] [--json]',
  '    says what cutting the log would give up; cuts it with both --truncate-at and --i-accept-loss',
  'exit codes of plan: those of a start: 0 it goes on, 64 it is refused, 73 a driver has it, 74 storage failed, 78 damaged',
  'exit codes of the others: 0 clean, 1 torn end (harmless), 2 damaged, 3 another version, 4 a driver has it, 64 usage, 74 storage failed',
];

/** A command about a store directory. */
export interface DirectoryCommand {
  readonly directory: string;
  readonly isJson: boolean;
}

/** `wal dump`: the first and the last record that are printed. */
export interface DumpCommand extends DirectoryCommand {
  readonly from: number;
  readonly to: number;
}

/** `wal repair`. */
export interface RepairCommand extends DirectoryCommand {
  /** The first record that is given up. */
  readonly truncateAt: number | undefined;
  readonly isLossAccepted: boolean;
}

/** `plan`. */
export interface PlanCommand extends DirectoryCommand {
  /** The module whose default export makes the program. */
  readonly program: string;
  readonly accept: Acceptance;
}

/** `verify`. */
export type VerifyCommand = Pick<PlanCommand, 'program' | 'directory' | 'isJson'>;

/** `savepoint`: what is done, and the name or file it is done with; none for `list`. */
export interface SavepointCommand extends DirectoryCommand {
  readonly action: 'register' | 'forget' | 'list' | 'export' | 'import';
  readonly target: string;
}

/** What to do. */
export type Command =
  | { readonly name: 'help' }
  | ({ readonly name: 'fsck' | 'inspect' } & DirectoryCommand)
  | ({ readonly name: 'dump' } & DumpCommand)
  | ({ readonly name: 'repair' } & RepairCommand)
  | ({ readonly name: 'plan' } & PlanCommand)
  | ({ readonly name: 'verify' } & VerifyCommand)
  | ({ readonly name: 'savepoint' } & SavepointCommand);

function usage(why: string, cause?: unknown): UsageError {
  return new UsageError('STREAM_OPTION', `Cannot run the command as it must be one that "millrace --help" lists: ${why}`, { cause });
}

type Options = NonNullable<ParseArgsConfig['options']>;

const JSON_OPTION = { json: { type: 'boolean' } } as const;

function parse<T extends Options>(words: readonly string[], options: T, wanted: readonly string[] = ['one directory']) {
  try {
    const { values, positionals } = parseArgs({ args: [...words], options, allowPositionals: true, strict: true });
    if (positionals.length !== wanted.length || positionals.includes(''))
      throw new Error(`${wanted.join(' and ')} ${wanted.length === 1 ? 'is' : 'are'} wanted, found ${positionals.length}`);
    return { values, directory: positionals.at(-1) ?? '', positionals };
  } catch (error) {
    throw usage(toError(error).message, error);
  }
}

function lsnOf(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const lsn = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(lsn) || lsn < 1) throw usage(`--${option} takes the number of a record, from 1: found "${text}"`);
  return lsn;
}

function parseDump(words: readonly string[]): Command {
  const { values, directory } = parse(words, { ...JSON_OPTION, from: { type: 'string' }, to: { type: 'string' } } as const);
  const from = lsnOf('from', values.from) ?? 1;
  return { name: 'dump', directory, isJson: values.json ?? false, from, to: lsnOf('to', values.to) ?? Number.MAX_SAFE_INTEGER };
}

function parseRepair(words: readonly string[]): Command {
  const { values, directory } = parse(words, { ...JSON_OPTION, 'truncate-at': { type: 'string' }, 'i-accept-loss': { type: 'boolean' } } as const);
  const truncateAt = lsnOf('truncate-at', values['truncate-at']);
  const isLossAccepted = values['i-accept-loss'] ?? false;
  if (isLossAccepted && truncateAt === undefined) throw usage('--i-accept-loss goes with --truncate-at, which names the first record that is given up');
  return { name: 'repair', directory, isJson: values.json ?? false, truncateAt, isLossAccepted };
}

function parseDirectory(name: 'fsck' | 'inspect', words: readonly string[]): Command {
  const { values, directory } = parse(words, JSON_OPTION);
  return { name, directory, isJson: values.json ?? false };
}

const CONSENTS: Readonly<Record<string, keyof Acceptance>> = {
  'drop-state': 'dropState',
  'forget-sink': 'forgetSink',
  'drop-input': 'dropInput',
  'replace-batch': 'replaceBatches',
};

function acceptanceOf(texts: readonly string[]): Acceptance {
  const lists: Record<string, unknown[]> = {};
  for (const text of texts) {
    const [, name = '', value = ''] = /^([\w-]+)=(.+)$/.exec(text) ?? [];
    const kind = CONSENTS[name];
    if (kind === undefined) throw usage(`--accept takes one of ${Object.keys(CONSENTS).join(', ')}, "=" and a uid or batch time: found "${text}"`);
    (lists[kind] ??= []).push(kind === 'replaceBatches' ? Number(value) : value);
  }
  return resolveAcceptance(lists);
}

function parsePlan(words: readonly string[]): Command {
  const options = { ...JSON_OPTION, accept: { type: 'string', multiple: true } } as const;
  const { values, positionals, directory } = parse(words, options, ['a program', 'a directory']);
  return { name: 'plan', program: positionals[0] ?? '', directory, isJson: values.json ?? false, accept: acceptanceOf(values.accept ?? []) };
}

function parseVerify(words: readonly string[]): Command {
  const { values, positionals, directory } = parse(words, JSON_OPTION, ['a program', 'a directory']);
  return { name: 'verify', program: positionals[0] ?? '', directory, isJson: values.json ?? false };
}

const ACTIONS: readonly SavepointCommand['action'][] = ['register', 'forget', 'list', 'export', 'import'];

function parseSavepoint(word: string | undefined, words: readonly string[]): Command {
  const action = ACTIONS.find((each) => each === word);
  if (action === undefined) throw usage(`savepoint takes one of ${ACTIONS.join(', ')}: found "${word ?? ''}"`);
  const wanted = action === 'list' ? ['one directory'] : ['a directory', action === 'export' || action === 'import' ? 'a file' : 'a name'];
  const { values, positionals } = parse(words, JSON_OPTION, wanted);
  return { name: 'savepoint', action, directory: positionals[0] ?? '', target: positionals[1] ?? '', isJson: values.json ?? false };
}

function parseOne(first: string | undefined, rest: readonly string[]): Command | undefined {
  if (first === 'fsck' || first === 'inspect') return parseDirectory(first, rest);
  if (first === 'verify') return parseVerify(rest);
  return first === 'plan' ? parsePlan(rest) : undefined;
}

function parseTwo(first: string | undefined, second: string | undefined, rest: readonly string[]): Command | undefined {
  if (first === 'savepoint') return parseSavepoint(second, rest);
  if (first !== 'wal') return undefined;
  if (second === 'dump') return parseDump(rest);
  return second === 'repair' ? parseRepair(rest) : undefined;
}

/**
 * Reads a command line.
 *
 * @param words - The words behind the name of the command.
 * @throws {UsageError} If it is none.
 */
export function parseCommand(words: readonly string[]): Command {
  const [first, second, ...rest] = words;
  if (words.includes('--help') || first === '-h' || first === 'help') return { name: 'help' };
  const command = parseOne(first, words.slice(1)) ?? parseTwo(first, second, rest);
  if (command !== undefined) return command;
  throw usage(first === undefined ? 'no command is given' : `found "${words.slice(0, 2).join(' ')}"`);
}
