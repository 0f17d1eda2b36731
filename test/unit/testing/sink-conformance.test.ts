// Goal: the conformance suite passes on each sink we have, and finds what is wrong with each of those that break one rule. Method: sinks over simulated worlds, which die at each step; a sink in memory with one flaw.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { levelSink } from '../../../src/index.ts';
import { createFileSink } from '../../../src/sinks/file-sink.ts';
import { checkSinkConformance, createSimFileSystem, createSimSink, SimDisk, SimProcess, SimTable, type SinkUnderTest } from '../../../src/testing/index.ts';
import { createMemorySink, MemoryTable, type Flaw } from '../../support/broken-sinks.ts';

const row = (number: number): number => number;

function memory(flaw?: Flaw, isShared = true): SinkUnderTest<number> {
  return {
    createPlace() {
      const table = new MemoryTable();
      return { createSink: (process) => createMemorySink(table, process, flaw), read: () => table.rows };
    },
    row,
    isShared,
  };
}

/** Writes in two steps, between which another driver could come: that would be found first. */
const IN_TWO_STEPS: readonly Flaw[] = ['rows-before-the-ledger', 'ledger-before-the-rows'];

const SIMULATED: SinkUnderTest<number> = {
  createPlace() {
    const table = new SimTable<number>();
    return { createSink: (process) => createSimSink(table, process), read: () => table.commits.flatMap(({ rows }) => rows) };
  },
  row,
  isShared: true,
};

const FILES: SinkUnderTest<number> = {
  createPlace() {
    const disk = new SimDisk();
    return {
      createSink: (process) => createFileSink(createSimFileSystem(disk, process), { directory: '/out', format: 'ndjson' }),
      async read() {
        const files = createSimFileSystem(disk, new SimProcess());
        const rows: number[] = [];
        for (const name of (await files.list('/out')).filter((each) => each.startsWith('part-'))) {
          const handle = await files.open(`/out/${name}`, 'read');
          const lines = Buffer.from(await handle.read(0, 1 << 16))
            .toString()
            .trimEnd();
          rows.push(...lines.split('\n').map(Number));
          await handle.close();
        }
        return rows;
      },
    };
  },
  row,
  isShared: true,
};

const LEVEL: SinkUnderTest<number> = {
  createPlace() {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-conformance-'));
    // The directory is open in one place at a time: what a reader sees goes through the sink that has it.
    let current: ReturnType<typeof create>;
    const create = () => levelSink({ directory: join(directory, 'table'), key: (number: number) => number, value: () => true });
    return {
      createSink: () => (current = create()),
      async read() {
        const rows: number[] = [];
        for await (const [key] of current.entries()) rows.push(key);
        return rows;
      },
      bury: (sink) => sink.close(),
      remove: () => rmSync(directory, { recursive: true }),
    };
  },
  row,
  isShared: false,
};

describe('checkSinkConformance()', () => {
  it.each([
    ['the sink in memory', memory()],
    ['the simulated sink', SIMULATED],
    ['the Level sink', LEVEL],
    ['the file sink', FILES],
  ])('passes %s', async (_name, sink) => expect((await checkSinkConformance(sink)).length).toBeGreaterThan(10));

  const broken: readonly (readonly [Flaw, rule: string, found: string])[] = [
    ['claims-at-a-look', 'a place that nobody used is an empty view, and a look changes nothing', 'the fence of a place that nobody used must be undefined'],
    ['fingerprint-without-order', 'prepare is pure', 'four partitions that differ must be 4: it is 3'],
    ['no-ledger-row', 'a commit writes the rows and the ledger row', 'the ledger row of partition 0 must be {"batchTime":100'],
    ['one-ledger-for-all', 'outputs have ledgers of their own', 'an output that never committed'],
    ['one-ledger-for-all-applications', 'outputs have ledgers of their own', 'the same output of another application'],
    ['never-a-duplicate', 'the same commit again is a duplicate', 'must be "duplicate": it is "committed"'],
    ['fingerprint-not-compared', 'other rows under a plan', 'must reject with STREAM_BATCH_DIFFERS: it resolved'],
    ['plan-not-compared', 'under another plan', 'must reject with STREAM_SINK_CONFLICT: it resolved'],
    [
      'any-older-row-will-do',
      'a commit follows the row it expects',
      'a commit behind a newer row than there is must reject with STREAM_SINK_CONFLICT: it resolved',
    ],
    ['one-row-for-all-partitions', 'a partition without rows keeps its row', 'Cannot commit partition 1 of batch 100'],
    ['equal-epoch-will-do', 'a claim needs a greater epoch', 'the same epoch by a twin must reject with STREAM_FENCED: it resolved'],
    ['fence-read-at-open-only', 'a driver behind a newer one', 'a commit of the older driver must reject with STREAM_FENCED: it resolved'],
    ['claim-in-two-steps', 'of two that claim one epoch', 'the number of those that got it must be 1: it is 3'],
    ['fence-let-go-before-the-write', 'a claim beside a commit', 'whether the newer driver sees the commit must be true: it is false'],
    ['takes-rows-when-closed', 'a sink that is closed takes nothing', 'must reject: it resolved'],
    ['rows-before-the-ledger', 'dies between any two steps', 'what a reader sees must be ["1","2","3"]: it is ["1","2","3","3"]'],
    ['ledger-before-the-rows', 'dies between any two steps', 'what a reader sees must be ["1","2","3"]: it is ["1","2"]'],
    ['failed-counts-as-not-done', 'outcome is unknown', 'step 2 of the commit: what a reader sees must be ["1","2","3"]: it is ["1","2","3","3"]'],
    ['repeats-by-itself-without-a-judgement', 'outcome is unknown', 'step 2 of the commit: what a reader sees must be ["1","2","3"]: it is ["1","2","3","3"]'],
    [
      'first-commit-in-two-steps',
      'dies between any two steps of a commit',
      'step 3 of the first commit of a partition: what a reader sees must be ["1","2","3"]: it is ["1","2","3","3"]',
    ],
    [
      'failed-first-commit-is-not-judged',
      'outcome is unknown is repeated',
      'step 2 of the first commit of a partition: what a reader sees must be ["1","2","3"]',
    ],
    ['ledger-moved-at-open', 'dies between any two steps of open', 'step 3 of open: the partitions in the ledger must be [0]: it is []'],
    ['lock-left-by-a-death-in-open', 'dies between any two steps of open', 'step 2 of open: locked'],
    ['ledger-dropped-by-a-failed-open', 'an open whose outcome is unknown', 'step 1 of open: the partitions in the ledger must be [0]: it is []'],
  ];
  it.each(broken)('finds %s', async (flaw, rule, found) => {
    const refusal = await checkSinkConformance(memory(flaw, !IN_TWO_STEPS.includes(flaw))).then(
      () => 'nothing',
      (error: unknown) => String(error),
    );
    expect(refusal).toContain(`as it must keep the rule "`);
    expect(refusal.split('": ')[0]).toContain(rule);
    expect(refusal).toContain(found);
  });
});
