// What the programs of the course have in common: their intervals, and where the runner put their input and output.
import { milliseconds, seconds } from 'millrace';

/** Short enough to see something within seconds. */
export const INTERVALS = {
  batchInterval: milliseconds(200),
  checkpointInterval: seconds(1),
  blockInterval: milliseconds(50),
  receiverRestartDelay: milliseconds(100),
};

function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`Cannot build the program as ${name} must be set: it is not. Start it with: npm run example <name>`);
  return value;
}

/** The port of the feeder. */
export const port = (): number => Number(setting('FEEDER_PORT'));

/** Where files come in. */
export const inputDirectory = (): string => setting('INPUT_DIRECTORY');

/** Where results go. */
export const outputDirectory = (): string => setting('OUTPUT_DIRECTORY');
