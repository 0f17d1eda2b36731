// Pure: one record of the log as a line for people or as an object for programs. Payloads are left out.
import { CorruptionError } from '../core/errors.ts';
import { decodeEvent } from '../journal/event-codec.ts';
import type { JournalEvent } from '../journal/events.ts';
import type { Frame } from '../wal/frame.ts';

/** Facts about an event that tell it from others of its kind. */
export type EventFacts = Readonly<Record<string, string | number | boolean>>;

/** A record of the log. */
export interface RecordLine {
  readonly lsn: number;
  readonly segment: number;
  readonly offset: number;
  readonly group: number;
  /** Bytes of its frame. */
  readonly bytes: number;
  readonly payloadBytes: number;
  /** The kind of event; `undecodable` where the record is whole and no event that this version knows. */
  readonly kind: JournalEvent['kind'] | 'undecodable';
  readonly facts: EventFacts;
}

/** The facts about an event. */
export function factsOf(event: JournalEvent): EventFacts {
  switch (event.kind) {
    case 'opened':
      return { epoch: event.epoch, app: event.app, codeVersion: event.codeVersion };
    case 'block-added': {
      const { stream, blockId, recordCount, unloggedBytes } = event;
      return { stream, blockId, recordCount, ...(unloggedBytes === undefined ? {} : { unloggedBytes }) };
    }
    case 'batch-planned': {
      const inputs = [...event.inputs.values()];
      const blocks = inputs.reduce((sum, input) => sum + input.blocks.length, 0);
      const files = inputs.reduce((sum, input) => sum + (input.files?.length ?? 0), 0);
      return { batchTime: event.batchTime, planId: event.planId, blocks, files };
    }
    case 'batch-completed':
      return { batchTime: event.batchTime, sinks: event.written.size };
    case 'checkpoint':
      return { number: event.number, batchTime: event.batchTime, upToLsn: event.lsn };
    case 'forgotten':
      return { states: event.states.length, sinks: event.sinks.length, streams: event.streams.length };
    case 'batch-replaced':
      return { batchTime: event.batchTime, by: event.by, sinks: event.committed.size };
    case 'closed':
      return {};
    case 'source-positioned':
      return { stream: event.stream, files: event.files.length, isComplete: event.isComplete };
  }
}

/** A record, its event, and why it is none if it is none. */
export interface RecordReading {
  readonly line: RecordLine;
  readonly event: JournalEvent | undefined;
  readonly problem: CorruptionError | undefined;
}

/** Reads the record of a frame. Nothing of the frame is kept but the payload of a block, in `event`. */
export function readRecord(frame: Frame, segment: number): RecordReading {
  const { lsn, offset, group, frameBytes: bytes, payload } = frame;
  const common = { lsn, segment, offset, group, bytes, payloadBytes: payload.length };
  try {
    const event = decodeEvent(frame.type, payload, lsn);
    return { line: { ...common, kind: event.kind, facts: factsOf(event) }, event, problem: undefined };
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error;
    return { line: { ...common, kind: 'undecodable', facts: { type: frame.type, code: error.code } }, event: undefined, problem: error };
  }
}

/** The facts as words. */
export function factsText(facts: EventFacts): string {
  return Object.entries(facts)
    .map(([name, value]) => `${name}=${/^[^\s"=]+$/.test(String(value)) ? String(value) : JSON.stringify(value)}`)
    .join(' ');
}

/** A record as a line for people. */
export function recordText({ lsn, segment, offset, group, bytes, kind, facts }: RecordLine): string {
  const place = `${String(lsn).padStart(8)}  segment ${segment} offset ${String(offset).padStart(8)}  group ${group}  ${bytes} bytes`;
  return `${place}  ${kind} ${factsText(facts)}`.trimEnd();
}

/** A record as a line of JSON. */
export function recordJson({ facts, ...line }: RecordLine): string {
  return JSON.stringify({ ...line, ...facts });
}
