// A TCP proxy between a client and a Kafka broker that sees each request and decides its fate: the network that fails, at any step of a commit. It stands where the broker's second listener tells its clients to go.
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { KafkaBroker } from './kafka-broker.mjs';

/** Requests of Kafka's protocol that tests wait for. */
export const REQUESTS = { produce: 0, fetch: 1, metadata: 3, initProducerId: 22, addPartitions: 24, endTxn: 26 } as const;

/** A request of a client. */
export interface ClientRequest {
  readonly apiKey: number;
  /** The whole of it, for those who look for a name in it. */
  readonly bytes: Buffer;
}

/**
 * What becomes of a request: it passes; the connection breaks before the broker has it; after the broker has it; after the broker has answered it, and the answer is lost; or it waits until the proxy is released.
 */
export type Fate = 'pass' | 'cut' | 'cut-sent' | 'cut-answered' | 'hold';

const LENGTH_BYTES = 4;
const CORRELATION_AT = 8;

/** The frames of a stream: each is a length and so many bytes. */
class Splitter {
  #rest: Buffer = Buffer.alloc(0);

  push(chunk: Buffer): readonly Buffer[] {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    const frames: Buffer[] = [];
    while (this.#rest.length >= LENGTH_BYTES) {
      const length = LENGTH_BYTES + this.#rest.readUInt32BE(0);
      if (this.#rest.length < length) break;
      frames.push(this.#rest.subarray(0, length));
      this.#rest = this.#rest.subarray(length);
    }
    return frames;
  }
}

/** The proxy. */
export class KafkaProxy {
  /** Decides on each request. */
  judge: (request: ClientRequest) => Fate = () => 'pass';
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

  /** Listens where the broker says. */
  static async start({ behindProxyPort, proxyPort }: Pick<KafkaBroker, 'behindProxyPort' | 'proxyPort'>): Promise<KafkaProxy> {
    const proxy = new KafkaProxy(behindProxyPort);
    proxy.#server.listen(proxyPort, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  /** Resolves when a request is held. */
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
    const [requests, answers] = [new Splitter(), new Splitter()];
    let lost: number | undefined;
    let work: Promise<void> = Promise.resolve();
    server.on('data', (chunk: Buffer) => {
      for (const answer of answers.push(chunk)) {
        if (answer.readInt32BE(LENGTH_BYTES) === lost) {
          this.onCut();
          return cut();
        }
        client.write(answer);
      }
    });
    const pass = async (bytes: Buffer): Promise<void> => {
      const fate = this.judge({ apiKey: bytes.readInt16BE(LENGTH_BYTES), bytes });
      if (fate === 'hold') {
        for (const resolve of this.#notify.splice(0)) resolve();
        await this.#released;
      }
      if (fate === 'cut-answered') lost = bytes.readInt32BE(CORRELATION_AT);
      if (fate === 'cut') {
        this.onCut();
        return cut();
      }
      server.write(bytes);
      if (fate === 'cut-sent') {
        this.onCut();
        server.end();
        client.destroy();
      }
    };
    client.on('data', (chunk: Buffer) => {
      for (const request of requests.push(chunk)) work = work.then(() => pass(request));
    });
  }
}
