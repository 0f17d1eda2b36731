// Pure: may the same be tried again after this error? What became of it nobody knows by then; a new producer and the marker answer that. The field `retriable` of kafkajs is not asked: it is true on
// objects that are dead, and false where only patience is needed.

/** What an error of kafkajs has besides its message. */
interface ClientError {
  readonly name?: unknown;
  readonly code?: unknown;
  readonly cause?: unknown;
}

const DEPTH_MAX = 8;

/** Conditions that the same call meets again: what a record, a permission, a limit or a version forbids. */
const REFUSED: ReadonlyMap<number, string> = new Map([
  [10, 'MESSAGE_TOO_LARGE'],
  [17, 'INVALID_TOPIC_EXCEPTION'],
  [18, 'RECORD_LIST_TOO_LARGE'],
  [29, 'TOPIC_AUTHORIZATION_FAILED'],
  [30, 'GROUP_AUTHORIZATION_FAILED'],
  [31, 'CLUSTER_AUTHORIZATION_FAILED'],
  [33, 'UNSUPPORTED_SASL_MECHANISM'],
  [35, 'UNSUPPORTED_VERSION'],
  [38, 'INVALID_REPLICATION_FACTOR'],
  [44, 'POLICY_VIOLATION'],
  [50, 'INVALID_TRANSACTION_TIMEOUT'],
  [53, 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED'],
  [58, 'SASL_AUTHENTICATION_FAILED'],
  [87, 'INVALID_RECORD'],
]);

/** The error code that a broker sent, from the error or what caused it. */
export function brokerCode(error: unknown): number | undefined {
  let link = error as ClientError | null | undefined;
  for (let depth = 0; depth < DEPTH_MAX && link !== null && typeof link === 'object'; depth++) {
    if (typeof link.code === 'number') return link.code;
    link = link.cause as ClientError | null | undefined;
  }
  return undefined;
}

function isDistrust(error: unknown): boolean {
  let link = error as ClientError | null | undefined;
  for (let depth = 0; depth < DEPTH_MAX && link !== null && typeof link === 'object'; depth++) {
    const { code, name } = link;
    if (name === 'KafkaJSSASLAuthenticationError') return true;
    if (typeof code === 'string' && /^ERR_(TLS|SSL)|CERT|VERIFY/.test(code)) return true;
    link = link.cause as ClientError | null | undefined;
  }
  return false;
}

/** The verdict: `again`, with a new producer, while patience lasts; or `refused`, since the same would fail again. */
export function judgeTrouble(error: Error): 'again' | 'refused' {
  const code = brokerCode(error);
  if (code !== undefined) return REFUSED.has(code) ? 'refused' : 'again';
  return isDistrust(error) ? 'refused' : 'again';
}
