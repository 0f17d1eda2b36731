// What a checkpoint consists of: the head names every blob with its length and checksum, so that a missing or exchanged one is seen.
import { array, count, nullable, object, ShapeError, string, type Shape } from '../core/shape.ts';

/** A blob that a checkpoint needs. */
export interface BlobRef {
  readonly key: string;
  readonly bytes: number;
  readonly crc: number;
}

/** One slot of one operator's state: the base and the deltas that follow it, and how many entries all of them give. */
export interface SlotRef {
  readonly uid: string;
  readonly slot: number;
  readonly entries: number;
  readonly blobs: readonly BlobRef[];
}

/** A checkpoint. */
export interface Head {
  readonly number: number;
  /** The head before this one; null for the first. */
  readonly previous: { readonly number: number; readonly hash: string } | null;
  /** The lsn of the last record its ledger was folded from. */
  readonly lsn: number;
  /** The last batch whose state is in it; 0 when there was none. */
  readonly batchTime: number;
  readonly app: string;
  readonly storeId: string;
  /** What the layers above keep with it, as text that they understand. */
  readonly metadata: string;
  readonly ledger: BlobRef;
  readonly slots: readonly SlotRef[];
}

const blobShape: Shape<BlobRef> = object({ key: string, bytes: count, crc: count });

const headShape: Shape<Head> = object<{ [K in keyof Head]: Head[K] }>({
  number: count,
  previous: nullable(object({ number: count, hash: string })),
  lsn: count,
  batchTime: count,
  app: string,
  storeId: string,
  metadata: string,
  ledger: blobShape,
  slots: array(object({ uid: string, slot: count, entries: count, blobs: array(blobShape) })),
});

/** The bytes of a head. */
export function encodeHead(head: Head): Uint8Array {
  return Buffer.from(JSON.stringify(head));
}

/** Decodes a head; undefined if the bytes are none. */
export function decodeHead(bytes: Uint8Array): Head | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    return headShape(value, 'head');
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof ShapeError) return undefined;
    throw error;
  }
}
