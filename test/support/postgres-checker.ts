// What the tables of postgres-program.mjs must hold, read by psql and counted here: nothing of this comes from the engine.
import { expect } from 'vitest';
import type { Postgres } from './postgres.ts';

const WORDS = ['to', 'be', 'or', 'not'];

/** The tables of the program. `seq` has the order in which rows came. */
export function createTables(server: Postgres): void {
  server.sql(`DROP SCHEMA IF EXISTS millrace CASCADE; DROP TABLE IF EXISTS events, totals;
    CREATE TABLE events (seq bigint GENERATED ALWAYS AS IDENTITY, batch bigint, id int, word text);
    CREATE TABLE totals (word text PRIMARY KEY, total int)`);
}

/** How many records there are. */
export function eventCount(server: Postgres): number {
  return Number(server.sql('SELECT count(*) FROM events')[0]);
}

/** Each id exactly once, each batch whole (a run of ids without a gap), each word in order, totals as counted. Returns how many ids there are. */
export function checkTables(server: Postgres, logs: readonly string[] = []): number {
  const rows = server.sql('SELECT batch, id, word FROM events ORDER BY seq').map((line) => line.split('|'));
  const ids = rows.map(([, id]) => Number(id));
  const sorted = ids.toSorted((left, right) => left - right);
  expect(sorted).toEqual(Array.from({ length: ids.length }, (_unused, index) => index));
  const batches = new Map<string, number[]>();
  const lastOf = new Map<string, number>();
  for (const [batch = '', id, word = ''] of rows) {
    batches.set(batch, [...(batches.get(batch) ?? []), Number(id)]);
    expect(Number(id)).toBeGreaterThan(lastOf.get(word) ?? -1);
    lastOf.set(word, Number(id));
  }
  for (const members of batches.values()) expect(Math.max(...members) - Math.min(...members) + 1).toBe(members.length);
  const totals = Object.fromEntries(server.sql('SELECT word, total FROM totals').map((line) => line.split('|')));
  expect(totals).toEqual(Object.fromEntries(WORDS.map((word, index) => [word, String(Math.ceil((ids.length - index) / WORDS.length))])));
  // What was acknowledged is there.
  const durable = logs.flatMap((log) => [...log.matchAll(/^durable (\d+)$/gm)].map(([, number]) => Number(number)));
  expect(ids.length).toBeGreaterThan(Math.max(-1, ...durable.slice(-1000)));
  return ids.length;
}
