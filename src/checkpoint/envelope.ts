// What stands round every value in the checkpoint store. LevelDB does not report all damage, so nothing that comes out of it is believed without this.
import { ByteReader, written, type ByteWriter } from '../core/bytes.ts';
import { crc32 } from '../core/checksum.ts';

/** The version this code writes, and the only one it reads. Part of the format. */
export const CHECKPOINT_FORMAT_VERSION = 2;

const MAGIC = 0x4b43524d; // "MRCK"

const CHECKSUM_OFFSET = 4;
const BODY_OFFSET = 8;
const LENGTH_OFFSET = 40;
/** Where the payload begins. */
export const PAYLOAD_OFFSET = 44;

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

/**
 * Makes a value in its envelope.
 *
 * @param write - Writes the payload. Must not call this function.
 */
export function sealWritten({ kind, number, previous, lsn }: Omit<Envelope, 'payload'>, write: (writer: ByteWriter) => void): Uint8Array {
  const sealed = written((writer) => {
    // Checksum and length take the places of the 0 once everything behind them is there.
    writer.u32(MAGIC).u32(0).u32(CHECKPOINT_FORMAT_VERSION).u32(ENVELOPE_KINDS[kind]).u64(number).u64(previous).u64(lsn).u32(0);
    write(writer);
  });
  sealed.writeUInt32LE(sealed.length - PAYLOAD_OFFSET, LENGTH_OFFSET);
  sealed.writeUInt32LE(crc32(sealed.subarray(BODY_OFFSET)), CHECKSUM_OFFSET);
  return sealed;
}

/** Puts a value into its envelope. */
export function sealEnvelope(envelope: Envelope): Uint8Array {
  return sealWritten(envelope, (writer) => void writer.raw(envelope.payload));
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
