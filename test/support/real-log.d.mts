// The types of real-log.mjs.

/** A log that is open for appending. */
export interface RealLog {
  /** The texts of all records that were in it when it was opened. */
  readonly texts: readonly string[];
  append(text: string): Promise<unknown>;
  close(): Promise<void>;
}

export function openLog(directory: string, options: { readonly segmentBytesMax: number; readonly isPrepared?: boolean }): Promise<RealLog>;
export function readLog(directory: string): Promise<readonly string[]>;
