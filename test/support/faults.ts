// Faults of a real disk for tests: system calls that fail, file systems in files, power cuts, quotas. What is mounted here is unmounted by `releaseAll`, at the latest when the
// process exits. A machine without a tool skips the test and says so.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, delimiter, join } from 'node:path';
import { isErrno } from '../../src/env/errno.ts';

const SYSTEM_DIRECTORIES = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

/** The path of a program, or undefined if this machine lacks it. */
export function findTool(name: string): string | undefined {
  const directories = [...(process.env['PATH'] ?? '').split(delimiter), ...SYSTEM_DIRECTORIES];
  return directories
    .map((directory) => join(directory, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** Runs a program and returns what it printed. Throws if it fails. */
export function run(name: string, ...parameters: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(findTool(name) ?? name, parameters, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`Cannot run ${name} ${parameters.join(' ')}: ${error?.message ?? stderr}`);
  return stdout;
}

/** Whether a program runs and ends well. */
export function canRun(name: string, ...parameters: readonly string[]): boolean {
  return spawnSync(findTool(name) ?? name, parameters, { stdio: 'ignore' }).status === 0;
}

function canMount(): boolean {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-mount-'));
  try {
    return canRun('mount', '-t', 'tmpfs', 'millrace', directory) && canRun('umount', directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** The library that shows a process another wall clock, or undefined if this machine lacks it. */
function findFaketime(): string | undefined {
  const root = '/usr/lib';
  const directories = [root, ...readdirSync(root).map((name) => join(root, name))].map((directory) => join(directory, 'faketime'));
  return directories.map((directory) => join(directory, 'libfaketime.so.1')).find((path) => existsSync(path));
}

/** What a test may need besides programs on the path. */
const ABILITIES: Readonly<Record<string, () => boolean>> = {
  root: () => process.getuid?.() === 0,
  mounting: canMount,
  tracing: () =>
    findTool('strace') !== undefined && canRun('strace', '-f', '-qq', '-o', '/dev/null', '--seccomp-bpf', '-e', 'inject=fdatasync:error=EIO', 'true'),
  'loop devices': () => canRun('losetup', '-f'),
  faketime: () => findFaketime() !== undefined,
};
const known = new Map<string, boolean>();

function isThere(need: string): boolean {
  const answer = known.get(need) ?? ABILITIES[need]?.() ?? findTool(need) !== undefined;
  known.set(need, answer);
  return answer;
}

/** What a test can do with itself; a test's context. */
export interface Skippable {
  readonly task: { readonly name: string };
  skip(note?: string): never;
}

/** Skips a test, loudly, on a machine that lacks one of these: programs, `root`, `mounting`, `tracing`, `loop devices`, `faketime`. */
export function requireTools(context: Skippable, needs: readonly string[]): void {
  const missing = needs.filter((need) => !isThere(need));
  if (missing.length > 0) notRun(context, missing.join(', '));
}

/** Skips a test and says what is missing. */
export function notRun(context: Skippable, missing: string): never {
  process.stderr.write(`\nNOT RUN: ${context.task.name} as ${missing} is missing\n`);
  return context.skip(`${missing} is missing`);
}

/** A wall clock for a process, which a test sets; its monotonic clock is the real one. */
export class WallClock {
  /** What the process needs in its environment. */
  readonly env: Readonly<Record<string, string>>;
  readonly #file: string = join(makeScratch(), 'offset');

  constructor(offsetSeconds = 0) {
    this.set(offsetSeconds);
    this.env = {
      LD_PRELOAD: findFaketime() ?? '',
      FAKETIME_TIMESTAMP_FILE: this.#file,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    };
  }

  /** Sets the clock to so many seconds after the real one. */
  set(offsetSeconds: number): void {
    writeFileSync(`${this.#file}.new`, `${offsetSeconds < 0 ? '' : '+'}${offsetSeconds}\n`);
    renameSync(`${this.#file}.new`, this.#file);
  }
}

const held = new Set<() => void>();

/** Has something undone by {@link releaseAll}. */
export function hold(release: () => void): void {
  held.add(release);
}

/** Undoes what the helpers of this file have set up and the test has not, the newest first. */
export function releaseAll(): void {
  const failures: unknown[] = [];
  for (const release of [...held].toReversed()) {
    held.delete(release);
    try {
      release();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, 'Cannot undo everything that was mounted');
}

process.once('exit', () => releaseAll());

/** A new directory, gone after the test. */
export function makeScratch(): string {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-disk-'));
  hold(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

function unmount(mountpoint: string): void {
  // Lazily if somebody still holds it, so that nothing stays behind.
  if (!canRun('umount', mountpoint)) run('umount', '-l', mountpoint);
}

/** A tmpfs of its own, as large as `size` says (512k, 6m, ...). */
export class SmallDisk {
  readonly mountpoint: string = makeScratch();

  constructor(size: string) {
    run('mount', '-t', 'tmpfs', '-o', `size=${size}`, 'millrace', this.mountpoint);
    hold(() => unmount(this.mountpoint));
  }

  resize(size: string): void {
    run('mount', '-o', `remount,size=${size}`, this.mountpoint);
  }
}

/** How to make a file system in a file. */
export interface LoopDiskOptions {
  /** Where the file of the image is made; a directory of its own if it is left out. */
  readonly directory?: string;
  readonly mkfs?: readonly string[];
}

// A request of a loop device that its file takes only in part counts as written in whole. Requests of one page each are taken or not.
const REQUEST_KIB_MAX = '4';
const IMAGE_BYTES = { ext4: 64 << 20, xfs: 320 << 20 } as const;
const FORCE = { ext4: ['-F', '-q', '-b', '4096'], xfs: ['-f', '-q'] } as const;
const POWER_CUT = `
import fcntl, os, signal, struct, sys
root = os.open(sys.argv[1], os.O_RDONLY)
order = struct.pack("I", 2)
print("armed", flush=True)
writer = sys.stdin.readline().strip()
state = os.open("/proc/" + writer + "/stat", os.O_RDONLY)
sys.stdin.readline()
os.kill(int(writer), signal.SIGSTOP)
while os.pread(state, 400, 0).rpartition(b") ")[2][:1] != b"T":
    pass
fcntl.ioctl(root, 0x8004587d, order)
`;

/** A power cut that waits for its moment. */
export interface PowerCut {
  /** Names the process that dies with the power. */
  readonly aimAt: (pid: number) => void;
  readonly cut: () => Promise<void>;
}

/** A file system in a sparse file, mounted through a loop device. */
export class LoopDisk {
  readonly mountpoint: string;
  readonly #image: string;

  constructor(kind: 'ext4' | 'xfs', options: LoopDiskOptions = {}) {
    this.mountpoint = join(makeScratch(), 'mounted');
    mkdirSync(this.mountpoint);
    this.#image = join(options.directory ?? makeScratch(), 'image');
    writeFileSync(this.#image, '');
    truncateSync(this.#image, IMAGE_BYTES[kind]);
    run(`mkfs.${kind}`, ...FORCE[kind], ...(options.mkfs ?? []), this.#image);
    hold(() => {
      if (this.#isMounted()) unmount(this.mountpoint);
    });
    this.mount();
  }

  #isMounted(): boolean {
    return readFileSync('/proc/self/mounts', 'utf8').includes(` ${this.mountpoint} `);
  }

  mount(): void {
    const device = run('losetup', '--find', '--show', this.#image).trim();
    try {
      writeFileSync(`/sys/block/${basename(device)}/queue/max_sectors_kb`, REQUEST_KIB_MAX);
      run('mount', device, this.mountpoint);
    } finally {
      // From now on the device goes when it is unmounted, or at once if it is not mounted.
      run('losetup', '-d', device);
    }
  }

  unmount(): void {
    run('umount', this.mountpoint);
  }

  /** What a start of the machine does: the journal of the file system is replayed, the page cache is gone. */
  remount(): void {
    this.unmount();
    this.mount();
  }

  /**
   * Prepares a power cut for a process that is still to be named. The cut stops the process as a machine without power does, then shuts the file system down at once, without a flush
   * of its journal (FS_IOC_SHUTDOWN): what it was not told to sync is lost when it is mounted again. The process is to be killed; were it to go on, a sync that runs during the
   * shutdown might return as if it had succeeded (seen on ext4).
   */
  async armPowerCut(): Promise<PowerCut> {
    const cutter = spawn(findTool('python3') ?? 'python3', ['-c', POWER_CUT, this.mountpoint], { stdio: ['pipe', 'pipe', 'inherit'] });
    const ended = once(cutter, 'close');
    hold(() => cutter.kill('SIGKILL'));
    await once(cutter.stdout, 'data');
    return {
      aimAt: (pid) => void cutter.stdin.write(`${pid}\n`),
      async cut() {
        cutter.stdin.end('now\n');
        const [code] = await ended;
        if (code !== 0) throw new Error(`Cannot cut the power: exit code ${String(code)}`);
      },
    };
  }
}

/** A fault that strace puts in place of system calls, or around them. */
export interface Injection {
  /** Names of system calls, with commas; those that this architecture lacks are passed over. */
  readonly calls: string;
  /** As in strace: `error=EIO`, `retval=240`, `delay_enter=300000`. */
  readonly fault: string;
  /** Which calls, counted for each thread and each name: `3` the third, `3+` all from there, `3+7` every seventh from there. */
  readonly when: string;
  /** Only calls on this file count. */
  readonly path?: string;
}

/** The system calls of a process that strace changes, and how often it did. */
export class Injector {
  readonly wrapper: readonly string[];
  readonly #trace: string = join(makeScratch(), 'trace');

  constructor({ calls, fault, when, path }: Injection) {
    const names = calls.replaceAll(/\w+/g, '?$&');
    const only = path === undefined ? [] : ['-P', path];
    const filters = ['-e', `trace=${names}`, '-e', `inject=${names}:${fault}:when=${when}`];
    this.wrapper = [findTool('strace') ?? 'strace', '-f', '-qq', '--seccomp-bpf', '-o', this.#trace, ...only, ...filters];
  }

  /** The calls as strace prints them, one in each line. */
  lines(): string[] {
    return readFileSync(this.#trace, 'utf8').split('\n');
  }

  /** How many calls were changed. */
  fired(): number {
    return readFileSync(this.#trace, 'utf8').match(/\((INJECTED|DELAYED)\)/g)?.length ?? 0;
  }
}

const PAGE = Buffer.alloc(4096, 'x');

/** Writes a file until nothing more goes in; returns its size. */
export function fillFile(path: string): number {
  const file = openSync(path, 'w');
  try {
    for (;;) writeSync(file, PAGE);
  } catch (error) {
    if (!isErrno(error, 'ENOSPC')) throw error;
    return fstatSync(file).size;
  } finally {
    closeSync(file);
  }
}
