// A TCP proxy between a client and PostgreSQL that sees each message of the client and decides its fate: the network that fails, at any step of a commit.
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** A message of the client, after it has logged in. */
export interface ClientMessage {
  /** Its letter in the protocol: Q simple query, P parse, B bind, E execute, d copy data, c copy done, and so on. */
  readonly kind: string;
  /** The SQL of a simple query or a parse; empty for others. */
  readonly text: string;
}

/**
 * What becomes of a message: it passes; the connection breaks before the server has it; after the server has it; after the server has answered it, and the answer is lost; it waits until the proxy
 * is released; or another statement goes in its place.
 */
export type Fate = 'pass' | 'cut' | 'cut-sent' | 'cut-answered' | 'hold' | { readonly replace: string };

const TYPES_OF_LOGIN = new Set(['p']);
/** ReadyForQuery: the server has answered everything before it. */
const READY = Buffer.from([0x5a, 0, 0, 0, 5]);

/** CopyInResponse: the server waits for rows. */
const COPY_IN = 0x47;

/** The messages of a stream; the first has no letter. */
class Splitter {
  #rest: Buffer = Buffer.alloc(0);
  #isStarted = false;

  push(chunk: Buffer): readonly Buffer[] {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    const messages: Buffer[] = [];
    for (;;) {
      const at = this.#isStarted ? 1 : 0;
      if (this.#rest.length < at + 4) return messages;
      const length = at + this.#rest.readUInt32BE(at);
      if (this.#rest.length < length) return messages;
      messages.push(this.#rest.subarray(0, length));
      this.#rest = this.#rest.subarray(length);
      this.#isStarted = true;
    }
  }
}

function query(text: string): Buffer {
  const body = Buffer.from(`${text}\0`);
  const head = Buffer.alloc(5, 'Q');
  head.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

function parse(message: Buffer): ClientMessage {
  const kind = String.fromCharCode(message[0] ?? 0);
  if (kind === 'Q') return { kind, text: message.toString('utf8', 5, message.length - 1) };
  return { kind, text: kind === 'P' ? (message.toString('utf8', 5).split('\0')[1] ?? '') : '' };
}

/** The proxy. */
export class PostgresProxy {
  /** Decides on each message of a client that has logged in. */
  judge: (message: ClientMessage) => Fate = () => 'pass';
  /** Called when a connection is about to be cut. */
  onCut: () => void = () => undefined;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #release: () => void = () => undefined;
  readonly #released: Promise<void>;
  #notify: (() => void)[] = [];

  private constructor(target: number) {
    this.#released = new Promise((resolve) => {
      this.#release = resolve;
    });
    this.#server = createServer((client) => this.#serve(client, connect(target, '127.0.0.1')));
  }

  /** Listens in front of a server. */
  static async start(target: number): Promise<PostgresProxy> {
    const proxy = new PostgresProxy(target);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** Resolves when a message is held. */
  held(): Promise<void> {
    return new Promise((resolve) => this.#notify.push(resolve));
  }

  /** Lets go what is held. */
  release(): void {
    this.#release();
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #serve(client: Socket, server: Socket): void {
    const cut = (): void => {
      client.destroy();
      server.destroy();
    };
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.on('error', cut).on('close', () => {
        this.#sockets.delete(socket);
        cut();
      });
    }
    const splitter = new Splitter();
    let isFirst = true;
    let isSilent = false;
    let work: Promise<void> = Promise.resolve();
    server.on('data', (chunk: Buffer) => {
      if (!isSilent) client.write(chunk);
      else if (chunk.includes(READY) || chunk[0] === COPY_IN) {
        this.onCut();
        cut();
      }
    });
    const pass = async (message: Buffer): Promise<void> => {
      const parsed = parse(message);
      const fate = isFirst || TYPES_OF_LOGIN.has(parsed.kind) ? 'pass' : this.judge(parsed);
      isFirst = false;
      if (fate === 'hold') {
        for (const resolve of this.#notify.splice(0)) resolve();
        await this.#released;
      }
      if (fate === 'cut-answered') isSilent = true;
      if (fate === 'cut') {
        this.onCut();
        return cut();
      }
      server.write(typeof fate === 'object' ? query(fate.replace) : message);
      if (fate === 'cut-sent') {
        this.onCut();
        server.end();
        client.destroy();
      }
    };
    client.on('data', (chunk: Buffer) => {
      for (const message of splitter.push(chunk)) work = work.then(() => pass(message));
    });
  }
}
