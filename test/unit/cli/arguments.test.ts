// Goal: every command line is one command or a mistake, and every error has one exit code. Method: tables.
import { describe, expect, it } from 'vitest';
import { parseCommand } from '../../../src/cli/arguments.ts';
import { TOOL_CODES, toolCodeOf } from '../../../src/cli/exit-codes.ts';
import { CorruptionError, LockedError, StorageError, UsageError, type ErrorCode } from '../../../src/core/errors.ts';

const NO_CONSENT = { dropState: [], forgetSink: [], dropInput: [], replaceBatches: [] };

describe('parseCommand()', () => {
  it.each([
    ['--help', { name: 'help' }],
    ['fsck --help', { name: 'help' }],
    ['fsck d', { name: 'fsck', directory: 'd', isJson: false }],
    ['fsck --json d', { name: 'fsck', directory: 'd', isJson: true }],
    ['inspect d --json', { name: 'inspect', directory: 'd', isJson: true }],
    ['wal dump d', { name: 'dump', directory: 'd', isJson: false, from: 1, to: Number.MAX_SAFE_INTEGER }],
    ['wal dump d --from 3 --to 4 --json', { name: 'dump', directory: 'd', isJson: true, from: 3, to: 4 }],
    ['wal repair d', { name: 'repair', directory: 'd', isJson: false, truncateAt: undefined, isLossAccepted: false }],
    ['wal repair d --truncate-at 9', { name: 'repair', directory: 'd', isJson: false, truncateAt: 9, isLossAccepted: false }],
    ['wal repair --i-accept-loss --truncate-at=9 d', { name: 'repair', directory: 'd', isJson: false, truncateAt: 9, isLossAccepted: true }],
    ['verify p d --json', { name: 'verify', program: 'p', directory: 'd', isJson: true }],
    ['plan p d', { name: 'plan', program: 'p', directory: 'd', isJson: false, accept: NO_CONSENT }],
    [
      'plan --accept drop-state=a p --accept drop-state=b=c d --accept forget-sink=d --accept drop-input=e --accept replace-batch=5 --json',
      {
        name: 'plan',
        program: 'p',
        directory: 'd',
        isJson: true,
        accept: { dropState: ['a', 'b=c'], forgetSink: ['d'], dropInput: ['e'], replaceBatches: [5] },
      },
    ],
  ])('%s', (line, command) => expect(parseCommand(line.split(' '))).toEqual(command));
  it.each([
    ['nothing', [], 'no command is given'],
    ['an unknown command', ['mend', 'd'], 'found "mend d"'],
    ['half a command', ['wal'], 'found "wal"'],
    ['an unknown command of the log', ['wal', 'mend', 'd'], 'found "wal mend"'],
    ['no directory', ['fsck'], 'one directory is wanted, found 0'],
    ['an empty directory', ['fsck', ''], 'one directory is wanted'],
    ['two directories', ['fsck', 'a', 'b'], 'one directory is wanted, found 2'],
    ['an unknown option', ['fsck', 'd', '--fix'], '--fix'],
    ['an option of another command', ['fsck', 'd', '--i-accept-loss'], '--i-accept-loss'],
    ['a number that is none', ['wal', 'dump', 'd', '--from', '-1'], 'from'],
    ['record 0', ['wal', 'dump', 'd', '--from', '0'], 'found "0"'],
    ['a number with a fraction', ['wal', 'repair', 'd', '--truncate-at', '1.5'], 'found "1.5"'],
    ['a number that is too large', ['wal', 'repair', 'd', '--truncate-at', '9007199254740993'], 'found "9007199254740993"'],
    ['verify without a directory', ['verify', 'p'], 'a program and a directory are wanted, found 1'],
    ['a plan without a directory', ['plan', 'p'], 'a program and a directory are wanted, found 1'],
    ['a consent of an unknown kind', ['plan', 'p', 'd', '--accept', 'drop=x'], 'found "drop=x"'],
    ['a consent without a uid', ['plan', 'p', 'd', '--accept', 'drop-state='], 'found "drop-state="'],
    ['a batch time that is none', ['plan', 'p', 'd', '--accept', 'replace-batch=x'], 'batch times in milliseconds'],
    ['a consent that is given twice', ['plan', 'p', 'd', '--accept', 'drop-state=x', '--accept', 'drop-state=x'], 'names each once'],
    ['consent to nothing', ['wal', 'repair', 'd', '--i-accept-loss'], '--i-accept-loss goes with --truncate-at'],
  ])('refuses %s', (_name, words, why) => {
    expect(() => parseCommand(words)).toThrow(UsageError);
    expect(() => parseCommand(words)).toThrow(why);
  });
});

describe('toolCodeOf()', () => {
  const corruption = (code: ErrorCode): Error => new CorruptionError(code, '');
  it.each<[string, unknown, number]>([
    ['a damaged log', corruption('STREAM_WAL_CORRUPT'), TOOL_CODES.corrupt],
    ['an event that contradicts', corruption('STREAM_JOURNAL_CORRUPT'), TOOL_CODES.corrupt],
    ['a missing identity', corruption('STREAM_IDENTITY'), TOOL_CODES.corrupt],
    ['a checkpoint ahead of the log', corruption('STREAM_CHECKPOINT_AHEAD'), TOOL_CODES.corrupt],
    ['another log version', corruption('STREAM_WAL_VERSION'), TOOL_CODES.version],
    ['another event version', corruption('STREAM_JOURNAL_VERSION'), TOOL_CODES.version],
    ['another store format', corruption('STREAM_CHECKPOINT_FORMAT'), TOOL_CODES.version],
    ['a driver', new LockedError('STREAM_LOCKED', ''), TOOL_CODES.locked],
    ['a mistake', new UsageError('STREAM_OPTION', ''), TOOL_CODES.usage],
    ['a disk that fails', new StorageError('STREAM_DIRECTORY', ''), TOOL_CODES.storage],
    ['a bug', new TypeError('x'), TOOL_CODES.unexpected],
    ['no error at all', 'text', TOOL_CODES.unexpected],
  ])('%s', (_name, error, code) => expect(toolCodeOf(error)).toBe(code));
});
