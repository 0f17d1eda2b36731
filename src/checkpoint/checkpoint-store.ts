// Where checkpoints are kept: keys and values, written in atomic and durable batches. The store knows nothing of streams, and what it returns is not trusted:
// every value carries its own checksum.

/** One change of a batch. */
export type StoreChange = { readonly kind: 'put'; readonly key: string; readonly value: Uint8Array } | { readonly kind: 'delete'; readonly key: string };

/** Atomic, durable batches of keys and values. Keys are short ASCII strings. `checkStoreConformance` of `millrace/testing` has the rules. */
export interface CheckpointStore {
  /**
   * Opens the store.
   *
   * @param mode - `create` makes a store that is not there; `existing` refuses to.
   */
  open(mode: 'create' | 'existing'): Promise<void>;
  /** The value of each key, in the order asked for; undefined where there is none. The bytes belong to the caller. */
  read(keys: readonly string[]): Promise<readonly (Uint8Array | undefined)[]>;
  /** All keys that start with `prefix`, in order. */
  keys(prefix: string): Promise<readonly string[]>;
  /** Applies all changes in their order, or none; resolves when they are durable; then their bytes belong to the caller again. After a rejection it is unknown which of the two happened. */
  write(changes: readonly StoreChange[]): Promise<void>;
  /** Closes it; safe to call again. */
  close(): Promise<void>;
  /**
   * For stores whose native code can end the process: opens the store and reads all of it in another process. Called before `open`, after a start that died.
   *
   * @returns How the other process died; undefined if it did not.
   */
  probe?(): Promise<string | undefined>;
}
