// A COPY to a server that takes the statement and never answers: the connection is given up, and the process goes on, though pg tells of the loss twice.
import { createServer } from 'node:net';
import { connectByPg } from '../../dist/sinks/postgres/driver.js';

const LOGGED_IN = Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 0, 0x5a, 0, 0, 0, 5, 0x49]);
const COPY_IN = Buffer.from([0x47, 0, 0, 0, 7, 0, 0, 0]);

const server = createServer((socket) => {
  let isFirst = true;
  socket.on('error', () => undefined);
  socket.on('data', (chunk) => {
    if (isFirst) socket.write(LOGGED_IN);
    else if (chunk[0] === 0x51) socket.write(COPY_IN);
    isFirst = false;
  });
});
async function copy() {
  const { port } = server.address();
  const connection = { host: '127.0.0.1', port, user: 'somebody', password: 'secret' };
  const link = await connectByPg({ name: 'test', connection, connectTimeoutMs: 5000, answerTimeoutMs: 200 });
  await link.copy('COPY rows FROM STDIN', Buffer.from('1\n')).catch((error) => process.stdout.write(`${error.message}\n`));
  await link.end();
  setTimeout(() => {
    process.stdout.write('goes on\n');
    process.exit();
  }, 100);
}

server.listen(0, '127.0.0.1', () => void copy());
