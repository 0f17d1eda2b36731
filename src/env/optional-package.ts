// Packages that are needed for one feature only: loaded when it is used, and missed with the command that installs them.
import { createRequire } from 'node:module';
import { UsageError } from '../core/errors.ts';

const require = createRequire(import.meta.url);

/**
 * Loads an optional package.
 *
 * @param name - What is imported, such as `csv-stringify/sync`.
 * @param purpose - What it is needed for, for the message.
 * @throws {UsageError} If it is not installed.
 */
export function optionalPackage<T>(name: string, purpose: string): T {
  const [first = '', second = ''] = name.split('/');
  const packageName = first.startsWith('@') ? `${first}/${second}` : first;
  try {
    return require(name) as T;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'MODULE_NOT_FOUND')) throw error;
    throw new UsageError('STREAM_OPTION', `Cannot use ${purpose} as the package ${packageName} must be installed: run "npm install ${packageName}"`, {
      cause: error,
    });
  }
}
