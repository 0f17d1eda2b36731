// What the rules of a sink work with: drivers on a place of their own, which can be killed, and looks at what a reader sees.
import { StreamError, toError, type ErrorCode } from '../core/errors.ts';
import type { CommitKey } from '../core/ids.ts';
import { toBatchTime } from '../core/time.ts';
import type { CommitRecord, LedgerRow, PreparedRows, Sink, SinkSession, SinkView } from '../sinks/sink.ts';
import { SimProcess, type SimProcessOptions } from './sim-process.ts';

/** A place of its own for one sink: a table, a directory, a topic. */
export interface SinkPlace<T> {
  /**
   * Makes a sink on this place as a new driver would: it shares nothing with the one before but the place. What it does to the outside are steps of `process`, as far as the test can
   * wrap them (`process.run`): the suite ends the process before each of them.
   */
  readonly createSink: (process: SimProcess) => Sink<T>;
  /** What a reader sees, as the rows that were given; in any order. */
  readonly read: () => readonly T[] | Promise<readonly T[]>;
  /** Frees what a driver that is dead still holds in this process, such as a lock or a connection. */
  readonly bury?: (sink: Sink<T>) => void | Promise<void>;
  /** Takes the place away. */
  readonly remove?: () => void | Promise<void>;
}

/** A kind of sink, and what it can do. */
export interface SinkUnderTest<T> {
  /** Makes a new place that no sink has used; called for each rule, and for each step at which a driver dies. */
  readonly createPlace: () => SinkPlace<T> | Promise<SinkPlace<T>>;
  /** A row that differs from that of every other number. */
  readonly row: (number: number) => T;
  /** Whether two drivers can have the place open at one time; not so where an exclusive lock keeps the second out. */
  readonly isShared: boolean;
}

/** How a driver starts. */
export interface DriverStart {
  readonly epoch: number;
  /** Tells drivers of one epoch apart. */
  readonly twin?: string;
  readonly storeId?: string;
  readonly fate?: SimProcessOptions;
}

/** A driver with its sink. */
export class Driver<T> {
  readonly sink: Sink<T>;
  readonly process: SimProcess;
  readonly session: SinkSession;
  readonly #row: (number: number) => T;

  constructor(place: SinkPlace<T>, row: (number: number) => T, start: DriverStart) {
    const { epoch, twin = '', storeId = STORE } = start;
    this.process = new SimProcess(start.fate);
    this.sink = place.createSink(this.process);
    this.#row = row;
    this.session = { app: APP, sink: SINK, storeId, epoch, incarnation: hex(`${epoch}${twin}`), partitions: [0, 1] };
  }

  open(): Promise<SinkView> {
    return this.sink.open(this.session);
  }

  look({ app = APP, sink = SINK }: { readonly app?: string; readonly sink?: string } = {}): Promise<SinkView> {
    return this.sink.look({ app, sink, storeId: this.session.storeId });
  }

