// Events as bytes: the length of a JSON text, the text, and for blocks the payload behind it. The frame's type says which event it is; docs/format-journal.md lists them.
import { ByteReader, ByteWriter } from '../core/bytes.ts';
import { CorruptionError, toError } from '../core/errors.ts';
import { graphDescriptorShape } from '../core/graph-descriptor.ts';
import { array, boolean, count, dictionary, object, optional, string, type Shape } from '../core/shape.ts';
import { toBatchTime } from '../core/time.ts';
import type {
  BatchCompleted,
  BatchPlanned,
  BatchReplaced,
  BlockAdded,
  CheckpointWritten,
  Forgotten,
  InputFile,
  JournalEvent,
  Opened,
  SourcePositioned,
  SourceRange,
} from './events.ts';

/** The version written into every event, and the only one read. Part of the format. */
export const EVENT_VERSION = 1;

/** The frame type of each event. Part of the format: never change or reuse a number. */
export const EVENT_TYPES: { readonly [K in JournalEvent['kind']]: number } = {
  opened: 1,
  'block-added': 2,
  'batch-planned': 3,
  'batch-completed': 4,
  checkpoint: 5,
  closed: 6,
  'source-positioned': 7,
  forgotten: 8,
  'batch-replaced': 9,
};

const rangeShape: Shape<SourceRange> = object<{ [K in keyof SourceRange]: SourceRange[K] }>({ partition: string, from: count, until: count });

const openedShape = object<Omit<Opened, 'kind'>>({
  epoch: count,
  incarnation: string,
  storeId: string,
  format: count,
  app: string,
  codeVersion: string,
  graph: graphDescriptorShape,
});

const blockShape = object<
  Omit<BlockAdded, 'kind' | 'payload' | 'ranges'> & { readonly ranges: readonly SourceRange[] | undefined; readonly unloggedBytes: number | undefined }
>({
  stream: string,
  blockId: string,
  recordCount: count,
  codec: string,
  ranges: optional(array(rangeShape)),
  unloggedBytes: optional(count),
});

/** Reads a planned file back from data. */
export const inputFileShape: Shape<InputFile> = object<{ [K in keyof InputFile]: InputFile[K] }>({
  name: string,
  size: count,
  inode: string,
  pieceBytes: count,
  hashes: array(string),
});

const inputShape = object<{ blocks: readonly string[]; files: readonly InputFile[] | undefined; filesGone: readonly string[] | undefined }>({
  blocks: array(string),
  files: optional(array(inputFileShape)),
  filesGone: optional(array(string)),
});

const positionedShape = object<Omit<SourcePositioned, 'kind'>>({ stream: string, files: array(string), isComplete: boolean });

const plannedShape = object<Omit<BatchPlanned, 'kind' | 'batchTime'> & { batchTime: number }>({
  batchTime: count,
  planId: string,
  inputs: dictionary(inputShape),
  outputs: dictionary(count),
  shuffles: dictionary(count),
  graphFingerprint: string,
  codeVersion: string,
});

const completedShape = object<{ batchTime: number; written: ReadonlyMap<string, ReadonlyMap<string, string>>; stateDigest: string }>({
  batchTime: count,
  written: dictionary(dictionary(string)),
  stateDigest: string,
});

const replacedShape = object<{ batchTime: number; by: number; committed: ReadonlyMap<string, ReadonlyMap<string, string>> }>({
  batchTime: count,
  by: count,
  committed: dictionary(dictionary(string)),
});

const forgottenShape = object<Omit<Forgotten, 'kind'>>({ states: array(string), sinks: array(string), streams: array(string) });

const checkpointShape = object<Omit<CheckpointWritten, 'kind' | 'batchTime'> & { batchTime: number }>({
  number: count,
  batchTime: count,
  lsn: count,
  headHash: string,
});

const versionShape = object<{ v: number }>({ v: count });

/** Maps become objects. */
function replacer(_key: string, value: unknown): unknown {
  return value instanceof Map ? Object.fromEntries<unknown>(value.entries()) : value;
}

