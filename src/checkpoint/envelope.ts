// What stands round every value in the checkpoint store. LevelDB does not report all damage, so nothing that comes out of it is believed without this.
import { ByteReader, written } from '../core/bytes.ts';
import { crc32 } from '../core/checksum.ts';

/** The version this code writes, and the only one it reads. Part of the format. */
export const CHECKPOINT_FORMAT_VERSION = 2;

const MAGIC = 0x4b43524d; // "MRCK"

const CHECKSUM_OFFSET = 4;
const BODY_OFFSET = 8;

/** What a value is; the numbers are part of the format. */
export const ENVELOPE_KINDS = { head: 1, ledger: 2, base: 3, delta: 4 } as const;

/** One of the names of {@link ENVELOPE_KINDS}. */
export type EnvelopeKind = keyof typeof ENVELOPE_KINDS;

/** A value with what is said about it. */
export interface Envelope {
  readonly kind: EnvelopeKind;
  /** The number of the checkpoint that wrote it. */
  readonly number: number;
  /** The number of the checkpoint before; 0 when there was none. */
  readonly previous: number;
  /** The lsn up to which the checkpoint's ledger was folded. */
  readonly lsn: number;
  readonly payload: Uint8Array;
}

/** The answer of {@link openEnvelope}. */
export type EnvelopeReading =
  | { readonly kind: 'envelope'; readonly envelope: Envelope }
  | { readonly kind: 'version'; readonly version: number }
  | { readonly kind: 'bad'; readonly why: string };

/** Puts a value into its envelope. */
export function sealEnvelope(envelope: Envelope): Uint8Array {
  const { kind, number, previous, lsn, payload } = envelope;
  const sealed = written((writer) => {
    // The checksum takes the place of the 0 once everything behind it is there.
    writer.u32(MAGIC).u32(0).u32(CHECKPOINT_FORMAT_VERSION).u32(ENVELOPE_KINDS[kind]).u64(number).u64(previous).u64(lsn).u32(payload.length).raw(payload);
  });
  new DataView(sealed.buffer, sealed.byteOffset).setUint32(CHECKSUM_OFFSET, crc32(sealed.subarray(BODY_OFFSET)), true);
  return sealed;
}

function kindOf(code: number): EnvelopeKind | undefined {
  if (code === ENVELOPE_KINDS.head) return 'head';
  if (code === ENVELOPE_KINDS.ledger) return 'ledger';
  if (code === ENVELOPE_KINDS.base) return 'base';
  return code === ENVELOPE_KINDS.delta ? 'delta' : undefined;
}

/** Takes a value out of its envelope and checks it. */
export function openEnvelope(bytes: Uint8Array): EnvelopeReading {
  try {
    const reader = new ByteReader(bytes);
    if (reader.u32() !== MAGIC) return { kind: 'bad', why: 'it does not begin with MRCK' };
    const crc = reader.u32();
    const body = bytes.subarray(8);
    const found = crc32(body);
    if (found !== crc) return { kind: 'bad', why: `its checksum is ${found}, not ${crc}` };
    const version = reader.u32();
    if (version !== CHECKPOINT_FORMAT_VERSION) return { kind: 'version', version };
    const kind = kindOf(reader.u32());
    if (kind === undefined) return { kind: 'bad', why: 'its kind is unknown' };
    const envelope = { kind, number: reader.u64(), previous: reader.u64(), lsn: reader.u64(), payload: reader.raw(reader.u32()) };
    return reader.left === 0 ? { kind: 'envelope', envelope } : { kind: 'bad', why: `${reader.left} bytes follow it` };
  } catch (error) {
    if (error instanceof RangeError) return { kind: 'bad', why: error.message };
    throw error;
  }
}
