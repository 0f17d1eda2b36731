// What the three versions have in common: where the lines come from, and where the table is.
import { milliseconds, seconds, type StreamingContextOptions } from 'millrace';

/** The intervals of all versions: batches short enough to see something within seconds, checkpoints so rare that a kill finds batches that none covers. */
export function settingsOf(version: string): StreamingContextOptions {
  return {
    appName: 'upgrade',
    version,
    batchInterval: milliseconds(200),
    checkpointInterval: seconds(5),
    blockInterval: milliseconds(50),
    receiverRestartDelay: milliseconds(100),
  };
}

function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`Cannot build the program as ${name} must be set: it is not. Start it with: npm run example:upgrade`);
  return value;
}

/** The port of the feeder. */
export const port = (): number => Number(setting('FEEDER_PORT'));

/** The table of words. */
export const tableDirectory = (): string => setting('SINK_DIRECTORY');

/** The words of a line, in lower case. */
export function wordsOf(line: string): string[] {
  return line.toLowerCase().match(/[a-z0-9']+/g) ?? [];
}
