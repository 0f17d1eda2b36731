// Strings that are kept for long. What V8 hands out may be a piece of a much larger string, which it keeps alive, or a tree of the pieces that it was put together from.

/** A piece shorter than this is copied by V8 itself. */
const SLICE_LENGTH_MIN = 13;

/** The same text, with memory of its own and no more of it than it needs. */
export function compactText(text: string): string {
  if (text.length < SLICE_LENGTH_MIN) return text;
  const encoding = Buffer.byteLength(text) === text.length ? 'latin1' : 'utf16le';
  return Buffer.from(text, encoding).toString(encoding);
}

/** The same text as one string where it was put together from pieces. */
export function flatText(text: string): string {
  // Reading a character joins the pieces; the collector then drops the tree.
  text.charCodeAt(0);
  return text;
}
