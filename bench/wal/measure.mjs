// What all benchmarks of the log share: directories, medians over interleaved pairs, a log that is open.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createNodeEnv } from '../../dist/env/node-env.js';
import { openWal } from '../../dist/wal/open-wal.js';
import { scanWal } from '../../dist/wal/scan.js';

export const PAIRS = Number(process.env.PAIRS ?? 7);
export const KIB = 1024;
export const MIB = 1024 * KIB;

const STORE = '0'.repeat(32);

export function median(values) {
  return values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)];
}

export async function inTemporaryDirectory(work) {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
  try {
    return await work(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Measures `one` and `other` in turn and returns the median of one/other, and of each. The first pair warms up. */
export async function interleaved(one, other, pairs = PAIRS) {
  const ones = [];
  const others = [];
  for (let pair = 0; pair <= pairs; pair++) {
    const left = await inTemporaryDirectory(one);
    const right = await inTemporaryDirectory(other);
    if (pair === 0) continue;
    ones.push(left);
    others.push(right);
  }
  return { one: median(ones), other: median(others), ratio: median(ones.map((value, index) => value / others[index])) };
}

export function scanOptions(directory, isSynced = false) {
  return { files: createNodeEnv().files, directory, storeId: STORE, payloadBytesMax: 16 * MIB, isSynced };
}

/** A log that is open, as a driver opens it. */
export async function openLog(directory, options = {}) {
  const { wal } = await openWal(
    {
      env: createNodeEnv(),
      directory,
      storeId: STORE,
      epoch: 1,
      incarnation: STORE,
      segmentBytesMax: 64 * MIB,
      recordBytesMax: 16 * MIB,
      groupBytesMax: 4 * MIB,
      idleMarkMs: 1000,
      isPrepared: true,
      isOwner: () => true,
      onPoisoned: (error) => {
        throw error;
      },
      ...options,
    },
    await scanWal(scanOptions(directory)),
  );
  return wal;
}

export function report(name, text, figures = '') {
  console.log(name.padEnd(52), text.padEnd(46), figures);
}
