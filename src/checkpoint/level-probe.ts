// Tries in another process whether LevelDB survives a directory. Asked only after a death while the store was being opened.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { StorageError } from '../core/errors.ts';

/** How processes die of native code, but for the last: the exit code that a shell or a container makes of SIGABRT. */
const DEATHS: readonly unknown[] = ['SIGABRT', 'SIGSEGV', 'SIGBUS', 'SIGILL', 'SIGFPE', 'SIGTRAP', 134];

const WORDS_MAX = 500;

/**
 * Opens the LevelDB of a directory and reads all of it in another process. The other process ends with this one.
 *
 * @returns How the other process died; undefined if it did not. Errors that LevelDB reports are none: they come again in this process.
 * @throws {StorageError} If the other process could not do it.
 */
export async function probeLevel(path: string): Promise<string | undefined> {
  const program = fileURLToPath(new URL('./level-probe-main.js', import.meta.url));
  const child = spawn(process.execPath, [program, path], { stdio: ['pipe', 'ignore', 'pipe'] });
  let words = '';
  child.stderr.on('data', (chunk: Buffer) => (words = `${words}${chunk.toString()}`.slice(0, WORDS_MAX)));
  // Closed behind a child that is gone.
  child.stdin.on('error', () => child.stdin.destroy());
  const failed = (why: string, cause?: unknown): StorageError =>
    new StorageError('STREAM_CHECKPOINT_STORE', `Cannot try the checkpoint store "${path}" in another process as that must come to its end: ${why}`, { cause });
  const [code, signal] = (await once(child, 'close').catch((error: unknown) => {
    throw failed('it could not be started', error);
  })) as [number | null, NodeJS.Signals | null];
  if (code === 0) return undefined;
  const end = signal ?? code;
  if (!DEATHS.includes(end)) throw failed(`it ended with ${String(end)}: ${words}`);
  const [line] = words.split('\n');
  return `${String(end)}, ${line === undefined || line === '' ? 'without a word' : line}`;
}