  /** The rows with these numbers. */
  prepare(...numbers: readonly number[]): PreparedRows {
    return this.sink.prepare(numbers.map((number) => this.#row(number)));
  }

  /** Commits rows of a batch, whose plan is named by its time. */
  commit(rows: PreparedRows, batch: Batch): Promise<'committed' | 'duplicate'> {
    const { time, previous, partition = 0, plan = planOf(time) } = batch;
    const key: CommitKey = { app: APP, sink: SINK, batchTime: toBatchTime(time), partitionId: partition };
    const record: CommitRecord = { planId: plan, fingerprint: rows.fingerprint, ...(previous === undefined ? {} : { previous: toBatchTime(previous) }) };
    return this.sink.commit(key, rows, record);
  }
}

/** Which batch a commit is of, and which it follows. */
export interface Batch {
  readonly time: number;
  readonly previous?: number;
  readonly partition?: number;
  readonly plan?: string;
}

/** What a rule works with. */
export interface Bench<T> {
  readonly isShared: boolean;
  /** Makes a driver of an epoch, not open yet. */
  readonly driver: (epoch: number, more?: { readonly twin?: string; readonly storeId?: string }) => Driver<T>;
  /** Ends a driver as SIGKILL does. */
  readonly kill: (driver: Driver<T>) => Promise<void>;
  /** Fails unless exactly the rows with these numbers are there. */
  readonly expectRows: (...numbers: readonly number[]) => Promise<void>;
}

const APP = 'conformance';
const SINK = 'rows';
const STORE = '5'.repeat(32);
const DIGITS = 32;

function hex(text: string): string {
  return Buffer.from(text).toString('hex').padEnd(DIGITS, '0');
}

/** The plan id of a batch. */
export function planOf(time: number): string {
  return hex(`plan${time}`);
}

/** Fails unless two values are the same. */
export function expectSame(what: string, found: unknown, expected: unknown): void {
  const [left, right] = [JSON.stringify(found), JSON.stringify(expected)];
  if (left !== right) throw new Error(`${what} must be ${right ?? 'undefined'}: it is ${left ?? 'undefined'}`);
}

/** Fails unless the promise rejects with an error of this code. */
export async function expectRefusal(what: string, promise: Promise<unknown>, code?: ErrorCode): Promise<void> {
  const found = await promise.then(
    () => 'resolved',
    (error: unknown) => (error instanceof StreamError ? error.code : toError(error).message),
  );
  if (found === 'resolved' || (code !== undefined && found !== code))
    throw new Error(`${what} must reject${code === undefined ? '' : ` with ${code}`}: it ${found === 'resolved' ? 'resolved' : `rejected with ${found}`}`);
}

/** What a ledger row must be of. */
export interface ExpectedRow {
  readonly time: number;
  readonly rows: PreparedRows;
  readonly epoch: number;
  readonly plan?: string;
}

/** Fails unless the ledger row is of this batch and these rows. */
export function expectRow(view: SinkView, partition: number, expected: ExpectedRow): void {
  const { time, rows, epoch, plan = planOf(time) } = expected;
  const row: LedgerRow = { batchTime: toBatchTime(time), planId: plan, epoch, fingerprint: rows.fingerprint, rows: rows.rowCount };
  const found = view.rows.get(partition);
  const { batchTime, planId, epoch: by, fingerprint, rows: count } = found ?? ({} as Partial<LedgerRow>);
  expectSame(`the ledger row of partition ${partition}`, { batchTime, planId, epoch: by, fingerprint, rows: count }, row);
}

/** Fails unless the ledger has exactly these rows, by partition. */
export function expectLedger(view: SinkView, expected: ReadonlyMap<number, ExpectedRow>): void {
  const partitions = (rows: ReadonlyMap<number, unknown>): readonly number[] => [...rows.keys()].toSorted((left, right) => left - right);
  expectSame('the partitions in the ledger', partitions(view.rows), partitions(expected));
  for (const [partition, row] of expected) expectRow(view, partition, row);
}

function benchOf<T>({ row, isShared }: SinkUnderTest<T>, place: SinkPlace<T>, drivers: Driver<T>[]): Bench<T> {
  return {
    isShared,
    driver(epoch, more = {}) {
      const driver = new Driver(place, row, { epoch, ...more });
      drivers.push(driver);
      return driver;
    },
    async kill(driver) {
      driver.process.kill();
      await place.bury?.(driver.sink);
    },
    async expectRows(...numbers) {
      const show = (rows: readonly T[]): readonly string[] => rows.map((each) => JSON.stringify(each)).toSorted();
      expectSame('what a reader sees', show(await place.read()), show(numbers.map((number) => row(number))));
    },
  };
}

/** Runs work on a place of its own, and ends every driver it made. */
export async function onPlace<T>(sink: SinkUnderTest<T>, work: (bench: Bench<T>, place: SinkPlace<T>, drivers: Driver<T>[]) => Promise<void>): Promise<void> {
  const place = await sink.createPlace();
  const drivers: Driver<T>[] = [];
  try {
    await work(benchOf(sink, place, drivers), place, drivers);
  } finally {
    for (const driver of drivers) {
      driver.process.kill();
      await place.bury?.(driver.sink);
    }
    await place.remove?.();
  }
}
