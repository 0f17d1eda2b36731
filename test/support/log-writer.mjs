// A program that appends numbered records to a log and says, line by line and synchronously, what became of each:
//   try N            append was called        ok N    it resolved        done   all records are in
//   refused N CODE   it was rejected; N is 0 when the log did not open
// What is refused because the disk is full is tried again until it is taken. Any other refusal ends the program with the exit code of the error.
// Arguments: the directory, which must be there, and options as JSON: {records, bytes, segmentBytesMax, parallel, isPrepared?, reportPath?}.
import { openSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { openLog } from './real-log.mjs';

const RETRY_MS = 50;
const GIVE_UP_MS = 10_000;

const [directory = '', json = '{}'] = process.argv.slice(2);
const { records, bytes, segmentBytesMax, parallel, isPrepared, reportPath } = JSON.parse(json);
const report = reportPath === undefined ? 1 : openSync(reportPath, 'a');

function say(line) {
  writeSync(report, `${line}\n`);
}

/** The number again and again, up to the length of a record. */
function textOf(number) {
  return `${number} `.repeat(Math.ceil(bytes / 2)).slice(0, bytes);
}

/** Runs `attempt` until it is not refused for a full disk. */
async function persist(number, attempt) {
  const giveUpAt = performance.now() + GIVE_UP_MS;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      say(`refused ${number} ${error.code ?? error.name}`);
      if (error.code !== 'STREAM_DISK_FULL' || performance.now() > giveUpAt) throw error;
      await sleep(RETRY_MS);
    }
  }
}

async function main() {
  const log = await persist(0, () => openLog(directory, { segmentBytesMax, isPrepared }));
  let number = log.texts.reduce((most, text) => Math.max(most, Number.parseInt(text, 10)), 0);
  const last = number + records;
  let isFailed = false;
  const appendSome = async () => {
    while (number < last && !isFailed) {
      number += 1;
      const own = number;
      try {
        await persist(own, () => {
          say(`try ${own}`);
          return log.append(textOf(own));
        });
      } catch (error) {
        isFailed = true;
        throw error;
      }
      say(`ok ${own}`);
    }
  };
  const results = await Promise.allSettled(Array.from({ length: parallel }, appendSome));
  await log.close().catch(() => undefined);
  for (const result of results) if (result.status === 'rejected') throw result.reason;
  say('done');
}

try {
  await main();
} catch (error) {
  console.error(error);
  process.exitCode = error.exitCode ?? 1;
}
