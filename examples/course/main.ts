// The main module of each program of the course, as a process manager would start it.
import { runMain, type StreamingContext } from 'millrace';

const { default: create } = (await import(`./${process.env['PROGRAM'] ?? ''}.js`)) as { default: () => StreamingContext };
await runMain(process.env['STORE_DIRECTORY'] ?? './data', create);
