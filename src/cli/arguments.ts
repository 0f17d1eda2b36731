// Pure: what the command was asked to do, from the words of its command line.
import { parseArgs, type ParseArgsConfig } from 'node:util';
import { UsageError, toError } from '../core/errors.ts';

/** What `--help` prints, and a mistake in the command line. */
export const USAGE: readonly string[] = [
  'millrace fsck <dir> [--json]',
  '    checks a store directory and changes nothing',
  'millrace inspect <dir> [--json]',
  '    says what a store holds: batches, operators with their keys, the log and what it is kept for',
  'millrace wal dump <dir> [--json] [--from LSN] [--to LSN]',
  '    prints the records of its log',
  'millrace wal repair <dir> [--truncate-at LSN] [--i-accept-loss] [--json]',
  '    says what cutting the log would give up; cuts it with both --truncate-at and --i-accept-loss',
  'exit codes: 0 clean, 1 torn end (harmless), 2 damaged, 3 another version, 4 a driver has it, 64 usage, 74 storage failed',
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

/** What to do. */
export type Command =
  | { readonly name: 'help' }
  | ({ readonly name: 'fsck' | 'inspect' } & DirectoryCommand)
  | ({ readonly name: 'dump' } & DumpCommand)
  | ({ readonly name: 'repair' } & RepairCommand);

function usage(why: string, cause?: unknown): UsageError {
  return new UsageError('STREAM_OPTION', `Cannot run the command as it must be one that "millrace --help" lists: ${why}`, { cause });
}

type Options = NonNullable<ParseArgsConfig['options']>;

const JSON_OPTION = { json: { type: 'boolean' } } as const;

function parse<T extends Options>(words: readonly string[], options: T) {
  try {
    const { values, positionals } = parseArgs({ args: [...words], options, allowPositionals: true, strict: true });
    const [directory, ...more] = positionals;
    if (directory === undefined || directory === '' || more.length > 0) throw new Error(`one directory is wanted, found ${positionals.length}`);
    return { values, directory };
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

/**
 * Reads a command line.
 *
 * @param words - The words behind the name of the command.
 * @throws {UsageError} If it is none.
 */
export function parseCommand(words: readonly string[]): Command {
  const [first, second, ...rest] = words;
  if (words.includes('--help') || first === '-h' || first === 'help') return { name: 'help' };
  if (first === 'fsck' || first === 'inspect') return parseDirectory(first, words.slice(1));
  if (first === 'wal' && second === 'dump') return parseDump(rest);
  if (first === 'wal' && second === 'repair') return parseRepair(rest);
  throw usage(first === undefined ? 'no command is given' : `found "${words.slice(0, 2).join(' ')}"`);
}
