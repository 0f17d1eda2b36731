// Serves a text by the protocol of acknowledged lines (docs/acknowledged-lines.md), as a process of its own. It holds back the end of the text until it is told to finish.
import { readFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

const [textPath = '', textId = '', linesPerSecond = '700'] = process.argv.slice(2);
const lines = readFileSync(textPath, 'utf8').replace(/\n$/, '').split('\n');
const TICK_MS = 20;
const HELD_BACK = Math.floor(lines.length * 0.1);

let isFinishing = false;
let acknowledged = 0;

function report(message: object): void {
  process.send?.(message);
}

/** Sends from line `next` on: at the pace until told to finish, then as fast as the other side takes it. */
async function send(socket: Socket, from: number): Promise<void> {
  let next = from;
  while (next < lines.length && !socket.destroyed) {
    const until = isFinishing
      ? Math.min(next + 500, lines.length)
      : Math.min(next + Math.ceil((Number(linesPerSecond) * TICK_MS) / 1000), lines.length - HELD_BACK);
    let text = '';
    for (; next < until; next++) text += `${next} ${lines[next] ?? ''}\n`;
    if (text !== '' && !socket.write(text)) await new Promise<void>((resolve) => socket.once('drain', resolve).once('close', resolve));
    await new Promise((resolve) => setTimeout(resolve, isFinishing ? 1 : TICK_MS));
  }
}

function onRequest(socket: Socket, request: string): void {
  const [word, number] = request.split(' ');
  if (word === 'from') {
    acknowledged = Math.max(acknowledged, Number(number));
    void send(socket, Number(number));
  } else if (word === 'ack') acknowledged = Math.max(acknowledged, Number(number));
  else report({ error: request });
  report({ acknowledged, lines: lines.length });
}

const server = createServer((socket) => {
  socket.on('error', () => socket.destroy());
  socket.write(`millrace-lines 1 ${textId} ${lines.length}\n`);
  createInterface({ input: socket })
    .on('line', (request) => onRequest(socket, request))
    .on('error', () => socket.destroy());
});

process.on('message', (message) => {
  if (message === 'finish') isFinishing = true;
});
process.on('disconnect', () => process.exit(0));
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (address !== null && typeof address === 'object') report({ port: address.port });
});
