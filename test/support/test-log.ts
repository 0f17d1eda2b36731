// A log on a simulated disk with verbs, so that a test reads as what happens to it.
import { randomBytes } from 'node:crypto';
import { ManualClock, SeededRandom, SimDisk, SimProcess, createSimEnv, settle, type SimProcessOptions } from '../../src/testing/index.ts';
import { openWal } from '../../src/wal/open-wal.ts';
import { scanWal, type ScanOptions, type WalScan } from '../../src/wal/scan.ts';
import type { Wal, WalOptions } from '../../src/wal/wal.ts';
import type { Clock, LogFields } from '../../src/env/env.ts';
import { silentLogger } from '../../src/env/node-env.ts';
import type { StreamError } from '../../src/index.ts';
import { DiskSpace } from '../../src/journal/disk-space.ts';
import { Journal } from '../../src/journal/journal.ts';
import { emptyLedger } from '../../src/journal/ledger.ts';

const DIRECTORY = '/journal';

/** One log that survives its processes. */
export class TestLog {
  readonly disk = new SimDisk();
  readonly storeId: string;
  readonly poisons: StreamError[] = [];
  readonly clock = new ManualClock(0);
  /** What was logged as a warning. */
  readonly warnings: LogFields[] = [];
  process = new SimProcess();
  #epoch = 0;

  constructor(storeId: string = randomBytes(16).toString('hex')) {
    this.storeId = storeId;
    this.disk.makeDirectory(DIRECTORY);
    this.disk.syncDirectory('/');
  }

  get #env() {
    const logger = { ...silentLogger, warn: (fields: LogFields, message: string) => void this.warnings.push({ ...fields, message }) };
    return createSimEnv({ disk: this.disk, process: this.process, clock: this.clock, random: new SeededRandom(this.#epoch), logger });
  }

  #scanOptions(): ScanOptions {
    return { files: this.#env.files, directory: DIRECTORY, storeId: this.storeId, payloadBytesMax: 1 << 20, isSynced: true };
  }

  scan(): Promise<WalScan> {
    return scanWal(this.#scanOptions());
  }

  /** Starts a driver: scans and opens. */
  async open(options: SimProcessOptions & Partial<Pick<WalOptions, 'segmentBytesMax' | 'isPrepared' | 'isOwner'>> = {}): Promise<Wal> {
    this.process.kill();
    this.process = new SimProcess(options);
    this.#epoch += 1;
    const { wal } = await openWal(
      {
        env: this.#env,
        directory: DIRECTORY,
        storeId: this.storeId,
        epoch: this.#epoch,
        incarnation: String(this.#epoch).padStart(32, '0'),
        segmentBytesMax: options.segmentBytesMax ?? 1 << 20,
        recordBytesMax: 1 << 20,
        groupBytesMax: 1 << 16,
        idleMarkMs: 1000,
        isPrepared: options.isPrepared ?? false,
        isOwner: options.isOwner ?? (() => true),
        onPoisoned: (error) => this.poisons.push(error),
      },
      await this.scan(),
    );
    return wal;
  }

  /** The texts of all records. */
  async read(): Promise<string[]> {
    const texts: string[] = [];
    await scanWal(this.#scanOptions(), (frame) => texts.push(Buffer.from(frame.payload).toString()));
    return texts;
  }

  /** Ends the driver, as SIGKILL does. */
  crash(): void {
    this.process.kill();
    this.process = new SimProcess();
  }

  /** Lets everything run that is only waiting for promises. */
  settled(): Promise<void> {
    return settle();
  }

  /** The path of the n-th segment. */
  path(segment: number): string {
    return `${DIRECTORY}/${String(segment).padStart(16, '0')}.wal`;
  }

  /** Flips a bit. */
  flip(segment: number, offset: number): void {
    const bytes = this.disk.readVolatile(this.path(segment));
    bytes[offset] = (bytes[offset] ?? 0) ^ 1;
    this.disk.overwrite(this.path(segment), bytes);
  }

  /** Cuts a segment short. */
  truncate(segment: number, size: number): void {
    this.disk.overwrite(this.path(segment), this.disk.readVolatile(this.path(segment)).subarray(0, size));
  }

  size(segment: number): number {
    return this.disk.stat(this.path(segment))?.size ?? 0;
  }

  /** How many segments there are. */
  get segmentCount(): number {
    return this.segments().filter((name) => name.endsWith('.wal')).length;
  }

  segments(): readonly string[] {
    return this.disk.list(DIRECTORY);
  }
}

/** A journal without events on a log. */
export async function journalOn(
  log: TestLog,
  options: { readonly clock?: Clock; readonly cacheBytes?: number; readonly ballastBytes?: number } = {},
): Promise<{ readonly journal: Journal; readonly space: DiskSpace }> {
  const { clock = new ManualClock(0), cacheBytes = 1000, ballastBytes = 0 } = options;
  const wal = await log.open();
  const env = createSimEnv({ disk: log.disk, process: log.process, clock, random: new SeededRandom(1) });
  const fail = (error: Error): void => {
    throw error;
  };
  const space = new DiskSpace({ env, app: 'app', directory: '/', ballastBytes, fail });
  const journal = new Journal({ wal, ledger: emptyLedger(), space, directory: '/', epoch: 1, blockCacheBytesMax: cacheBytes });
  return { journal, space };
}

/** Appends texts at once, so that they share a group. */
export function appendAll(wal: Wal, ...texts: readonly string[]): Promise<unknown> {
  return Promise.all(texts.map((text) => wal.append({ type: 1, payload: [Buffer.from(text)] })));
}
