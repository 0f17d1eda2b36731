// Connects to a server and receives its lines, plain or acknowledged. The one file here that opens sockets.
import { createConnection, type Socket } from 'node:net';
import { AbortError, StreamError, toError } from '../core/errors.ts';
import { firstLine, parseGreeting, stripNumbers } from './acknowledged-lines.ts';
import { LineSplitter, type LineRun } from './line-splitter.ts';
import type { Receiver, ReceiverContext } from './receiver.ts';

/** Where and how to receive lines. */
export interface SocketReceiverOptions {
  readonly host: string;
  readonly port: number;
  /** Whether the server numbers its lines and wants to know which are durable. */
  readonly isAcknowledged: boolean;
  readonly lineBytesMax: number;
}

async function connect(options: SocketReceiverOptions, signal: AbortSignal): Promise<Socket> {
  const socket = createConnection({ host: options.host, port: options.port, noDelay: true, keepAlive: true, signal });
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  return socket;
}

async function* chunksOf(socket: Socket): AsyncGenerator<Buffer> {
  // Not destroyed when the loop ends early: an error is still to be told to the other side.
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) if (Buffer.isBuffer(chunk)) yield chunk;
}

/** Records were not taken: the connection ends, so that nothing follows them; the context stops unless it was asked to, or they come again from where they are durable. */
function giveUp(socket: Socket, context: ReceiverContext<string>, error: unknown): void {
  socket.destroy();
  if (!(error instanceof AbortError)) context.fail(toError(error));
}

async function receivePlain(socket: Socket, context: ReceiverContext<string>, splitter: LineSplitter): Promise<void> {
  for await (const chunk of chunksOf(socket)) {
    const run = splitter.push(chunk);
    if (run === undefined) continue;
    await context.ready();
    // Not awaited: plain lines have nobody to tell.
    context.storeEncoded(run.bytes, run.count).catch((error: unknown) => giveUp(socket, context, error));
  }
}

/** The lines behind the first line of a run. */
function splitFirst(run: LineRun): { readonly first: string; readonly rest: LineRun } {
  const end = run.bytes.indexOf(10);
  return { first: run.bytes.toString('utf8', 0, end), rest: { bytes: run.bytes.subarray(end + 1), count: run.count - 1 } };
}

async function receiveAcknowledged(
  socket: Socket,
  context: ReceiverContext<string>,
  parts: { readonly splitter: LineSplitter; readonly source: string },
): Promise<void> {
  const { splitter, source } = parts;
  let session: { readonly textId: string; next: number } | undefined;
  let acknowledged = 0;
  const acknowledge = (until: number): void => {
    if (until <= acknowledged || socket.destroyed) return;
    acknowledged = until;
    socket.write(`ack ${until}\n`);
  };
  for await (const chunk of chunksOf(socket)) {
    let run = splitter.push(chunk);
    if (run === undefined) continue;
    if (session === undefined) {
      const { first, rest } = splitFirst(run);
      const greeting = parseGreeting(source, first);
      // What an earlier connection left must be durable or gone before we say where to go on.
      await context.settle();
      session = { textId: greeting.textId, next: firstLine(source, greeting, context.position(greeting.textId)) };
      socket.write(`from ${session.next}\n`);
      run = rest;
    }
    if (run.count === 0) continue;
    const { bytes, count, until } = stripNumbers(source, run.bytes, session.next);
    await context.ready();
    const range = { partition: session.textId, from: session.next, until };
    session.next = until;
    context.storeEncoded(bytes, count, range).then(
      () => acknowledge(until),
      (error: unknown) => giveUp(socket, context, error),
    );
  }
}

/** Sends a last line; resolves when it is on its way or cannot be. */
function tell(socket: Socket, line: string): Promise<void> {
  return new Promise((resolve) => {
    socket.once('close', resolve);
    socket.end(line, resolve);
  });
}

/** Makes a receiver of lines from a server it connects to. */
export function createSocketReceiver(options: SocketReceiverOptions): Receiver<string> {
  const source = `${options.host}:${options.port}`;
  return {
    codec: 'lines',
    guarantee: options.isAcknowledged
      ? { kind: 'exactly-once', because: 'lines are numbered, and sent again from the first that is not durable' }
      : {
          kind: 'best-effort',
          because: 'a plain socket sends no line again: those in flight at a crash are lost',
          remedy: 'let the server speak acknowledged lines and set acknowledged: true',
        },
    async run(context) {
      const socket = await connect(options, context.signal);
      const splitter = new LineSplitter(options.lineBytesMax, source);
      try {
        await (options.isAcknowledged ? receiveAcknowledged(socket, context, { splitter, source }) : receivePlain(socket, context, splitter));
      } catch (thrown) {
        const error = toError(thrown);
        // What the other side sends is wrong: connecting again would bring the same. Stop with what is durable safe.
        if (!(error instanceof StreamError) || context.signal.aborted) throw error;
        if (options.isAcknowledged) await tell(socket, `error ${error.message}\n`);
        context.fail(error);
      } finally {
        socket.destroy();
      }
    },
  };
}
