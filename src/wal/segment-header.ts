// The first 4,096 bytes of a segment: who wrote it, where it stands in the log, and where the segment before it ends. docs/format-wal.md has the byte table.
import { ByteReader, ByteWriter } from '../core/bytes.ts';
import { crc32 } from '../core/checksum.ts';
import { fromHex, toHex, type Incarnation, type StoreId } from '../core/ids.ts';

/** Bytes of the header of a segment. Part of the format. */
export const SEGMENT_HEADER_BYTES = 4096;

/** The version this code writes, and the only one it reads. */
export const WAL_FORMAT_VERSION = 2;

const MAGIC = Buffer.from('MILLRACE', 'latin1');
const ID_BYTES = 16;
const CHECKSUM_BYTES = 4;

/** What the header of a segment says. */
export interface SegmentHeader {
  readonly storeId: StoreId;
  readonly incarnation: Incarnation;
  readonly epoch: number;
  readonly segment: number;
  /** The lsn of the first frame in it. */
  readonly firstLsn: number;
  /** The number of the first group in it. */
  readonly firstGroup: number;
  /** Where the valid bytes of the segment before end; what stands behind is void. 0 when there is no segment before. */
  readonly previousEnd: number;
  /** The chain over the frames of the segment before, up to that end. 0 when there is no segment before. */
  readonly previousChain: number;
  /** The file has at least so many bytes; 0 if it grows as it is written. */
  readonly fileBytes: number;
  /** Random, never 0; repeated in every frame of the segment. */
  readonly salt: number;
}

/** The answer of {@link decodeSegmentHeader}. */
export type SegmentHeaderReading =
  | { readonly kind: 'header'; readonly header: SegmentHeader }
  | { readonly kind: 'version'; readonly version: number; readonly incompatible: number }
  | { readonly kind: 'bad'; readonly why: string };

/** Encodes a header, checksum included. */
export function encodeSegmentHeader(header: SegmentHeader): Uint8Array {
  const fields = new ByteWriter()
    .raw(MAGIC)
    .u32(WAL_FORMAT_VERSION)
    .u32(0) // incompatible features
    .u32(0) // compatible features
    .u32(header.salt)
    .raw(fromHex(header.storeId))
    .raw(fromHex(header.incarnation))
    .u64(header.epoch)
    .u64(header.segment)
    .u64(header.firstLsn)
    .u64(header.previousEnd)
    .u32(header.previousChain)
    .u64(header.fileBytes)
    .u64(header.firstGroup)
    .finish();
  const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES);
  bytes.set(fields);
  const checked = SEGMENT_HEADER_BYTES - CHECKSUM_BYTES;
  bytes.writeUInt32LE(crc32(bytes.subarray(0, checked)), checked);
  return bytes;
}

/** Decodes and checks a header. The checksum stands at the same place in every version, so that an unknown version is told from damage. */
export function decodeSegmentHeader(bytes: Buffer): SegmentHeaderReading {
  if (bytes.length < SEGMENT_HEADER_BYTES) return { kind: 'bad', why: `it has ${bytes.length} bytes, not ${SEGMENT_HEADER_BYTES}` };
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) return { kind: 'bad', why: 'its first bytes are not MILLRACE' };
  const checked = SEGMENT_HEADER_BYTES - CHECKSUM_BYTES;
  const found = crc32(bytes.subarray(0, checked));
  if (found !== bytes.readUInt32LE(checked)) return { kind: 'bad', why: `its checksum is ${found}, not ${bytes.readUInt32LE(checked)}` };
  const reader = new ByteReader(bytes.subarray(MAGIC.length, checked));
  const version = reader.u32();
  const incompatible = reader.u32();
  if (version !== WAL_FORMAT_VERSION || incompatible !== 0) return { kind: 'version', version, incompatible };
  reader.u32();
  const salt = reader.u32();
  const storeId = toHex(reader.raw(ID_BYTES));
  const incarnation = toHex(reader.raw(ID_BYTES));
  return {
    kind: 'header',
    header: {
      storeId,
      incarnation,
      epoch: reader.u64(),
      segment: reader.u64(),
      firstLsn: reader.u64(),
      previousEnd: reader.u64(),
      previousChain: reader.u32(),
      fileBytes: reader.u64(),
      firstGroup: reader.u64(),
      salt,
    },
  };
}
