// A log on a simulated disk with verbs, so that a test reads as what happens to it.
import { randomBytes } from 'node:crypto';
import { ManualClock, SeededRandom, SimDisk, SimProcess, createSimEnv, type SimProcessOptions } from '../../src/testing/index.ts';
import { replaySpans, scanWal, type ScanOptions, type WalScan } from '../../src/wal/scan.ts';
import { openWal, type Wal } from '../../src/wal/wal.ts';
import type { StreamError } from '../../src/index.ts';

const DIRECTORY = '/journal';

/** One log that survives its processes. */
export class TestLog {
  readonly disk = new SimDisk();
  readonly storeId = randomBytes(16).toString('hex');
  readonly poisons: StreamError[] = [];
  process = new SimProcess();
  #epoch = 0;

  constructor() {
    this.disk.makeDirectory(DIRECTORY);
    this.disk.syncDirectory('/');
  }

  get #env() {
    return createSimEnv({ disk: this.disk, process: this.process, clock: new ManualClock(0), random: new SeededRandom(this.#epoch) });
  }

  #scanOptions(): ScanOptions {
    return { files: this.#env.files, directory: DIRECTORY, storeId: this.storeId, payloadBytesMax: 1 << 20, isSynced: true };
  }

  scan(): Promise<WalScan> {
    return scanWal(this.#scanOptions());
  }

  /** Starts a driver: scans and opens. */
  async open(options: SimProcessOptions & { readonly segmentBytesMax?: number } = {}): Promise<Wal> {
    this.process.kill();
    this.process = new SimProcess(options);
    this.#epoch += 1;
    return openWal(
      {
        env: this.#env,
        directory: DIRECTORY,
        storeId: this.storeId,
        epoch: this.#epoch,
        incarnation: String(this.#epoch).padStart(32, '0'),
        segmentBytesMax: options.segmentBytesMax ?? 1 << 20,
        recordBytesMax: 1 << 20,
        groupBytesMax: 1 << 16,
        onPoisoned: (error) => this.poisons.push(error),
      },
      await this.scan(),
    );
  }

  /** The texts of all records. */
  async read(): Promise<string[]> {
    const texts: string[] = [];
    const scan = await this.scan();
    await replaySpans(this.#scanOptions(), scan.spans, { fromLsn: 0, visit: (frame) => texts.push(Buffer.from(frame.payload).toString()) });
    return texts;
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

  segments(): readonly string[] {
    return this.disk.list(DIRECTORY);
  }
}

/** Appends texts at once, so that they share a group. */
export function appendAll(wal: Wal, ...texts: readonly string[]): Promise<unknown> {
  return Promise.all(texts.map((text) => wal.append({ type: 1, payload: [Buffer.from(text)] })));
}
