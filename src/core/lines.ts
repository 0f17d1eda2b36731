// Lines out of bytes, a window at a time, so that a large block is never one large string.

const LINE_FEED = 10;
const WINDOW_BYTES = 256 * 1024;

/** Pushes each line of UTF-8 text, without its line feed. What stands behind the last line feed is a line too unless it is empty. */
export function pushLines(bytes: Uint8Array, push: (line: string) => void): void {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let start = 0; start < buffer.length;) {
    const end = windowEnd(buffer, start);
    const lines = buffer.toString('utf8', start, end).split('\n');
    if (buffer[end - 1] === LINE_FEED) lines.pop();
    for (let index = 0; index < lines.length; index++) push(lines[index] as string);
    start = end;
  }
}

/** The end of a run of whole lines of about the size of a window. */
function windowEnd(buffer: Buffer, start: number): number {
  if (buffer.length - start <= WINDOW_BYTES) return buffer.length;
  const last = buffer.lastIndexOf(LINE_FEED, start + WINDOW_BYTES - 1);
  if (last >= start) return last + 1;
  const next = buffer.indexOf(LINE_FEED, start + WINDOW_BYTES);
  return next < 0 ? buffer.length : next + 1;
}
