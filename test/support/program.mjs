// The main module of the program of word-program.mjs. ACCEPT is what may be given up, DRAIN whether only what is there is finished.
import { runMain } from 'millrace';
import create from './word-program.mjs';

const { DIRECTORY = '', ACCEPT = '{}', DRAIN = '' } = process.env;

await runMain(DIRECTORY, create, { accept: JSON.parse(ACCEPT), drain: DRAIN === '1' });
