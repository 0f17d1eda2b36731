// The cost of the log: appends against raw writes, many receivers against one, a writer thread against this thread, the look at `identity`, framing and checksum, and the scan of a start.
// Use: npm run bench:wal. Exit code 1 if a ratio misses its target.
import { closeSync, fdatasyncSync, fsyncSync, openSync, readdirSync, readSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { Worker } from 'node:worker_threads';
import { cpus } from 'node:os';
import { crc32 } from 'node:zlib';
import { milliseconds, StreamingContext } from 'millrace';
import { createNodeEnv } from '../../dist/env/node-env.js';
import { encodeFrame } from '../../dist/wal/frame.js';
import { newIdentity, raiseEpoch, watchIdentity, writeIdentity } from '../../dist/journal/identity.js';
import { scanWal } from '../../dist/wal/scan.js';
import { inTemporaryDirectory, interleaved, KIB, median, MIB, openLog, PAIRS, report, scanOptions } from './measure.mjs';

const missed = [];

function target(name, isMet) {
  if (!isMet) missed.push(name);
}

const RECORD = (bytes) => ({ type: 2, payload: [Buffer.alloc(bytes - 40, 7)] });

/** Seconds to append `groups` groups, each durable before the next. */
async function timeLog(directory, { bytes, groups, ...options }) {
  const wal = await openLog(directory, options);
  const record = RECORD(bytes);
  if (options.isPrepared !== false) await becomePrepared(wal, directory);
  const start = performance.now();
  for (let group = 0; group < groups; group++) await wal.append(record);
  const seconds = (performance.now() - start) / 1000;
  await wal.close();
  return seconds;
}

/** Appends until the zeros of the first segment are used up and the next one is prepared: as a log is that has run for a while. */
async function becomePrepared(wal, directory) {
  while (wal.bytes < 2 * MIB) {
    await wal.append(RECORD(256 * KIB));
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  while (wal.bytes < 64 * MIB) await new Promise((resolve) => setTimeout(resolve, 5));
  if (!readdirSync(directory).some((name) => name.endsWith('.tmp'))) throw new Error('there is no prepared segment');
}

/** Seconds for the same with writeSync and fdatasyncSync into a growing file. */
function timeRaw(directory, { bytes, groups }) {
  const fd = openSync(`${directory}/raw`, 'w');
  const payload = Buffer.alloc(bytes, 7);
  const start = performance.now();
  for (let group = 0; group < groups; group++) {
    writeSync(fd, payload);
    fdatasyncSync(fd);
  }
  const seconds = (performance.now() - start) / 1000;
  closeSync(fd);
  return seconds;
}

async function benchAppend(bytes, groups) {
  const { one, ratio } = await interleaved(
    (directory) => timeRaw(directory, { bytes, groups }),
    (directory) => timeLog(directory, { bytes, groups }),
  );
  const grown = await interleaved(
    (directory) => timeRaw(directory, { bytes, groups }),
    (directory) => timeLog(directory, { bytes, groups, isPrepared: false }),
  );
  const name = `append, groups of ${bytes / KIB} KiB, ${groups} of them`;
  report(
    name,
    `${ratio.toFixed(2)} of raw write + fdatasync`,
    `${grown.ratio.toFixed(2)} when it is never idle; raw ${((groups * bytes) / MIB / one).toFixed(0)} MiB/s`,
  );
  if (bytes >= 64 * KIB) target(`${name}: at least 0.8`, ratio >= 0.8);
}

/** Seconds in which `receivers` append 4 KiB each, one after another on their own. */
async function timeReceivers(directory, receivers, appends) {
  const wal = await openLog(directory);
  const record = RECORD(4 * KIB);
  const start = performance.now();
  await Promise.all(
    Array.from({ length: receivers }, async () => {
      for (let append = 0; append < appends / receivers; append++) await wal.append(record);
    }),
  );
  const seconds = (performance.now() - start) / 1000;
  await wal.close();
  return seconds;
}

async function benchReceivers() {
  const appends = 1600;
  const { one, ratio } = await interleaved(
    (directory) => timeReceivers(directory, 1, appends),
    (directory) => timeReceivers(directory, 8, appends),
  );
  report('8 receivers at 4 KiB', `${ratio.toFixed(2)} times the appends/s of one`, `one: ${(appends / one).toFixed(0)} appends/s`);
  target('8 receivers: at least 3 times one', ratio >= 3);
}

/** A writer thread: takes the pieces of a group by transfer, writes and syncs them there, answers. */
const WRITER_THREAD = `
const { parentPort, workerData } = require('node:worker_threads');
const fs = require('node:fs');
const fd = fs.openSync(workerData, 'r+');
let position = 0;
parentPort.on('message', (bytes) => {
  if (bytes === null) { fs.closeSync(fd); parentPort.postMessage(0); return; }
  fs.writevSync(fd, [bytes], position);
  fs.fdatasyncSync(fd);
  position += bytes.length;
  parentPort.postMessage(0);
});`;

function zeroFilled(directory, bytes) {
  const path = `${directory}/zeros`;
  const fd = openSync(path, 'w');
  for (let done = 0; done < bytes; done += MIB) writeSync(fd, Buffer.alloc(MIB));
  fsyncSync(fd);
  closeSync(fd);
  return path;
}

async function timeThread(directory, { bytes, groups }) {
  const worker = new Worker(WRITER_THREAD, { eval: true, workerData: zeroFilled(directory, bytes * groups) });
  const answered = () => new Promise((resolve) => worker.once('message', resolve));
  await new Promise((resolve) => worker.once('online', resolve));
  const start = performance.now();
  for (let group = 0; group < groups; group++) {
    const copy = Buffer.from(new ArrayBuffer(bytes)).fill(7);
    copy.writeUInt32LE(crc32(copy.subarray(4)), 0);
    const done = answered();
    worker.postMessage(copy, [copy.buffer]);
    await done;
  }
  const seconds = (performance.now() - start) / 1000;
  const closed = answered();
  worker.postMessage(null);
  await closed;
  await worker.terminate();
  return seconds;
}

async function benchThread(bytes, groups) {
  const { ratio } = await interleaved(
    (directory) => timeThread(directory, { bytes, groups }),
    (directory) => timeLog(directory, { bytes, groups }),
  );
  report(`a writer thread, groups of ${bytes / KIB} KiB`, `takes ${ratio.toFixed(2)} times as long as this thread`, '');
}

/** What a look at `identity` costs, beside an append. */
async function benchIdentity() {
  const bytes = 64 * KIB;
  const shares = [];
  for (let pair = 0; pair <= PAIRS; pair++) {
    const share = await inTemporaryDirectory(async (directory) => {
      const env = createNodeEnv();
      const made = newIdentity(env, 'bench');
      await writeIdentity(env, directory, made);
      const identity = await raiseEpoch(env, directory, made);
      const watch = await watchIdentity(env, directory, identity);
      const groups = 200;
      const append = (await timeLog(directory, { bytes, groups })) / groups;
      const looks = 10_000;
      const start = performance.now();
      for (let look = 0; look < looks; look++) watch.isOwner();
      const look = (performance.now() - start) / 1000 / looks;
      await watch.close();
      return look / append;
    });
    if (pair > 0) shares.push(share);
  }
  const share = median(shares);
  report('look at identity, groups of 64 KiB', `${(100 * share).toFixed(2)} % of an append`, '');
  target('look at identity: under 3 % of an append', share < 0.03);
}

/** Microseconds of CPU, of all threads, that `work` takes. */
async function cpuOf(work) {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

/** A program that receives blocks of lines, logs them and looks for a word: what the log is part of. */
async function runProgram(directory, blocks, linesPerBlock) {
  let received = 0;
  const receiver = {
    codec: 'lines',
    async run(context) {
      for (const block of blocks) {
        await context.ready();
        await context.storeEncoded(block, linesPerBlock);
      }
      received = blocks.length;
      await new Promise((resolve) => context.signal.addEventListener('abort', resolve, { once: true }));
    },
  };
  const context = await StreamingContext.getOrCreate(directory, () => {
    const made = new StreamingContext({ appName: 'bench', batchInterval: milliseconds(100), blockInterval: milliseconds(1) });
    made
      .receiverStream(receiver)
      .filter((line) => line.includes('w42x'))
      .foreachRDD(async (rdd) => void (await rdd.count()));
    return made;
  });
  await context.start();
  while (received < blocks.length) await new Promise((resolve) => setTimeout(resolve, 10));
  await context.stop();
}

/** CPU of framing and checksum, as a share of the CPU of a run: of a program, and of a loop that does nothing but append. */
async function benchFraming() {
  const bytes = 64 * KIB;
  const groups = 400;
  const line = 'some words of a line that is a hundred bytes long with its line feed, so that a block has 655 of it\n';
  const block = Buffer.from(line.repeat(Math.floor(bytes / line.length)));
  const { payload } = RECORD(bytes);
  const shares = { program: [], loop: [] };
  for (let pair = 0; pair <= PAIRS; pair++) {
    const program = await inTemporaryDirectory((directory) =>
      cpuOf(() =>
        runProgram(
          directory,
          Array.from({ length: groups }, () => block),
          Math.floor(bytes / line.length),
        ),
      ),
    );
    const loop = await inTemporaryDirectory(async (directory) => {
      const wal = await openLog(directory);
      await becomePrepared(wal, directory);
      const used = await cpuOf(async () => {
        for (let group = 0; group < groups; group++) await wal.append({ type: 2, payload });
      });
      await wal.close();
      return used;
    });
    const framing = await cpuOf(() => {
      for (let group = 0; group < groups; group++) encodeFrame({ type: 2, flags: 1, salt: 1, lsn: group, group, durableLsn: group }, payload);
    });
    if (pair === 0) continue;
    shares.program.push(framing / program);
    shares.loop.push(framing / loop);
  }
  const share = median(shares.program);
  report(
    'framing and checksum, groups of 64 KiB',
    `${(100 * share).toFixed(1)} % of the CPU of a run (grep)`,
    `${(100 * median(shares.loop)).toFixed(1)} % of a loop that only appends`,
  );
  target('framing and checksum: under 10 % of the CPU of a run', share < 0.1);
}

function dropCaches() {
  try {
    execFileSync('sync');
    writeFileSync('/proc/sys/vm/drop_caches', '1');
    return true;
  } catch {
    return false;
  }
}

/** Seconds to read all files of a directory with read calls of 1 MiB. */
function timeRead(directory) {
  const buffer = Buffer.alloc(MIB);
  const start = performance.now();
  for (const name of readdirSync(directory)) {
    const fd = openSync(`${directory}/${name}`, 'r');
    while (readSync(fd, buffer, 0, buffer.length, null) > 0);
    closeSync(fd);
  }
  return (performance.now() - start) / 1000;
}

async function timeScan(directory) {
  const start = performance.now();
  await scanWal(scanOptions(directory));
  return (performance.now() - start) / 1000;
}

/** The scan of a start against reading the same files. */
async function benchScan(isCold) {
  await inTemporaryDirectory(async (directory) => {
    const wal = await openLog(directory);
    const record = RECORD(256 * KIB);
    for (let block = 0; block < 1600; block++) await wal.append(record);
    await wal.close();
    const bytes = readdirSync(directory).reduce((sum, name) => sum + statSync(`${directory}/${name}`).size, 0);
    if (isCold && !dropCaches()) return report('scan of a start, cold cache', 'NOT RUN: /proc/sys/vm/drop_caches cannot be written');
    const ratios = [];
    let rate = 0;
    for (let pair = 0; pair <= PAIRS; pair++) {
      if (isCold) dropCaches();
      const raw = timeRead(directory);
      if (isCold) dropCaches();
      const scan = await timeScan(directory);
      if (pair > 0) ratios.push(raw / scan);
      rate = bytes / MIB / scan;
    }
    const ratio = median(ratios);
    const name = `scan of a start, ${isCold ? 'cold' : 'warm'} cache, ${(bytes / MIB).toFixed(0)} MiB`;
    report(name, `${ratio.toFixed(2)} of raw read`, `${rate.toFixed(0)} MiB/s`);
    target(`${name}: at least ${isCold ? 0.5 : 0.3}`, ratio >= (isCold ? 0.5 : 0.3));
  });
}

console.log(`${new Date().toISOString().slice(0, 10)}, Node ${process.version}, ${cpus().length} x ${cpus()[0]?.model}, medians of ${PAIRS} interleaved pairs`);
const only = process.argv[2];
const BENCHES = {
  append: async () => {
    await benchAppend(4 * KIB, 800);
    await benchAppend(64 * KIB, 400);
    await benchAppend(MIB, 60);
  },
  receivers: benchReceivers,
  thread: async () => {
    await benchThread(4 * KIB, 800);
    await benchThread(64 * KIB, 400);
    await benchThread(MIB, 60);
  },
  identity: benchIdentity,
  framing: benchFraming,
  scan: async () => {
    await benchScan(false);
    await benchScan(true);
  },
};
for (const [name, bench] of Object.entries(BENCHES)) if (only === undefined || only === name) await bench();
for (const name of missed) console.log(`MISSED ${name}`);
process.exitCode = missed.length === 0 ? 0 : 1;
