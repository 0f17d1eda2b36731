// Errors of the system, by the name of their errno.

/** Whether an error carries one of these errno names in `code`. */
export function isErrno(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && codes.includes(error.code);
}
