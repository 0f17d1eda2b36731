// The main module that a process manager starts. With EVENT_PIPE set, it writes a line per diagnostics event to that named pipe.
import { subscribe } from 'node:diagnostics_channel';
import { openSync, writeSync } from 'node:fs';
import { runMain, type DiagnosticName } from 'millrace';
import create from './word-count.ts';

const EVENTS: readonly DiagnosticName[] = [
  'recovery-started',
  'recovery-found',
  'recovery-completed',
  'block-added',
  'batch-planned',
  'partition-committed',
  'batch-completed',
  'checkpoint-started',
  'checkpoint-written',
];

const pipe = process.env['EVENT_PIPE'];
if (pipe !== undefined) {
  const fd = openSync(pipe, 'a');
  for (const name of EVENTS) {
    subscribe(`millrace:${name}`, (event) => {
      writeSync(fd, `${JSON.stringify({ pid: process.pid, name, event })}\n`);
    });
  }
}

await runMain(process.env['STORE_DIRECTORY'] ?? './data', create);
