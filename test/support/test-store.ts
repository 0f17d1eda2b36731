// A store on a simulated disk whose log is written event by event, and the command line tool on it.
import { run } from '../../src/cli/run.ts';
import type { ToolCode } from '../../src/cli/exit-codes.ts';
import { Checkpoints } from '../../src/checkpoint/checkpoints.ts';
import { milliseconds } from '../../src/index.ts';
import { toBatchTime } from '../../src/core/time.ts';
import { encodeEvent } from '../../src/journal/event-codec.ts';
import type { BatchPlanned, JournalEvent } from '../../src/journal/events.ts';
import { writeIdentity } from '../../src/journal/identity.ts';
import {
  createSimCheckpointStore,
  createSimEnv,
  ManualClock,
  SeededRandom,
  SimCheckpointImage,
  SimProcess,
  type SimProcessOptions,
} from '../../src/testing/index.ts';
import type { Wal } from '../../src/wal/wal.ts';
import { TestLog } from './test-log.ts';

/** The directory of the store: that of the log is below it. */
const DIRECTORY = '/';

/** What a command came to. */
export interface Ran {
  readonly code: ToolCode;
  readonly out: readonly string[];
  readonly err: readonly string[];
}

/** Events in the order of a program's life. */
export const EVENTS = {
  opened: (epoch: number): JournalEvent => ({
    kind: 'opened',
    epoch,
    incarnation: '',
    storeId: '',
    format: 1,
    app: 'app',
    codeVersion: '1',
    graph: { batchIntervalMs: milliseconds(100), operators: [] },
  }),
  block: (blockId: string, text = 'a line'): JournalEvent => ({
    kind: 'block-added',
    stream: 'lines',
    blockId,
    recordCount: 1,
    codec: 'utf8',
    payload: [Buffer.from(`${text}\n`)],
  }),
  planned: (time: number, ...blocks: readonly string[]): JournalEvent =>
    ({
      kind: 'batch-planned',
      batchTime: toBatchTime(time),
      planId: `plan-${time}`,
      inputs: new Map([['lines', { blocks }]]),
      outputs: new Map([['totals', 1]]),
      shuffles: new Map(),
      graphFingerprint: '',
      codeVersion: '1',
    }) satisfies BatchPlanned,
  completed: (time: number): JournalEvent => ({ kind: 'batch-completed', batchTime: toBatchTime(time), written: new Map(), stateDigest: '' }),
  checkpoint: (number: number, lsn: number): JournalEvent => ({ kind: 'checkpoint', number, batchTime: toBatchTime(0), lsn, headHash: '' }),
};

/** One store that survives its processes. */
export class TestStore {
  readonly log = new TestLog();
  readonly image = new SimCheckpointImage();
  readonly clock = new ManualClock(5000);

  #envOf(process: SimProcess) {
    return createSimEnv({ disk: this.log.disk, process, clock: this.clock, random: new SeededRandom(1) });
  }

  /** Writes the identity. */
  async identify(): Promise<void> {
    const identity = { format: 1, storeId: this.log.storeId, app: 'app', epoch: 3, incarnation: '' };
    await writeIdentity(this.#envOf(new SimProcess()), DIRECTORY, identity);
  }

  /** Appends events one after another, each in a group of its own. */
  async append(wal: Wal, ...events: readonly JournalEvent[]): Promise<void> {
    for (const event of events) await wal.append(encodeEvent(event));
  }

  /** Puts a checkpoint that was folded up to `lsn` into the checkpoint store. */
  async writeCheckpoint(number: number, lsn: number): Promise<void> {
    const store = createSimCheckpointStore(this.image, new SimProcess());
    await store.open(this.image.isCreated ? 'existing' : 'create');
    const draft = { number, lsn, batchTime: 0, app: 'app', storeId: this.log.storeId, metadata: '', previous: undefined, ledger: Buffer.from('{}') };
    await new Checkpoints(store).write({ ...draft, changed: [], kept: [] });
    await store.close();
  }

  /** A store with three segments: records 1 to 4, then 4 again to 7, then 7 again to 9. */
  static async ofThree(): Promise<TestStore> {
    const store = new TestStore();
    await store.identify();
    const { opened, block, planned, completed } = EVENTS;
    await store.append(await store.log.open(), opened(1), block('1-1'), block('1-2'), planned(100, '1-1'));
    await store.append(await store.log.open(), opened(2), block('2-1'), completed(100));
    await store.append(await store.log.open(), opened(3), block('3-1'));
    store.log.process.kill();
    store.image.isCreated = true;
    return store;
  }

  /** Runs the tool; the answer is undefined if it is killed. */
  async runIn(options: SimProcessOptions, ...words: readonly string[]): Promise<{ readonly ran: Ran | undefined; readonly process: SimProcess }> {
    const process = new SimProcess(options);
    const out: string[] = [];
    const err: string[] = [];
    const tool = {
      env: this.#envOf(process),
      createStore: () => createSimCheckpointStore(this.image, process),
      load: (path: string) => Promise.reject(new Error(`no module is at ${path}`)),
      out: (line: string) => void out.push(line),
      err: (line: string) => void err.push(line),
    };
    const ended = run(words, tool).then((code): Ran => ({ code, out, err }));
    const ran = await Promise.race([ended, process.died.then(() => undefined)]);
    const isAlive = process.isAlive;
    process.kill();
    return { ran: isAlive ? ran : undefined, process };
  }

  /** Runs the tool. */
  async run(...words: readonly string[]): Promise<Ran> {
    const { ran } = await this.runIn({}, ...words);
    if (ran === undefined) throw new Error('the tool died');
    return ran;
  }

  /** Every file with its bytes and the time of its last change. */
  content(): Readonly<Record<string, string>> {
    const { disk } = this.log;
    const paths = ['/identity', ...disk.list('/journal').map((name) => `/journal/${name}`)].filter((path) => disk.stat(path) !== undefined);
    return Object.fromEntries(paths.map((path) => [path, `${disk.stat(path)?.modifiedMs} ${disk.readVolatile(path).toString('base64')}`]));
  }
}
