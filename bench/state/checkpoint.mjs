// What a checkpoint of a large state costs: 1 M keys of mapWithState, keys of 16 bytes, values of about 40. One line for each figure; ratios are of this run.
// Run: npm run bench:state. KEYS=100000 makes it short.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Checkpoints } from '../../dist/checkpoint/checkpoints.js';
import { createLevelCheckpointStore } from '../../dist/checkpoint/level-checkpoint-store.js';
import { keyText, slotOfText } from '../../dist/core/key-slot.js';
import { createNodeEnv } from '../../dist/env/node-env.js';
import { createPacer } from '../../dist/env/pacer.js';
import { JSON_CODEC } from '../../dist/state/state-codec.js';
import { KeyedState } from '../../dist/state/keyed-state.js';
import { keepValue } from '../../dist/state/state-value.js';

const KEYS = Number(process.env.KEYS ?? 1_000_000);
const CHANGED = Math.round(KEYS / 100);
const ROUNDS = 9;
const FULL_ROUNDS = 7;
const SLOTS = Math.min(1024, KEYS);
const { clock } = createNodeEnv();
const { signal } = new AbortController();
const mib = (bytes) => (bytes / 1024 / 1024).toFixed(0);
const median = (numbers) => numbers.toSorted((left, right) => left - right)[Math.floor(numbers.length / 2)];
const span = (all) => `${Math.min(...all.map((one) => one.ms)).toFixed(1)}-${Math.max(...all.map((one) => one.ms)).toFixed(1)}`;
const keyOf = (index) => `user-${String(index).padStart(11, '0')}`;
const valueOf = (index, round) => ({ count: round + index, last: 'abcdef', rate: 0.5 });

function change(state, indexes, round) {
  const slots = new Map();
  for (const index of indexes) {
    const text = keyText(keyOf(index));
    const slot = slotOfText(text);
    const changes = slots.get(slot) ?? new Map();
    slots.set(slot, changes.set(text, keepValue(valueOf(index, round), JSON_CODEC)));
  }
  for (const [slot, changes] of slots) state.merge(slot, changes);
}

/** Writes a checkpoint as the engine does; resolves to milliseconds, the longest stretch that held up the event loop, and what was written. */
async function checkpoint(held) {
  const { state, checkpoints } = held;
  // What batches left behind is theirs.
  globalThis.gc({ type: 'minor' });
  const delays = monitorEventLoopDelay({ resolution: 1 });
  await new Promise((resolve) => setTimeout(resolve, 50));
  delays.enable();
  await new Promise((resolve) => setTimeout(resolve, 20));
  delays.reset();
  const begun = performance.now();
  held.number += 1;
  const { writes, kept } = state.begin();
  const fixed = performance.now() - begun;
  let bytes = 0;
  const changed = writes.map((write) => ({
    ...write,
    uid: 's',
    written: (payload) => {
      bytes += payload.length;
      write.written(payload);
    },
  }));
  const pacer = createPacer(clock, 5, signal);
  const draft = { number: held.number, lsn: 0, batchTime: 0, app: 'a', storeId: 's', metadata: '', previous: held.retained[0], ledger: Buffer.from('{}') };
  const stored = await checkpoints.write({ ...draft, changed, kept }, () => pacer.step());
  state.saved(stored.head.slots);
  const old = held.retained[1];
  held.retained = [stored, ...held.retained].slice(0, 2);
  if (old !== undefined) await checkpoints.drop(old, held.retained);
  const ms = performance.now() - begun;
  await new Promise((resolve) => setTimeout(resolve, 20));
  delays.disable();
  return { ms, fixed, bytes, blockedMs: delays.max / 1e6, blobs: stored.head.slots.reduce((sum, { blobs }) => sum + blobs.length, 0) };
}

const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
try {
  const store = createLevelCheckpointStore(directory);
  await store.open('create');
  const held = { state: new KeyedState('s'), checkpoints: new Checkpoints(store), number: 0, retained: [] };
  for (let from = 0; from < KEYS; from += 20_000)
    change(
      held.state,
      Array.from({ length: Math.min(20_000, KEYS - from) }, (_, index) => from + index),
      0,
    );
  globalThis.gc();
  console.log(`state of ${KEYS} keys: ${mib(process.memoryUsage().rss)} MiB RSS, ${mib(process.memoryUsage().heapUsed)} MiB heap`);
  const fulls = [];
  for (let round = 0; round < FULL_ROUNDS; round++) {
    // Nothing is known of what was written before, and each slot has changed: so all of it is written.
    if (round > 0) {
      const slots = new Map();
      for (let index = 0; slots.size < SLOTS && index < KEYS; index++) slots.set(slotOfText(keyText(keyOf(index))), index);
      held.state.saved([]);
      change(held.state, slots.values(), round);
      await held.checkpoints.retain(held.retained);
    }
    fulls.push(await checkpoint(held));
  }
  const full = median(fulls.map((one) => one.ms));
  console.log(
    `full: ${full.toFixed(0)} ms (the first ${fulls[0].ms.toFixed(0)}, ${span(fulls)}), ${mib(fulls[0].bytes)} MiB; fixing it took ${fulls[0].fixed.toFixed(1)} ms, the event loop was held up ${Math.max(...fulls.map((one) => one.blockedMs)).toFixed(1)} ms at most`,
  );
  const some = [];
  for (let round = 1; round <= ROUNDS * 3; round++) {
    change(
      held.state,
      Array.from({ length: CHANGED }, (_, index) => (index * 97 + round * 7919) % KEYS),
      round,
    );
    some.push(await checkpoint(held));
  }
  const ms = median(some.map((one) => one.ms));
  console.log(
    `${CHANGED} keys changed: ${ms.toFixed(1)} ms (${span(some)}), ${(median(some.map((one) => one.bytes)) / 1024).toFixed(0)} KiB, ${some.at(-1).blobs} blobs at the end`,
  );
  console.log(
    `fixing it ${median(some.map((one) => one.fixed)).toFixed(1)} ms; the event loop was held up ${Math.max(...some.map((one) => one.blockedMs)).toFixed(1)} ms at most`,
  );
  console.log(`ratio of full to changed: ${(full / ms).toFixed(1)} (asked: 20)`);
  const begun = performance.now();
  const refs = held.retained[0].head.slots;
  const blobs = await held.checkpoints.readBlobs(refs.flatMap((ref) => ref.blobs));
  const read = performance.now() - begun;
  let next = 0;
  const restored = new KeyedState(
    's',
    undefined,
    refs.map((ref) => ({ ref, payloads: ref.blobs.map(() => blobs[next++]) })),
  );
  for (let slot = 0; slot < 1024; slot++) restored.slot(slot);
  console.log(
    `reading it: ${read.toFixed(0)} ms, decoding it: ${(performance.now() - begun - read).toFixed(0)} ms; RSS ${mib(process.memoryUsage().rss)} MiB with two states`,
  );
  await store.close();
} finally {
  rmSync(directory, { recursive: true });
}
