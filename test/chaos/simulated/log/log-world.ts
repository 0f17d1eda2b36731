// A log that lives on through its processes, and a model of what it must hold: written down when it was acknowledged, never read from the log.
import { createSimEnv, ManualClock, SeededRandom, settle, SimDisk, SimProcess, type SimProcessOptions } from '../../../../src/testing/index.ts';
import { openWal } from '../../../../src/wal/open-wal.ts';
import { scanWal } from '../../../../src/wal/scan.ts';
import type { Wal, WalOptions } from '../../../../src/wal/wal.ts';

export const DIRECTORY = '/journal';
const STORE = 'ab'.repeat(16);

/** How one life of the log is set up. */
export interface LogLifeOptions extends SimProcessOptions, Partial<Pick<WalOptions, 'segmentBytesMax' | 'groupBytesMax' | 'isPrepared' | 'isOwner'>> {
  readonly shortWrites?: boolean;
}

/** One process that has the log open. */
export interface LogLife {
  readonly process: SimProcess;
  readonly wal: Wal;
  readonly clock: ManualClock;
}

/** A record as the log gives it. */
export interface FoundRecord {
  readonly lsn: number;
  readonly id: number;
}

/** What an append came to. */
type Outcome = 'acknowledged' | 'refused' | 'unknown';

function encodeRecord(id: number, bytes: number): Buffer {
  const payload = Buffer.alloc(8 + bytes, id & 0xff);
  payload.writeUInt32LE(id, 0);
  payload.writeUInt32LE(bytes, 4);
  return payload;
}

function decodeRecord(payload: Uint8Array): number {
  const bytes = Buffer.from(payload);
  const id = bytes.readUInt32LE(0);
  if (!bytes.equals(encodeRecord(id, bytes.readUInt32LE(4)))) throw new Error(`record ${id} is not what was written`);
  return id;
}

/** A log in which records are numbered by the test. */
export class LogWorld {
  readonly disk = new SimDisk();
  readonly random: SeededRandom;
  /** By lsn: what must be in the log, because it was acknowledged or a recovery reported it. */
  #held = new Map<number, number>();
  /** Records of the last life whose outcome nobody knows, in the order of their append. */
  #unknown: number[] = [];
  #refused = new Set<number>();
  /** Below it the log may have been cut. */
  #cutLsn = 0;
  #ids = 0;
  #epoch = 0;

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    this.disk.makeDirectory(DIRECTORY);
    this.disk.syncDirectory('/');
  }

  /** The records that are held. */
  get heldCount(): number {
    return this.#held.size;
  }

  /** The last lsn that is held. */
  get lastLsn(): number {
    return Math.max(0, ...this.#held.keys());
  }

  /** Starts a process and opens the log; undefined if it died, or the error it failed with. */
  async open(options: LogLifeOptions = {}): Promise<LogLife | Error | undefined> {
    const process = new SimProcess(options);
    const clock = new ManualClock(0);
    this.#epoch += 1;
    const env = createSimEnv({
      disk: this.disk,
      process,
      clock,
      random: this.random,
      ...(options.shortWrites === true ? { shortWrites: this.random } : {}),
    });
    const scanOptions = { files: env.files, directory: DIRECTORY, storeId: STORE, payloadBytesMax: 1 << 16, isSynced: true };
    const found: FoundRecord[] = [];
    const opening = (async () => {
      const scan = await scanWal(scanOptions, (frame) => found.push({ lsn: frame.lsn, id: decodeRecord(frame.payload) }));
      return openWal(
        {
          env,
          directory: DIRECTORY,
          storeId: STORE,
          epoch: this.#epoch,
          incarnation: String(this.#epoch).padStart(32, '0'),
          segmentBytesMax: options.segmentBytesMax ?? 6000,
          recordBytesMax: 1 << 16,
          groupBytesMax: options.groupBytesMax ?? 4096,
          idleMarkMs: 1000,
          isPrepared: options.isPrepared ?? false,
          isOwner: options.isOwner ?? (() => true),
          onPoisoned: () => undefined,
        },
        scan,
      );
    })();
    const opened = await Promise.race([opening.catch((error: unknown) => error as Error), process.died.then(() => undefined)]);
    if (opened === undefined || opened instanceof Error) {
      process.kill();
      return opened;
    }
    this.#check(found);
    return { process, wal: opened.wal, clock };
  }

  /** Appends as many records at once; resolves when all have their outcome or the process is dead. */
  async append({ wal, process }: LogLife, sizes: readonly number[]): Promise<readonly Outcome[]> {
    const outcomes: Outcome[] = [];
    const ids = sizes.map(() => (this.#ids += 1));
    const appends = sizes.map(async (bytes, index) => {
      const id = ids[index] ?? 0;
      outcomes[index] = 'unknown';
      try {
        const { lsn } = await wal.append({ type: 1, payload: [encodeRecord(id, bytes)] });
        outcomes[index] = 'acknowledged';
        this.#held.set(lsn, id);
      } catch (error) {
        const isRefused = (error as { code?: string }).code === 'STREAM_DISK_FULL';
        outcomes[index] = isRefused ? 'refused' : 'unknown';
        if (isRefused) this.#refused.add(id);
      }
    });
    await Promise.race([Promise.all(appends), process.died]);
    // What was answered in the same moment is heard.
    await Promise.resolve();
    ids.forEach((id, index) => {
      if (outcomes[index] === 'unknown') this.#unknown.push(id);
    });
    return outcomes;
  }

  /** Cuts the log below a record. */
  async cut({ wal, process }: LogLife, lsn: number): Promise<void> {
    this.#cutLsn = Math.max(this.#cutLsn, lsn);
    await Promise.race([wal.cut(lsn).catch(() => undefined), process.died]);
  }

  /** Lets time pass, with what timers do in it. */
  async pass({ clock }: LogLife, ms: number): Promise<void> {
    clock.advance(ms);
    await settle();
  }

  /** What a recovery found against what it must: the held records, no gap, and behind them only what was in flight, in its order. */
  #check(found: readonly FoundRecord[]): void {
    const [first] = found;
    if (first !== undefined && first.lsn > Math.max(1, this.#cutLsn))
      throw new Error(`the log begins with record ${first.lsn}, it was cut below ${this.#cutLsn}`);
    let next = first?.lsn ?? 1;
    const beyond: number[] = [];
    for (const { lsn, id } of found) {
      if (lsn !== next) throw new Error(`record ${next} is missing before record ${lsn}`);
      next += 1;
      if (this.#refused.has(id)) throw new Error(`a refused record came back: ${id}`);
      const held = this.#held.get(lsn);
      if (held === undefined) beyond.push(id);
      else if (held !== id) throw new Error(`record ${lsn} is ${id}, acknowledged was ${held}`);
    }
    const last = this.lastLsn;
    if (last >= next) throw new Error(`records ${next} to ${last} were acknowledged and are gone`);
    const inFlight = this.#unknown.slice(0, beyond.length);
    if (JSON.stringify(beyond) !== JSON.stringify(inFlight))
      throw new Error(`behind the acknowledged records stand ${String(beyond)}, in flight were ${String(this.#unknown)}`);
    for (const { lsn, id } of found) this.#held.set(lsn, id);
    for (const lsn of this.#held.keys()) if (first === undefined ? lsn < this.#cutLsn : lsn < first.lsn) this.#held.delete(lsn);
    this.#unknown = [];
    this.#refused = new Set();
  }
}
