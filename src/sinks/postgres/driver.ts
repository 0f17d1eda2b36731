// The one file that knows the packages pg and pg-copy-streams: a connection as the sink uses it, and how one is made.
import { once } from 'node:events';
import { optionalPackage } from '../../env/optional-package.ts';
import { isLoopback } from '../is-loopback.ts';
import { tlsOf, type PostgresConnection } from './connection.ts';

/** The answer to one statement. Columns are asked for as text. */
export interface Answer {
  /** The tag without its counts, such as `COMMIT`. */
  readonly command: string;
  readonly rowCount: number;
  readonly rows: readonly Readonly<Record<string, string | null>>[];
}

/** One connection. Each call waits for its answer; nothing is repeated. */
export interface Link {
  /** The process of the server that serves it, for messages. */
  readonly pid: number;
  /** Runs statements that are separated by semicolons, in one message, and gives an answer for each. */
  run(text: string): Promise<readonly Answer[]>;
  /** Runs one statement with parameters. */
  query(text: string, values: readonly (string | null)[]): Promise<Answer>;
  /** Runs a `COPY ... FROM STDIN` and gives the number of rows it took. */
  copy(text: string, bytes: Uint8Array): Promise<number>;
  /** Ends it. What the server has not committed, it rolls back. Never rejects. */
  end(): Promise<void>;
}

/** How a connection is made. */
export interface LinkOptions {
  /** Shown by the server in pg_stat_activity. */
  readonly name: string;
  readonly connection: PostgresConnection;
  readonly connectTimeoutMs: number;
  /** After so long without an answer the connection counts as lost. */
  readonly answerTimeoutMs: number;
}

/** Makes connections. */
export type Connect = (options: LinkOptions) => Promise<Link>;

interface RawAnswer {
  readonly command: string | null;
  readonly rowCount: number | null;
  readonly rows: Answer['rows'];
}

interface CopyStream extends NodeJS.WritableStream {
  readonly rowCount: number;
}

interface Client {
  readonly host: string;
  readonly processID: number | null;
  readonly connection: { readonly stream: { destroy(): void } };
  connect(): Promise<void>;
  query(text: string, values?: readonly (string | null)[]): Promise<RawAnswer | readonly RawAnswer[]>;
  query(stream: CopyStream): CopyStream;
  end(): Promise<void>;
  on(event: 'error', listener: (error: Error) => void): this;
  once(event: 'end', listener: () => void): this;
}

interface Pg {
  readonly Client: new (config: object) => Client;
}

interface CopyStreams {
  readonly from: (this: void, text: string) => CopyStream;
}

const KEEP_ALIVE_MS = 10_000;
const END_MS_MAX = 1000;
const PIECE_BYTES = 64 * 1024;
const PURPOSE = 'postgresSink';

function toAnswer({ command, rowCount, rows }: RawAnswer): Answer {
  return { command: command ?? '', rowCount: rowCount ?? 0, rows };
}

function configOf({ name, connection, connectTimeoutMs, answerTimeoutMs }: LinkOptions): object {
  const { host, port, user, password, database } = connection;
  return {
    ...(host === undefined ? {} : { host }),
    ...(port === undefined ? {} : { port }),
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { password }),
    ...(database === undefined ? {} : { database }),
    application_name: name,
    connectionTimeoutMillis: connectTimeoutMs,
    query_timeout: answerTimeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
  };
}

class PgLink implements Link {
  readonly #client: Client;
  readonly #copyFrom: CopyStreams['from'];
  /** Why the connection is lost, which pg tells by an event when nobody waits for an answer. */
  #lost: Error | undefined;
  readonly #ended: Promise<void>;

  constructor(client: Client, copyFrom: CopyStreams['from']) {
    this.#client = client;
    this.#copyFrom = copyFrom;
    client.on('error', (error) => {
      this.#lost ??= error;
    });
    this.#ended = new Promise((resolve) => client.once('end', () => resolve()));
  }

  get pid(): number {
    return this.#client.processID ?? 0;
  }

  async run(text: string): Promise<readonly Answer[]> {
    this.#requireLive();
    const answers = await this.#client.query(text);
    return 'length' in answers ? answers.map(toAnswer) : [toAnswer(answers)];
  }

  async query(text: string, values: readonly (string | null)[]): Promise<Answer> {
    this.#requireLive();
    return toAnswer((await this.#client.query(text, values)) as RawAnswer);
  }

  async copy(text: string, bytes: Uint8Array): Promise<number> {
    this.#requireLive();
    const stream = this.#client.query(this.#copyFrom(text));
    // An error may come twice: by a timeout of pg, and again when the connection ends.
    const failed = new Promise<never>((_resolve, reject) => stream.on('error', reject));
    // Piece by piece: behind an error nothing more is handed over, neither rows nor the end, for which the stream has no connection any more.
    for (let from = 0; from < bytes.length; from += PIECE_BYTES) {
      const written = new Promise<void>((resolve) => stream.write(bytes.subarray(from, from + PIECE_BYTES), () => resolve()));
      await Promise.race([written, failed]);
    }
    const finished = new Promise<void>((resolve) => stream.once('finish', resolve));
    stream.end();
    await Promise.race([finished, failed]);
    return stream.rowCount;
  }

  async end(): Promise<void> {
    // A connection that is lost, or has a statement without an answer, is not waited for.
    const timer = AbortSignal.timeout(END_MS_MAX);
    void this.#client.end().catch(() => undefined);
    if (this.#lost === undefined) await Promise.race([this.#ended, once(timer, 'abort')]);
    this.#client.connection.stream.destroy();
  }

  #requireLive(): void {
    if (this.#lost !== undefined) throw this.#lost;
  }
}

/**
 * Loads the two packages.
 *
 * @throws {UsageError} If one is not installed.
 */
export function requirePg(): Pg & CopyStreams {
  return { Client: optionalPackage<Pg>('pg', PURPOSE).Client, from: optionalPackage<CopyStreams>('pg-copy-streams', PURPOSE).from };
}

/** Connects by the package pg. TLS with verification of name and chain, except to this machine. */
export const connectByPg: Connect = async (options) => {
  const { Client, from } = requirePg();
  const config = configOf(options);
  // Without a host pg takes the one of its environment variables.
  const host = options.connection.host ?? new Client(config).host;
  const ssl = tlsOf(options.connection.tls, isLoopback(host));
  const client = new Client(ssl === undefined ? config : { ...config, ssl });
  const link = new PgLink(client, from);
  try {
    await client.connect();
    return link;
  } catch (error) {
    client.connection.stream.destroy();
    throw error;
  }
};
