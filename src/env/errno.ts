// Errors of the system, by the name of their errno.
import { constants } from 'node:os';

const NUMBERS: Readonly<Record<string, number>> = constants.errno;

/** Whether an error carries one of these errno names: in `code`, or by its number in `errno`, since Node has no name for some of them, such as EDQUOT. */
export function isErrno(error: unknown, ...codes: readonly string[]): boolean {
  if (!(error instanceof Error)) return false;
  if ('code' in error && typeof error.code === 'string' && codes.includes(error.code)) return true;
  return 'errno' in error && typeof error.errno === 'number' && codes.some((code) => NUMBERS[code] === -Number(error.errno));
}
