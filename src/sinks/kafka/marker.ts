// Pure: the records of the marker topic. Each has a key of its own for (app, sink, partition), and one for the fence of (app, sink); compaction keeps the last of each.
import { CorruptionError } from '../../core/errors.ts';
import { toBatchTime } from '../../core/time.ts';
import type { LedgerRow, SinkFence, SinkIdentity } from '../sink.ts';

/** Whose record it is: that of a partition of batches, or the fence. */
export type Place = number | 'fence';

type Owner = Pick<SinkIdentity, 'app' | 'sink'>;

const VERSION = 1;

/** The transactional id of a place. Parts are escaped, so that no two places have one id. */
export function transactionalIdOf({ app, sink }: Owner, place: Place): string {
  return `millrace/${encodeURIComponent(app)}/${encodeURIComponent(sink)}/${place}`;
}

/** The key of a place's record. */
export function markerKey({ app, sink }: Owner, place: Place): string {
  return JSON.stringify([app, sink, place]);
}

/** The place that a key names within an output; undefined for others. */
export function placeOf(key: string, { app, sink }: Owner): Place | undefined {
  const start = JSON.stringify([app, sink]).slice(0, -1);
  if (!key.startsWith(`${start},`)) return undefined;
  const rest = key.slice(start.length + 1, -1);
  return rest === '"fence"' ? 'fence' : /^\d+$/.test(rest) ? Number(rest) : undefined;
}

/** A marker as bytes of key and value. */
export function encodeMarker(owner: Owner, place: Place, content: LedgerRow | SinkFence): { readonly key: Buffer; readonly value: string } {
  return { key: Buffer.from(markerKey(owner, place)), value: JSON.stringify({ version: VERSION, ...content }) };
}

type Field = 'number' | 'string';

function decode(key: string, value: string, fields: Readonly<Record<string, Field>>): Readonly<Record<string, unknown>> {
  const refuse = (found: string): CorruptionError =>
    new CorruptionError('STREAM_SINK_CONFLICT', `Cannot read the marker ${key} as it must be one of version ${VERSION} that this sink wrote: ${found}`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(value);
  } catch {
    throw refuse('it is no JSON');
  }
  if (typeof parsed !== 'object' || parsed === null) throw refuse('it is no object');
  const content = parsed as Readonly<Record<string, unknown>>;
  if (content['version'] !== VERSION) throw refuse(`its version is ${String(content['version'])}`);
  for (const [name, type] of Object.entries(fields)) if (typeof content[name] !== type) throw refuse(`its ${name} is no ${type}`);
  return content;
}

/**
 * Reads the marker of a partition.
 *
 * @throws {CorruptionError} If it is not one.
 */
export function decodeRow(key: string, value: string): LedgerRow {
  const { batchTime, planId, epoch, fingerprint, rows } = decode(key, value, {
    batchTime: 'number',
    planId: 'string',
    epoch: 'number',
    fingerprint: 'string',
    rows: 'number',
  });
  return {
    batchTime: toBatchTime(batchTime as number),
    planId: planId as string,
    epoch: epoch as number,
    fingerprint: fingerprint as string,
    rows: rows as number,
  };
}

/**
 * Reads the fence.
 *
 * @throws {CorruptionError} If it is not one.
 */
export function decodeFence(key: string, value: string): SinkFence {
  const { epoch, incarnation, storeId } = decode(key, value, { epoch: 'number', incarnation: 'string', storeId: 'string' });
  return { epoch: epoch as number, incarnation: incarnation as string, storeId: storeId as string };
}
