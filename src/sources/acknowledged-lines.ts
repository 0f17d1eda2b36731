// The protocol of acknowledged lines, as a decoder: lines in, what to do out. docs/acknowledged-lines.md has the grammar and a dialogue.
import { SourceError } from '../core/errors.ts';

const GREETING = /^millrace-lines 1 (\S{1,256}) (\d{1,15})$/;
const NUMBERED = /^(\d{1,15}) /;
const LINE_FEED = 10;

/** The first line a feeder sends. */
export interface Greeting {
  /** The id of its text: the source partition. */
  readonly textId: string;
  /** How many lines it has so far: the number of the line that would come next. */
  readonly lines: number;
}

function violation(source: string, expected: string, found: string): SourceError {
  const shown = JSON.stringify(found.length > 80 ? `${found.slice(0, 80)}…` : found);
  return new SourceError('STREAM_SOURCE_PROTOCOL', `Cannot take lines of ${source} as the feeder must send ${expected}: found ${shown}`);
}

/** Reads the greeting. */
export function parseGreeting(source: string, line: string): Greeting {
  const match = GREETING.exec(line);
  if (match?.[1] === undefined) throw violation(source, '"millrace-lines 1 <text id> <number of lines>" first', line);
  return { textId: match[1], lines: Number(match[2]) };
}

/**
 * The first line to ask for.
 *
 * @param held - The position behind the last durable line of this text; undefined if the text is new.
 * @throws {SourceError} If the feeder has fewer lines than were already received.
 */
export function firstLine(source: string, greeting: Greeting, held: number | undefined): number {
  if (held !== undefined && greeting.lines < held) {
    throw new SourceError(
      'STREAM_SOURCE_BEHIND',
      `Cannot go on with the text "${greeting.textId}" of ${source} as it must have at least the ${held} lines that were received from it: it has ${greeting.lines}`,
    );
  }
  return held ?? 0;
}

/** The texts of numbered lines, each followed by a line feed. */
export interface NumberedRun {
  readonly bytes: Buffer;
  readonly count: number;
  /** The number behind the last line. */
  readonly until: number;
}

/**
 * Takes the numbers off whole lines, which must continue at `next`.
 *
 * @throws {SourceError} If a line has no number or not the next one.
 */
export function stripNumbers(source: string, lines: Buffer, next: number): NumberedRun {
  const pieces: Buffer[] = [];
  let expected = next;
  for (let start = 0; start < lines.length;) {
    const end = lines.indexOf(LINE_FEED, start);
    const match = NUMBERED.exec(lines.toString('latin1', start, Math.min(end, start + 17)));
    if (match === null || Number(match[1]) !== expected)
      throw violation(source, `line ${expected}, as "${expected} <text>",`, lines.toString('utf8', start, end));
    pieces.push(lines.subarray(start + match[0].length, end + 1));
    expected += 1;
    start = end + 1;
  }
  return { bytes: Buffer.concat(pieces), count: pieces.length, until: expected };
}
