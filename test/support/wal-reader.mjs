// A second reader of the write-ahead log, format version 2, for checking the first one. Written from docs/format-wal.md alone; it shares no code with the engine. It only reads, whole files at once.
import { readdirSync, readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';

const HEADER = 4096,
  HEAD = 40,
  MAX_PAYLOAD = 16 * 1024 * 1024;
const u64 = (bytes, at) => Number(bytes.readBigUInt64LE(at));
const damage = (file, offset, why) => new Error(`${file} at offset ${offset}: ${why}`);

function readSegment(directory, entry) {
  const file = entry.name,
    number = Number(file.slice(0, 16));
  const check = (fine, offset, why) => {
    if (!fine) throw damage(file, offset, why);
  };
  check(entry.isFile(), 0, 'a segment must be a regular file');
  const bytes = readFileSync(`${directory}/${file}`);
  check(bytes.length >= HEADER && bytes.toString('latin1', 0, 8) === 'MILLRACE', 0, 'no segment header');
  check(crc32(bytes.subarray(0, 4092)) === bytes.readUInt32LE(4092), 4092, 'wrong checksum of the header');
  check(bytes.readUInt32LE(8) === 2, 8, `unknown format version ${bytes.readUInt32LE(8)}`);
  check(bytes.readUInt32LE(12) === 0, 12, `unknown incompatible features ${bytes.readUInt32LE(12)}`);
  check(bytes.readUInt32LE(20) !== 0, 20, 'the salt is 0');
  for (const at of [56, 64, 72, 80, 92, 100]) check(Number.isSafeInteger(u64(bytes, at)), at, 'a number of 2^53 or more');
  check(bytes.length >= u64(bytes, 92), 92, `the file was cut short: it has ${bytes.length} bytes`);
  check(number >= 1 && u64(bytes, 64) === number, 64, `the header says segment ${u64(bytes, 64)}`);
  return {
    file,
    number,
    bytes,
    check,
    salt: bytes.readUInt32LE(20),
    epoch: u64(bytes, 56),
    firstLsn: u64(bytes, 72),
    previousEnd: u64(bytes, 80),
    previousChain: bytes.readUInt32LE(88),
    firstGroup: u64(bytes, 100),
    store: bytes.toString('hex', 24, 40),
  };
}

// The frame at a place, if it is whole. Whether it belongs there is for the caller to see.
function frameAt({ bytes }, at) {
  if (at + HEAD > bytes.length) return undefined;
  const length = bytes.readUInt32LE(at + 4),
    next = at + HEAD + Math.ceil(length / 8) * 8;
  if (length > MAX_PAYLOAD || next > bytes.length) return undefined;
  if (bytes.readUInt16LE(at + 10) !== 0) return undefined;
  if (crc32(bytes.subarray(at + 4, next)) !== bytes.readUInt32LE(at)) return undefined;
  const [lsn, group, durable] = [16, 24, 32].map((field) => u64(bytes, at + field));
  if (![lsn, group, durable].every(Number.isSafeInteger)) return undefined;
  return {
    next,
    lsn,
    group,
    durable,
    salt: bytes.readUInt32LE(at + 12),
    type: bytes[at + 8],
    endsGroup: (bytes[at + 9] & 1) === 1,
    checksum: bytes.subarray(at, at + 4),
    payload: bytes.subarray(at + HEAD, at + HEAD + length),
  };
}

// The rows of the verdict table for the newest segment: it has no good frame at this place.
function tailVerdict(segment, at, lsn, badGroup) {
  if (segment.bytes.subarray(at).every((byte) => byte === 0)) return 'end';
  segment.check(!frameAt(segment, at), at, `damage where lsn ${lsn} is due: a whole frame that belongs elsewhere`);
  for (let place = at + 8; place < segment.bytes.length; place += 8) {
    const frame = frameAt(segment, place);
    if (!frame || frame.salt !== segment.salt || frame.lsn < lsn) continue;
    const proof = frame.group > badGroup ? 'is of a later group' : frame.durable >= lsn ? 'names it as durable' : undefined;
    segment.check(!proof, at, `damage where lsn ${lsn} is due: the frame at offset ${place} ${proof}`);
  }
  return 'torn';
}

/** All records of a log, and whether it ends cleanly or in a torn write. Throws for everything else. */
export function readWal(directory) {
  const names = readdirSync(directory, { withFileTypes: true }).filter(({ name }) => /^\d{16}\.wal$/.test(name));
  const segments = names.sort((a, b) => (a.name < b.name ? -1 : 1)).map((entry) => readSegment(directory, entry));
  const records = [];
  if (segments.length === 0) return { records, end: 'end' };
  const [first] = segments;
  const start = first.number === 1 ? { firstLsn: 1, firstGroup: 1, previousEnd: 0, previousChain: 0 } : first;
  let before = { number: first.number - 1, epoch: 0, end: start.previousEnd, chain: start.previousChain };
  let [lsn, due] = [start.firstLsn, start.firstGroup]; // the lsn and the group that the next frame must carry
  for (const [index, segment] of segments.entries()) {
    const { check } = segment,
      follower = segments[index + 1];
    check(segment.store === first.store, 24, 'it belongs to another store');
    check(segment.number === before.number + 1, 0, `a gap: segment ${before.number + 1} is missing`);
    check(segment.epoch >= before.epoch, 56, `the epoch falls from ${before.epoch} to ${segment.epoch}`);
    check(segment.firstLsn === lsn, 72, `first lsn ${segment.firstLsn}, but ${lsn} is due`);
    check(segment.firstGroup === due, 100, `first group ${segment.firstGroup}, but ${due} is due`);
    check(segment.previousEnd === before.end, 80, `previous end ${segment.previousEnd}, but it is ${before.end}`);
    check(segment.previousChain === before.chain, 88, 'the chain is not that of the segment before');
    let at = HEADER,
      chain = 0;
    while (at !== follower?.previousEnd) {
      // in an older segment even good frames behind its end are void
      const frame = frameAt(segment, at);
      if (frame?.salt !== segment.salt || frame.lsn !== lsn || frame.group !== due) {
        check(!follower, at, `damage where lsn ${lsn} is due, before the end ${follower?.previousEnd} that ${follower?.file} names`);
        return { records, end: tailVerdict(segment, at, lsn, due) };
      }
      if (frame.type < 128) records.push({ lsn: lsn++, type: frame.type, group: frame.group, segment: segment.number, offset: at, payload: frame.payload });
      at = frame.next;
      due = frame.endsGroup ? frame.group + 1 : frame.group;
      chain = crc32(frame.checksum, chain);
    }
    before = { ...segment, end: at, chain };
  }
}
