#!/usr/bin/env node
// The command `millrace` as a process: the one file here that touches arguments, standard output and the exit code.
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { createLevelCheckpointStore } from '../checkpoint/level-checkpoint-store.ts';
import { isErrno } from '../env/errno.ts';
import { createNodeEnv } from '../env/node-env.ts';
import { TOOL_CODES } from './exit-codes.ts';
import { run } from './run.ts';

for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error) => {
    // A reader that ends early, such as `head`, has seen enough; the exit code still says what was found.
    if (!isErrno(error, 'EPIPE')) process.exitCode = TOOL_CODES.storage;
  });
}

const code = await run(process.argv.slice(2), {
  env: createNodeEnv(),
  createStore: createLevelCheckpointStore,
  load: (path) => import(pathToFileURL(resolve(path)).href) as Promise<{ readonly default?: unknown }>,
  out: (line) => void process.stdout.write(`${line}\n`),
  err: (line) => void process.stderr.write(`${line}\n`),
});
process.exitCode ??= code;
