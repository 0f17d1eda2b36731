// Pure: may the same commit be tried again after this error? Whether it was committed nobody knows by then; the compare-and-set of the repetition answers that.

/** What an error of pg has besides its message. */
interface ServerError {
  readonly code?: unknown;
  readonly severity?: unknown;
}

/** The SQLSTATE that the server sent; undefined for an error of the network or of pg. */
export function sqlState(error: Error): string | undefined {
  const { code, severity } = error as ServerError;
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && typeof severity === 'string' ? code : undefined;
}

/** Classes of conditions that pass: connection (08), resources (53), system errors (58). */
const PASSING_CLASSES = ['08', '53', '58'];

const PASSING = new Set([
  // Serialization failure, deadlock.
  '40001',
  '40P01',
  // A read-only server: a standby that may become a primary, or was one.
  '25006',
  // A transaction that stood idle too long was ended by the server.
  '25P03',
  // A lock that was not available in time; a statement that was cancelled or took too long.
  '55P03',
  '57014',
  // The server shuts down, has crashed, starts up; an idle session was ended.
  '57P01',
  '57P02',
  '57P03',
  '57P05',
]);

/** Errors of Node that no repetition mends: the server's certificate is not to be trusted. */
function isDistrust(error: Error): boolean {
  const { code } = error as ServerError;
  return typeof code === 'string' && (code.startsWith('ERR_TLS') || code.startsWith('ERR_SSL') || code.includes('CERT') || code.includes('VERIFY'));
}

/** The verdict: `again`, on a new connection, while patience lasts; or `refused`, since the same would fail again. */
export function judgeTrouble(error: Error): 'again' | 'refused' {
  const state = sqlState(error);
  if (state === undefined) return isDistrust(error) ? 'refused' : 'again';
  return PASSING.has(state) || PASSING_CLASSES.includes(state.slice(0, 2)) ? 'again' : 'refused';
}
