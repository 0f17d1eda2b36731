// Pure: what happened to the keys of a slot since it was last written, in an order that gives the same order of keys when it is read back. The order matters: it is the order of the rows.

/** The key was there and keeps its place. */
export const ENTRY_SET = 0;
/** The key came, or came again, and stands behind all others. */
export const ENTRY_INSERTED = 1;
/** The key went. */
export const ENTRY_REMOVED = 2;

/** What happened to a key. */
export type EntryChange = typeof ENTRY_SET | typeof ENTRY_INSERTED | typeof ENTRY_REMOVED;

/** The keys that changed, by their text. */
export type EntryChanges = ReadonlyMap<string, EntryChange>;

/** Notes one more change. A key that came since stays one that came, wherever it is set; one that comes again moves to the end. */
export function noteChange(changes: Map<string, EntryChange>, text: string, change: EntryChange): void {
  if (change === ENTRY_INSERTED) changes.delete(text);
  else if (change === ENTRY_SET && changes.get(text) === ENTRY_INSERTED) return;
  changes.set(text, change);
}

/** The changes of several blobs as those of one. */
export function joinChanges(blobs: readonly EntryChanges[]): Map<string, EntryChange> {
  const joined = new Map<string, EntryChange>();
  for (const changes of blobs) for (const [text, change] of changes) noteChange(joined, text, change);
  return joined;
}
