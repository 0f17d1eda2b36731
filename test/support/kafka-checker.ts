// What the topics of kafka-program.mjs must hold, read by Kafka's own client and counted here: nothing of this comes from the engine.
import { expect } from 'vitest';
import type { KafkaBroker } from './kafka-broker.mjs';

const WORDS = ['to', 'be', 'or', 'not'];

/** Each id exactly once, each batch whole (a run of ids without a gap), each key in order; the last total of each word as counted, and totals that never go back. Returns how many ids there are. */
export function checkTopics(broker: KafkaBroker, topics: { readonly events: string; readonly totals: string }, logs: readonly string[] = []): number {
  const ids: number[] = [];
  const batches = new Map<number, number[]>();
  const lastOf = new Map<string, number>();
  const records = broker.read(topics.events, topics.totals);
  for (const { key, value } of records.filter(({ topic }) => topic === topics.events)) {
    const [batch = 0, id = 0] = value.split(' ').map(Number);
    ids.push(id);
    batches.set(batch, [...(batches.get(batch) ?? []), id]);
    expect(key).toBe(WORDS[id % WORDS.length]);
    expect(id).toBeGreaterThan(lastOf.get(key) ?? -1);
    lastOf.set(key, id);
  }
  expect(ids.toSorted((left, right) => left - right)).toEqual(Array.from({ length: ids.length }, (_unused, index) => index));
  for (const members of batches.values()) expect(Math.max(...members) - Math.min(...members) + 1).toBe(members.length);
  const totals = new Map<string, number>();
  for (const { key, value } of records.filter(({ topic }) => topic === topics.totals)) {
    expect(Number(value)).toBeGreaterThanOrEqual(totals.get(key) ?? 0);
    totals.set(key, Number(value));
  }
  expect(Object.fromEntries(totals)).toEqual(Object.fromEntries(WORDS.map((word, index) => [word, Math.ceil((ids.length - index) / WORDS.length)])));
  // What was acknowledged is there.
  const durable = logs.flatMap((log) => [...log.matchAll(/^durable (\d+)$/gm)].map(([, number]) => Number(number)));
  expect(ids.length).toBeGreaterThan(Math.max(-1, ...durable.slice(-1000)));
  return ids.length;
}
