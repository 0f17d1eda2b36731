// What a program of the course must have put out, told from its input, and what it did put out, read from its files or its table. Nothing here comes from the engine.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Level } from 'level';
import type { KafkaServer } from './kafka-server.ts';
import type { PostgresServer } from './postgres-server.ts';

/** A server of its own, that a program writes into. */
export type Server = PostgresServer | KafkaServer;

/** Words or lines, and how often. */
export type Counts = ReadonlyMap<string, number>;

function countOf(items: readonly string[]): Counts {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(item, (counts.get(item) ?? 0) + 1);
  return counts;
}

const wordsOf = (lines: readonly string[]): Counts => countOf(lines.flatMap((line) => line.split(' ')));

/** The lines of all files of a file sink, in the order of the batches. */
function sinkLines(directory: string): readonly string[] {
  const timeOf = (name: string): number => Number(name.split('-')[1]);
  return readdirSync(directory)
    .filter((name) => name.startsWith('part-'))
    .toSorted((left, right) => timeOf(left) - timeOf(right))
    .flatMap((name) => readFileSync(join(directory, name), 'utf8').trimEnd().split('\n'));
}

function pairs(lines: readonly string[], isTotal: boolean): Counts {
  const counts = new Map<string, number>();
  for (const line of lines) {
    const [word, count] = JSON.parse(line) as [string, number];
    counts.set(word, isTotal ? count : (counts.get(word) ?? 0) + count);
  }
  return counts;
}

/** The lines of the directories that saveAsTextFiles made and finished. */
function savedLines(directory: string): readonly string[] {
  const finished = readdirSync(directory).filter((name) => existsSync(join(directory, name, '_SUCCESS')));
  return finished.flatMap((name) =>
    readdirSync(join(directory, name))
      .filter((part) => part.startsWith('part-'))
      .flatMap((part) => readFileSync(join(directory, name, part), 'utf8').split('\n'))
      .filter((line) => line !== ''),
  );
}

async function tableRows(directory: string): Promise<Counts> {
  const table = new Level<string, string>(directory, { createIfMissing: false });
  const counts = new Map<string, number>();
  for await (const [key, value] of table.sublevel('data').iterator()) counts.set(JSON.parse(key) as string, JSON.parse(value) as number);
  await table.close();
  return counts;
}

function databaseRows(server: Server | undefined): Counts {
  const rows = (server !== undefined && 'sql' in server ? server.sql('SELECT word, count FROM wordcount') : []).map((row) => row.split('|'));
  return new Map(rows.map(([word = '', count]) => [word, Number(count)]));
}

/** The last total of each word in the topic; one that goes back would be a record that came twice. */
function topicRows(server: Server | undefined): Counts {
  const counts = new Map<string, number>();
  for (const { key, value } of server !== undefined && 'read' in server ? server.read('wordcount') : []) {
    if (Number(value) < (counts.get(key) ?? 0)) throw new Error(`the total of "${key}" goes back from ${String(counts.get(key))} to ${value}`);
    counts.set(key, Number(value));
  }
  return counts;
}

/** How a program of the course is fed and checked. */
export interface Lesson {
  readonly input: 'socket' | 'files';
  /** Whether it writes into a server. */
  readonly server?: 'postgres' | 'kafka';
  /** What must come out for these lines. */
  expected(lines: readonly string[]): Counts;
  /** What came out, into the directory or, if it has a server, into that. */
  found(output: string, server: Server | undefined): Counts | Promise<Counts>;
}

/** The programs by name. */
export const LESSONS: Readonly<Record<string, Lesson>> = {
  'network-word-count': { input: 'socket', expected: wordsOf, found: (output) => pairs(sinkLines(output), false) },
  'hdfs-word-count': { input: 'files', expected: wordsOf, found: (output) => pairs(savedLines(output), false) },
  'update-state-by-key-word-count': { input: 'socket', expected: wordsOf, found: (output) => pairs(sinkLines(output), true) },
  'transform-blacklist': {
    input: 'socket',
    expected: (lines) => countOf(lines.filter((line) => !/ (be|not) /.test(line))),
    found: (output) => countOf(sinkLines(output)),
  },
  'persist-word-count': { input: 'socket', expected: wordsOf, found: tableRows },
  'persist-word-count-postgres': { input: 'socket', server: 'postgres', expected: wordsOf, found: (_output, server) => databaseRows(server) },
  'word-count-kafka': { input: 'socket', server: 'kafka', expected: wordsOf, found: (_output, server) => topicRows(server) },
};

/** How many of the expected are missing, and how many are there that should not be. */
export function compare(expected: Counts, found: Counts): { readonly lost: number; readonly doubled: number } {
  let [lost, doubled] = [0, 0];
  for (const item of new Set([...expected.keys(), ...found.keys()])) {
    const difference = (found.get(item) ?? 0) - (expected.get(item) ?? 0);
    if (difference < 0) lost -= difference;
    else doubled += difference;
  }
  return { lost, doubled };
}
