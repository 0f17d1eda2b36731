// The layers, from the lowest. Imports go down only; folders of one layer do not import each other.

export const LAYERS: readonly (readonly string[])[] = [
  ['core'],
  ['env'],
  ['wal', 'checkpoint'],
  ['journal', 'state', 'executor'],
  ['rdd'],
  ['sources', 'sinks', 'sql'],
  ['dstream'],
  ['scheduler', 'recovery'],
  ['testing'],
  ['context'],
  ['cli', 'ui'],
];

/** Files outside the folders, and the layer they stand on. */
export const TOP_FILES: Readonly<Record<string, string>> = { 'index.ts': 'context' };
