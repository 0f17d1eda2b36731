// Goal: a driver that looks at a file sink while another one commits sees what is there, and no error. Method: the simulated disk; the look is stopped at each step, the other one commits meanwhile.
import { expect, it } from 'vitest';
import { toBatchTime } from '../../../src/core/time.ts';
import type { Sink, SinkSession } from '../../../src/index.ts';
import { createFileSink } from '../../../src/sinks/file-sink.ts';
import { createSimFileSystem, SimDisk, SimProcess } from '../../../src/testing/index.ts';

const IDENTITY = { app: 'app', sink: 'files', storeId: 's' };
const SESSION: SinkSession = { ...IDENTITY, epoch: 1, incarnation: 'i', partitions: [0] };

function sinkOf(disk: SimDisk, process: SimProcess): Sink<string> {
  return createFileSink<string>(createSimFileSystem(disk, process), { directory: '/out', format: 'ndjson' });
}

async function commit(sink: Sink<string>, batchTime: number): Promise<void> {
  const rows = sink.prepare([`row of ${batchTime}`]);
  const previous = batchTime === 100 ? {} : { previous: toBatchTime(batchTime - 100) };
  const key = { ...IDENTITY, batchTime: toBatchTime(batchTime), partitionId: 0 };
  await sink.commit(key, rows, { planId: `p${batchTime}`, fingerprint: rows.fingerprint, ...previous });
}

/** A sink that holds one batch. */
async function oneBatch(): Promise<SimDisk> {
  const disk = new SimDisk();
  const sink = sinkOf(disk, new SimProcess());
  await sink.open(SESSION);
  await commit(sink, 100);
  return disk;
}

/** Another driver that takes the sink and commits the second batch. */
async function write(disk: SimDisk, process: SimProcess): Promise<void> {
  const sink = sinkOf(disk, process);
  await sink.open({ ...SESSION, epoch: 2 });
  await commit(sink, 200);
}

it('a look goes on behind records that another driver moves on', async () => {
  const plain = [new SimProcess(), new SimProcess()] as const;
  const disk = await oneBatch();
  await write(disk, plain[0]);
  await sinkOf(disk, plain[1]).look(IDENTITY);
  let pauses = 0;
  for (let writerAt = 1; writerAt <= plain[0].steps; writerAt++) {
    for (let at = 1; at <= plain[1].steps + 5; at++) {
      const place = await oneBatch();
      // The writer is stopped, maybe with a record that is pending, until the look has come to a step of its own.
      const writing = new SimProcess({ pauseAt: { at: writerAt, isAfter: false } });
      const written = write(place, writing);
      await Promise.race([writing.paused, written]);
      const looking = new SimProcess({ pauseAt: { at, isAfter: false } });
      const look = sinkOf(place, looking).look(IDENTITY);
      pauses += Number((await Promise.race([looking.paused.then(() => 'paused'), look])) === 'paused');
      writing.resume();
      await written;
      looking.resume();
      expect([100, 200]).toContain((await look).rows.get(0)?.batchTime);
    }
  }
  expect(pauses).toBeGreaterThan(50);
});
