// What a checkpoint consists of: the head names every blob with its length and checksum, so that a missing or exchanged one is seen.
import { array, count, dictionary, nullable, object, ShapeError, string, type Shape } from '../core/shape.ts';

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

/** How many bytes of state a checkpoint consists of. */
export function stateBytesOf({ slots }: Pick<Head, 'slots'>): number {
  let sum = 0;
  for (const { blobs } of slots) for (const { bytes } of blobs) sum += bytes;
  return sum;
}

const NUMBER_DIGITS = 16;
const SLOT_DIGITS = 4;

/** The number of a checkpoint as it stands in keys: sorted as text, they are sorted by number. */
export function paddedNumber(number: number): string {
  return String(number).padStart(NUMBER_DIGITS, '0');
}

/** The key of a blob of state. */
export function stateKey(uid: string, slot: number, { number, kind }: { readonly number: number; readonly kind: 'base' | 'delta' }): string {
  return `state/${encodeURIComponent(uid)}/${String(slot).padStart(SLOT_DIGITS, '0')}/${paddedNumber(number)}/${kind}`;
}

/** The number of the checkpoint that wrote a key; 0 for a key that names none. */
export function numberOfKey(key: string): number {
  const end = key.endsWith('/base') ? key.length - '/base'.length : key.endsWith('/delta') ? key.length - '/delta'.length : key.length;
  const number = Number(key.slice(end - NUMBER_DIGITS, end));
  return Number.isSafeInteger(number) ? number : 0;
}

const blobShape: Shape<BlobRef> = object({ key: string, bytes: count, crc: count });

/** A slot as it is written: its number, how many entries it has, then number, length and checksum of each of its blobs, the base first. A head names thousands of them. */
type WrittenSlot = readonly [slot: number, entries: number, ...blobs: number[]];
const NUMBERS_PER_BLOB = 3;

function writeSlot({ slot, entries, blobs }: SlotRef): WrittenSlot {
  const written: [number, number, ...number[]] = [slot, entries];
  for (const { key, bytes, crc } of blobs) written.push(numberOfKey(key), bytes, crc);
  return written;
}

function readSlot(uid: string, written: readonly number[]): SlotRef {
  const [slot = 0, entries = 0, ...numbers] = written;
  if (written.length < 2 || numbers.length % NUMBERS_PER_BLOB !== 0)
    throw new ShapeError(`slot ${slot} of "${uid}" must be two numbers and three for each blob: found ${written.length} numbers`);
  const blobs: BlobRef[] = [];
  for (let index = 0; index < numbers.length; index += NUMBERS_PER_BLOB) {
    const [number = 0, bytes = 0, crc = 0] = numbers.slice(index, index + NUMBERS_PER_BLOB);
    blobs.push({ key: stateKey(uid, slot, { number, kind: index === 0 ? 'base' : 'delta' }), bytes, crc });
  }
  return { uid, slot, entries, blobs };
}

/** Many numbers, checked without a path for each. */
const numbers: Shape<readonly number[]> = (value, path) => {
  if (!Array.isArray(value) || !value.every((item) => Number.isSafeInteger(item) && (item as number) >= 0))
    throw new ShapeError(`${path} must be an array of whole numbers of 0 or more`);
  return value as readonly number[];
};

interface WrittenHead extends Omit<Head, 'slots'> {
  /** By uid of the operator. */
  readonly slots: ReadonlyMap<string, readonly (readonly number[])[]>;
}

const headShape: Shape<WrittenHead> = object<{ [K in keyof WrittenHead]: WrittenHead[K] }>({
  number: count,
  previous: nullable(object({ number: count, hash: string })),
  lsn: count,
  batchTime: count,
  app: string,
  storeId: string,
  metadata: string,
  ledger: blobShape,
  slots: dictionary(array(numbers)),
});

/** The bytes of a head. */
export function encodeHead(head: Head): Uint8Array {
  const slots = new Map<string, WrittenSlot[]>();
  for (const slot of head.slots) {
    const written = slots.get(slot.uid) ?? [];
    slots.set(slot.uid, written);
    written.push(writeSlot(slot));
  }
  return Buffer.from(JSON.stringify({ ...head, slots: Object.fromEntries(slots) }));
}

/** Decodes a head; undefined if the bytes are none. */
export function decodeHead(bytes: Uint8Array): Head | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    const head = headShape(value, 'head');
    return { ...head, slots: [...head.slots].flatMap(([uid, slots]) => slots.map((written) => readSlot(uid, written))) };
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof ShapeError) return undefined;
    throw error;
  }
}