/** The frame type and the pieces of an event's bytes; the payload of a block stands behind the text. */
export function encodeEvent(event: JournalEvent): { readonly type: number; readonly payload: readonly Uint8Array[] } {
  const type = EVENT_TYPES[event.kind];
  const pieces = event.kind === 'block-added' && event.unloggedBytes === undefined ? event.payload : [];
  const text = JSON.stringify({ v: EVENT_VERSION, ...event, kind: undefined, payload: undefined }, replacer);
  return { type, payload: [new ByteWriter(text.length + 16).text(text).finish(), ...pieces] };
}

function toWritten(written: ReadonlyMap<string, ReadonlyMap<string, string>>): BatchCompleted['written'] {
  return new Map(
    [...written].map(([sink, partitions]) => [sink, new Map([...partitions].map(([partition, fingerprint]) => [Number(partition), fingerprint]))]),
  );
}

function decodeReplaced(body: unknown): BatchReplaced {
  const { batchTime, by, committed } = replacedShape(body, 'batch-replaced');
  return { kind: 'batch-replaced', batchTime: toBatchTime(batchTime), by: toBatchTime(by), committed: toWritten(committed) };
}

function decodeBody(type: number, body: unknown, rest: Uint8Array): JournalEvent | undefined {
  switch (type) {
    case EVENT_TYPES.opened:
      return { kind: 'opened', ...openedShape(body, 'opened') };
    case EVENT_TYPES['block-added']:
      return { kind: 'block-added', ...blockShape(body, 'block-added'), payload: [rest] } satisfies BlockAdded;
    case EVENT_TYPES['batch-planned']: {
      const planned = plannedShape(body, 'batch-planned');
      return { kind: 'batch-planned', ...planned, batchTime: toBatchTime(planned.batchTime) };
    }
    case EVENT_TYPES['batch-completed']: {
      const { batchTime, written, stateDigest } = completedShape(body, 'batch-completed');
      return { kind: 'batch-completed', batchTime: toBatchTime(batchTime), written: toWritten(written), stateDigest };
    }
    case EVENT_TYPES.checkpoint: {
      const written = checkpointShape(body, 'checkpoint');
      return { kind: 'checkpoint', ...written, batchTime: toBatchTime(written.batchTime) };
    }
    case EVENT_TYPES.closed:
      return { kind: 'closed' };
    case EVENT_TYPES['source-positioned']:
      return { kind: 'source-positioned', ...positionedShape(body, 'source-positioned') };
    case EVENT_TYPES.forgotten:
      return { kind: 'forgotten', ...forgottenShape(body, 'forgotten') };
    case EVENT_TYPES['batch-replaced']:
      return decodeReplaced(body);
    default:
      return undefined;
  }
}

/**
 * Decodes an event.
 *
 * @throws {CorruptionError} If the event is of a kind or version this code does not know, or does not have the shape of its kind.
 */
export function decodeEvent(type: number, payload: Uint8Array, lsn: number): JournalEvent {
  let body: unknown;
  let rest: Uint8Array;
  try {
    const reader = new ByteReader(payload);
    body = JSON.parse(reader.text());
    rest = reader.raw(reader.left);
    const { v } = versionShape(body, 'event');
    if (v !== EVENT_VERSION) {
      throw new CorruptionError(
        'STREAM_JOURNAL_VERSION',
        `Cannot read record ${lsn} of the journal as its event version must be ${EVENT_VERSION}: found version ${v}`,
      );
    }
    const event = decodeBody(type, body, rest);
    if (event !== undefined) return event;
  } catch (error) {
    if (error instanceof CorruptionError) throw error;
    throw new CorruptionError('STREAM_JOURNAL_CORRUPT', `Cannot read record ${lsn} of the journal as it must hold an event: ${toError(error).message}`, {
      cause: error,
    });
  }
  throw new CorruptionError(
    'STREAM_JOURNAL_VERSION',
    `Cannot read record ${lsn} of the journal as this version knows the event types 1 to 9: found type ${type}`,
  );
}
