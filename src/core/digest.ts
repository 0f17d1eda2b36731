// Fingerprints by which two runs of one batch are known to be the same.
import { createHash } from 'node:crypto';

const FINGERPRINT_BYTES = 16;

/** What a batch changed in one slot of keyed state. */
export interface SlotChange {
  readonly uid: string;
  readonly slot: number;
  /** The texts of the keys. */
  readonly keys: readonly string[];
  /** The text of what a key holds now; undefined for one that was removed. */
  value(key: string): string | undefined;
}

/** The fingerprint of rows: the first 16 bytes of SHA-256 over each encoded row followed by a line feed, as hex digits. The encoding must not contain a line feed. */
export function rowsFingerprint(rows: readonly string[]): string {
  const hash = createHash('sha256');
  for (const row of rows) hash.update(row).update('\n');
  return hash.digest('hex').slice(0, 2 * FINGERPRINT_BYTES);
}

function compareSlots(left: SlotChange, right: SlotChange): number {
  if (left.uid !== right.uid) return left.uid < right.uid ? -1 : 1;
  return left.slot - right.slot;
}

/** So many characters are handed to the hash at once: a call for each change would cost more than the hash. */
const HASHED_AT_ONCE = 64 * 1024;

/**
 * SHA-256 over the changes a batch made to keyed state, sorted by uid, slot and key; each field is preceded by its length in UTF-16 units, a removed key has no value.
 *
 * @param slots - Each slot once.
 */
export function stateDigest(slots: readonly SlotChange[]): string {
  const hash = createHash('sha256');
  let text = '';
  for (const changed of slots.toSorted(compareSlots)) {
    const { uid, slot } = changed;
    // Without a function, by UTF-16 units.
    for (const key of changed.keys.toSorted()) {
      const value = changed.value(key);
      text += `${uid.length}:${uid}${slot}:${key.length}:${key}${value === undefined ? '-' : `${value.length}:${value}`}`;
      if (text.length < HASHED_AT_ONCE) continue;
      hash.update(text);
      text = '';
    }
  }
  return hash.update(text).digest('hex');
}
