// A key belongs to one of 1,024 slots by its hash; partitions are ranges of slots, so a partition count may change without moving a key to another slot.
// The hash is FNV-1a over UTF-16 code units with the finaliser of MurmurHash3 (both in the public domain); it is part of the checkpoint format.
import { decodeValue, encodeValue } from './value-codec.ts';

/** How many slots there are; part of the checkpoint format. */
export const KEY_SLOTS = 1024;

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

function finish(mixed: number): number {
  let hash = mixed ^ (mixed >>> 16);
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** The hash of a text, 32 bits. */
export function hashText(text: string): number {
  let hash = FNV_OFFSET;
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), FNV_PRIME);
  return finish(hash);
}

/** The hash of the text that some bytes are, one for each character: the same as that of the text. */
export function hashLatin1(bytes: Uint8Array, from: number, to: number): number {
  let hash = FNV_OFFSET;
  for (let index = from; index < to; index++) hash = Math.imul(hash ^ (bytes[index] as number), FNV_PRIME);
  return finish(hash);
}

/** What makes two keys the same in a `Map`: a string is itself, everything else is the canonical text of its value behind a mark no string key begins with twice. */
export function keyText(key: unknown): string {
  if (typeof key === 'string') return key.charCodeAt(0) === 0 ? `\0${key}` : key;
  return `\0${encodeValue(key === 0 ? 0 : key)}`;
}

/** The key of a text: what {@link keyText} was given, or an equal one. */
export function keyOfText(text: string): unknown {
  if (text.charCodeAt(0) !== 0) return text;
  return text.charCodeAt(1) === 0 ? text.slice(1) : decodeValue(text.slice(1));
}

/** The slot of a key, from 0 to 1,023, given its {@link keyText}. */
export function slotOfText(text: string): number {
  return hashText(text) & (KEY_SLOTS - 1);
}

/** The slot of a key. */
export function keySlot(key: unknown): number {
  return slotOfText(keyText(key));
}

/** The partition that owns a slot when there are `partitions` of them: contiguous ranges of nearly equal size. */
export function partitionOfSlot(slot: number, partitions: number): number {
  return Math.floor((slot * partitions) / KEY_SLOTS);
}
