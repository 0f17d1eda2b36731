// Fingerprints by which two runs of one batch are known to be the same.
import { createHash } from 'node:crypto';

const FINGERPRINT_BYTES = 16;

/** One change of keyed state: a value, or undefined for a removed key. */
export interface StateChange {
  readonly uid: string;
  readonly slot: number;
  /** The text of the key. */
  readonly key: string;
  readonly value: string | undefined;
}

/** The fingerprint of rows: the first 16 bytes of SHA-256 over each encoded row followed by a line feed, as hex digits. The encoding must not contain a line feed. */
export function rowsFingerprint(rows: readonly string[]): string {
  const hash = createHash('sha256');
  for (const row of rows) hash.update(row).update('\n');
  return hash.digest('hex').slice(0, 2 * FINGERPRINT_BYTES);
}

function compareChanges(left: StateChange, right: StateChange): number {
  if (left.uid !== right.uid) return left.uid < right.uid ? -1 : 1;
  if (left.slot !== right.slot) return left.slot - right.slot;
  return left.key < right.key ? -1 : left.key > right.key ? 1 : 0;
}

/** So many changes are handed to the hash at once: a call for each would cost more than the hash. */
const HASHED_AT_ONCE = 1024;

/** SHA-256 over the changes a batch made to keyed state, sorted by uid, slot and key; each field is preceded by its length in UTF-16 units, a removed key has no value. */
export function stateDigest(changes: readonly StateChange[]): string {
  const hash = createHash('sha256');
  let text = '';
  for (const [index, { uid, slot, key, value }] of changes.toSorted(compareChanges).entries()) {
    text += `${uid.length}:${uid}${slot}:${key.length}:${key}${value === undefined ? '-' : `${value.length}:${value}`}`;
    if ((index + 1) % HASHED_AT_ONCE !== 0) continue;
    hash.update(text);
    text = '';
  }
  return hash.update(text).digest('hex');
}
