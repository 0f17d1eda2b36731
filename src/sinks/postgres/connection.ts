// Pure: where a Postgres server is and how the way to it is protected. What is not given is left to pg, which reads the PG* environment variables.
import { optionError, refuseUnknownOptions } from '../../core/options.ts';

/** How a connection is encrypted. */
export interface PostgresTls {
  /** Certificates of the authorities that are trusted, in PEM, in place of those that Node trusts. */
  readonly ca?: string;
  /** The client's certificate, in PEM. */
  readonly cert?: string;
  /** The client's key, in PEM. */
  readonly key?: string;
  /** The name that the server's certificate must have, if it is not the host. */
  readonly servername?: string;
}

/** A Postgres server. Fields that are left out come from the environment: `PGHOST`, `PGPORT`, `PGUSER`, `PGPASSWORD`, `PGDATABASE`. */
export interface PostgresConnection {
  /** A name, an address, or the directory of a Unix socket. */
  readonly host?: string;
  readonly port?: number;
  readonly user?: string;
  /** The password, or a function that is asked for it at each connection: for tokens that expire. */
  readonly password?: string | (() => string | Promise<string>);
  readonly database?: string;
  /**
   * Certificates; or `'off'` for a plain connection to another machine. To this machine a connection is plain unless certificates are given.
   *
   * @defaultValue certificate and name of the server are verified against the authorities that Node trusts
   */
  readonly tls?: PostgresTls | 'off';
}

const OWNER = 'postgresSink';
const FIELDS = ['host', 'port', 'user', 'password', 'database', 'tls'];
const TLS_FIELDS = ['ca', 'cert', 'key', 'servername'] as const;
const PORT_MAX = 65_535;

/** What pg is told about TLS; undefined leaves it to pg, which then reads `PGSSLMODE`. */
export function tlsOf(tls: PostgresConnection['tls'], isLocal: boolean): object | false | undefined {
  if (tls === 'off') return false;
  if (tls === undefined) return isLocal ? undefined : { rejectUnauthorized: true };
  return { ...tls, rejectUnauthorized: true };
}

function fromUrl(text: string): PostgresConnection {
  const refuse = (expected: string): Error => optionError(OWNER, 'connection', { expected, found: 'another URL' });
  if (!URL.canParse(text)) throw refuse('a URL postgres://user:password@host:port/database');
  const url = new URL(text);
  if (url.protocol !== 'postgres:' && url.protocol !== 'postgresql:') throw refuse('a URL that begins with postgres://');
  const [first] = url.searchParams.keys();
  if (first !== undefined) throw refuse(`a URL without parameters (TLS is the field tls of the object form), so without "${first}"`);
  const part = <K extends string>(name: K, value: string): { readonly [P in K]?: string } =>
    (value === '' ? {} : { [name]: decodeURIComponent(value) }) as { readonly [P in K]?: string };
  return {
    ...part('host', url.hostname.replace(/^\[(.*)\]$/, '$1')),
    ...(url.port === '' ? {} : { port: Number(url.port) }),
    ...part('user', url.username),
    ...part('password', url.password),
    ...part('database', url.pathname.slice(1)),
  };
}

function checkText(name: string, value: unknown): void {
  if (value !== undefined && (typeof value !== 'string' || value === '' || value.includes('\0')))
    throw optionError(OWNER, `connection.${name}`, { expected: 'a non-empty string', found: value });
}

function checkTls(tls: PostgresConnection['tls']): void {
  if (tls === undefined || tls === 'off') return;
  if (typeof tls !== 'object' || tls === null) throw optionError(OWNER, 'connection.tls', { expected: "an object or 'off'", found: tls });
  refuseUnknownOptions(`${OWNER}.connection.tls`, tls, TLS_FIELDS);
  for (const name of TLS_FIELDS) checkText(`tls.${name}`, tls[name]);
}

/**
 * Checks a connection. The password never gets into an error.
 *
 * @throws {UsageError} If a field is unknown or of the wrong kind.
 */
export function resolveConnection(given: PostgresConnection | string | undefined): PostgresConnection {
  if (given === undefined) return {};
  if (typeof given === 'string') return fromUrl(given);
  refuseUnknownOptions(`${OWNER}.connection`, given, FIELDS);
  const { port, password } = given;
  for (const name of ['host', 'user', 'database'] as const) checkText(name, given[name]);
  if (port !== undefined && (!Number.isInteger(port) || port < 1 || port > PORT_MAX))
    throw optionError(OWNER, 'connection.port', { expected: `a whole number from 1 to ${PORT_MAX}`, found: port });
  if (password !== undefined && typeof password !== 'string' && typeof password !== 'function')
    throw optionError(OWNER, 'connection.password', { expected: 'a string or a function', found: 'another value' });
  checkTls(given.tls);
  return given;
}
