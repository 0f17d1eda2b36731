// Globs of directories and files, by the package minimatch.
import { optionalPackage } from '../env/optional-package.ts';
import type { NameRules } from './listed-files.ts';

interface Minimatch {
  minimatch(path: string, pattern: string, options?: { readonly matchBase?: boolean }): boolean;
}

const MAGIC = /[*?[\]{}!()]/u;

function matcher(pattern: string, matchBase: boolean): (path: string) => boolean {
  const found = optionalPackage<Minimatch>('minimatch', 'a glob');
  return (path) => found.minimatch(path, pattern, { matchBase });
}

/** Splits a directory into what is fixed and the glob behind it; no glob is an empty pattern. */
export function splitGlob(directory: string): { readonly base: string; readonly pattern: string } {
  const parts = directory.split('/');
  const first = parts.findIndex((part) => MAGIC.test(part));
  if (first < 0) return { base: directory, pattern: '' };
  const base = parts.slice(0, first).join('/');
  return {
    base: base === '' ? (directory.startsWith('/') ? '/' : '.') : base,
    pattern: parts
      .slice(first)
      .filter((part) => part !== '')
      .join('/'),
  };
}

/** Which directories and files count. A directory below one that matches counts only with `nested`. */
export function filePattern(given: { readonly pattern: string; readonly match: string | undefined; readonly nested: boolean }): NameRules {
  const { pattern, match, nested } = given;
  const takesFile = match === undefined ? (): boolean => true : matcher(match, true);
  if (pattern === '') return { nested, takesDirectory: (path) => nested || path === '', takesFile };
  const isMatch = matcher(pattern, false);
  const isBelow = matcher(`${pattern}/**`, false);
  return { nested: true, takesDirectory: (path) => path !== '' && (isMatch(path) || (nested && isBelow(path))), takesFile };
}
