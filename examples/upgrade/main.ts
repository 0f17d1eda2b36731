// The main module of all three versions, as a process manager would start it. VERSION is 1, 2 or 3; ACCEPT is what may be given up, as JSON; DRAIN=1 finishes what is there and stops.
import { runMain, type GetOrCreateOptions, type StreamingContext } from 'millrace';

const { VERSION = '1', STORE_DIRECTORY = './data', ACCEPT = '{}', DRAIN = '0' } = process.env;
const { default: create } = (await import(new URL(`v${VERSION}.js`, import.meta.url).href)) as { default: () => StreamingContext };
await runMain(STORE_DIRECTORY, create, { accept: JSON.parse(ACCEPT) as NonNullable<GetOrCreateOptions['accept']>, drain: DRAIN === '1' });
