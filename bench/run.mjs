// Ratios that hold on any machine: the engine against hand-written loops, each the median over interleaved pairs of one run. And a large directory. The log is measured in bench/wal.
// Use: npm run bench. Exit code 1 if the engine costs more than 3 times the loop.
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { milliseconds, minutes, StreamingContext } from 'millrace';
import { inTemporaryDirectory, median, PAIRS } from './wal/measure.mjs';

const ENGINE_RATIO_MAX = 3;

/** Blocks of 100-byte lines: ten words of a vocabulary of 10,000, the frequent ones first as in Zipf's law. */
function makeBlocks(blocks, linesPerBlock) {
  let seed = 42;
  const random = () => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) / 2 ** 32;
  const word = () => `w${Math.floor(10_000 ** random())}`.padEnd(9, 'x');
  const line = () => `${Array.from({ length: 10 }, word).join(' ')}`.slice(0, 99).padEnd(99, 'y');
  return Array.from({ length: blocks }, () => Buffer.from(Array.from({ length: linesPerBlock }, () => `${line()}\n`).join('')));
}

function countByHand(blocks) {
  const counts = new Map();
  for (const block of blocks) {
    const lines = block.toString('utf8').split('\n');
    lines.pop();
    for (const line of lines) for (const word of line.split(' ')) counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return counts;
}

/** What is measured: a program that counts into a map, and the loop that does the same. */
const WORD_COUNT = {
  name: 'word count over 100-byte lines',
  byHand: countByHand,
  build: (lines, add) =>
    lines
      .flatMap((line) => line.split(' '))
      .map((word) => [word, 1])
      .reduceByKey((left, right) => left + right)
      .foreachRDD(async (rdd) => {
        for (const [word, count] of await rdd.collect()) add(word, count);
      }),
};
const NEEDLE = 'w42x';
const GREP = {
  name: 'grep over 100-byte lines',
  byHand(blocks) {
    let found = 0;
    for (const block of blocks) {
      const lines = block.toString('utf8').split('\n');
      lines.pop();
      for (const line of lines) if (line.includes(NEEDLE)) found += 1;
    }
    return new Map([[NEEDLE, found]]);
  },
  build: (lines, add) => lines.filter((line) => line.includes(NEEDLE)).foreachRDD(async (rdd) => add(NEEDLE, await rdd.count())),
};

/** Milliseconds from plan to completion of the batches that run the blocks through the engine, durable log and all. */
async function timeEngine(directory, program, { blocks, linesPerBlock }) {
  let busyMs = 0;
  let plannedAt = 0;
  let records = 0;
  const counts = new Map();
  const onPlanned = ({ recordCount }) => {
    records += recordCount;
    plannedAt = recordCount > 0 ? performance.now() : 0;
  };
  const onCompleted = () => {
    if (plannedAt > 0) busyMs += performance.now() - plannedAt;
  };
  const receiver = {
    codec: 'lines',
    async run(context) {
      await Promise.all(blocks.map((block) => context.storeEncoded(block, linesPerBlock)));
      await new Promise((resolve) => context.signal.addEventListener('abort', resolve, { once: true }));
    },
  };
  const create = () => {
    const context = new StreamingContext({
      appName: 'bench',
      batchInterval: milliseconds(500),
      checkpointInterval: minutes(60),
      receiverBufferBytesMax: 1 << 28,
    });
    program.build(context.receiverStream(receiver), (word, count) => counts.set(word, (counts.get(word) ?? 0) + count));
    return context;
  };
  subscribe('millrace:batch-planned', onPlanned);
  subscribe('millrace:batch-completed', onCompleted);
  const context = await StreamingContext.getOrCreate(directory, create);
  await context.start();
  while (records < blocks.length * linesPerBlock) await new Promise((resolve) => setTimeout(resolve, 20));
  await context.stop();
  unsubscribe('millrace:batch-planned', onPlanned);
  unsubscribe('millrace:batch-completed', onCompleted);
  return { ms: busyMs, counts };
}

async function benchEngine(program, blockCount) {
  const linesPerBlock = 10_000;
  const blocks = makeBlocks(blockCount, linesPerBlock);
  const lines = blocks.length * linesPerBlock;
  const ratios = [];
  const rates = [];
  for (let pair = 0; pair <= PAIRS; pair++) {
    const engine = await inTemporaryDirectory((directory) => timeEngine(directory, program, { blocks, linesPerBlock }));
    const start = performance.now();
    const byHand = program.byHand(blocks);
    const ms = performance.now() - start;
    for (const [word, count] of byHand)
      if (engine.counts.get(word) !== count) throw new Error(`the engine counts ${word} ${engine.counts.get(word)} times, not ${count}`);
    if (pair === 0) continue;
    ratios.push(engine.ms / ms);
    rates.push(lines / engine.ms);
  }
  const ratio = median(ratios);
  console.log(program.name.padEnd(52), `${ratio.toFixed(2)} times the hand-written loop`.padEnd(36), `${median(rates).toFixed(0)} thousand lines/s`);
  return ratio;
}

/** A directory with many files: how long a start takes that journals their names, and what a batch costs that finds nothing new. */
async function benchDirectory(files) {
  await inTemporaryDirectory(async (directory) => {
    mkdirSync(`${directory}/in`);
    for (let file = 0; file < files; file++) closeSync(openSync(`${directory}/in/${String(file).padStart(8, '0')}.txt`, 'w'));
    const started = performance.now();
    const delays = [];
    const context = await StreamingContext.getOrCreate(`${directory}/store`, () => {
      const made = new StreamingContext({ appName: 'bench', batchInterval: milliseconds(100), checkpointInterval: minutes(60) });
      made.textFileStream(`${directory}/in`).foreachRDD(() => undefined);
      made.addListener({ onBatchCompleted: ({ totalDelayMs }) => delays.push(totalDelayMs) });
      return made;
    });
    await context.start();
    const startMs = performance.now() - started;
    await new Promise((resolve) => setTimeout(resolve, 6000));
    await context.stop();
    console.log(
      `directory of ${files} files`.padEnd(52),
      `start ${startMs.toFixed(0)} ms; an empty batch ${median(delays).toFixed(1)} ms, at most ${Math.max(...delays).toFixed(0)} ms when it is listed`,
    );
  });
}

console.log(`Node ${process.version}, medians of ${PAIRS} interleaved pairs`);
const ratio = Math.max(await benchEngine(WORD_COUNT, 20), await benchEngine(GREP, 60));
await benchDirectory(100_000);
if (ratio > ENGINE_RATIO_MAX) {
  console.log(`the engine costs more than ${ENGINE_RATIO_MAX} times the loop`);
  process.exitCode = 1;
}
