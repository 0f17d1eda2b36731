// Pure: where a Kafka cluster is and how the way to it is protected.
import { UsageError } from '../../core/errors.ts';
import { optionError, refuseUnknownOptions } from '../../core/options.ts';
import { isLoopback } from '../is-loopback.ts';

/** How connections are encrypted. */
export interface KafkaTls {
  /** Certificates of the authorities that are trusted, in PEM, in place of those that Node trusts. */
  readonly ca?: string;
  /** The client's certificate, in PEM. */
  readonly cert?: string;
  /** The client's key, in PEM. */
  readonly key?: string;
  /** The name that the brokers' certificates must have, if it is not their host. */
  readonly servername?: string;
}

/** Whom the brokers take this client for. */
export interface KafkaSasl {
  readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
  readonly username: string;
  readonly password: string;
}

/** A cluster, as the options name it. */
export interface KafkaConnection {
  readonly brokers: readonly string[];
  readonly tls?: KafkaTls | 'off' | undefined;
  readonly sasl?: KafkaSasl | undefined;
}

const OWNER = 'kafkaSink';
const TLS_FIELDS = ['ca', 'cert', 'key', 'servername'] as const;
const MECHANISMS = ['plain', 'scram-sha-256', 'scram-sha-512'];
const BROKER = /^(\[[^\]\s]+\]|[^:\s]+):(\d{1,5})$/;

function hostOf(broker: string): string {
  return (BROKER.exec(broker)?.[1] ?? '').replace(/^\[(.*)\]$/, '$1');
}

function isLocal({ brokers }: KafkaConnection): boolean {
  return brokers.every((broker) => isLoopback(hostOf(broker)));
}

function checkText(name: string, value: unknown): void {
  if (typeof value !== 'string' || value === '')
    throw optionError(OWNER, name, { expected: 'a non-empty string', found: typeof value === 'string' ? value : 'another value' });
}

function checkTls(tls: KafkaConnection['tls']): void {
  if (tls === undefined || tls === 'off') return;
  if (typeof tls !== 'object' || tls === null) throw optionError(OWNER, 'tls', { expected: "an object or 'off'", found: tls });
  refuseUnknownOptions(`${OWNER}.tls`, tls, TLS_FIELDS);
  for (const name of TLS_FIELDS) if (tls[name] !== undefined) checkText(`tls.${name}`, tls[name]);
}

function checkSasl(connection: KafkaConnection): void {
  const { sasl } = connection;
  if (sasl === undefined) return;
  if (typeof sasl !== 'object' || sasl === null) throw optionError(OWNER, 'sasl', { expected: 'an object', found: sasl });
  refuseUnknownOptions(`${OWNER}.sasl`, sasl, ['mechanism', 'username', 'password']);
  if (!MECHANISMS.includes(sasl.mechanism)) throw optionError(OWNER, 'sasl.mechanism', { expected: MECHANISMS.join(' or '), found: sasl.mechanism });
  checkText('sasl.username', sasl.username);
  if (typeof sasl.password !== 'string') throw optionError(OWNER, 'sasl.password', { expected: 'a string', found: 'another value' });
  if (sasl.mechanism === 'plain' && tlsOf(connection) === undefined && !isLocal(connection))
    throw new UsageError('STREAM_OPTION', `Cannot use the mechanism plain of ${OWNER} as the password must travel encrypted: tls is off`);
}

/** What Node is told about TLS; undefined for plain connections, which without a word are those to this machine. */
export function tlsOf(connection: KafkaConnection): object | undefined {
  const { tls } = connection;
  if (tls === 'off') return undefined;
  if (tls === undefined) return isLocal(connection) ? undefined : { rejectUnauthorized: true };
  return { ...tls, rejectUnauthorized: true };
}

/**
 * Checks a connection. The password never gets into an error.
 *
 * @throws {UsageError} If a field is missing, unknown or of the wrong kind.
 */
export function resolveConnection(connection: KafkaConnection): KafkaConnection {
  const brokers: unknown = connection.brokers;
  if (!Array.isArray(brokers) || brokers.length === 0 || !brokers.every((broker) => typeof broker === 'string' && BROKER.test(broker)))
    throw optionError(OWNER, 'brokers', { expected: "a list of 'host:port', not empty", found: Array.isArray(brokers) ? brokers.join() : brokers });
  checkTls(connection.tls);
  checkSasl(connection);
  return connection;
}
