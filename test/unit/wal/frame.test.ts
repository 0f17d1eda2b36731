import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeFrame, frameBytesOf, readFrame, type FrameHeader } from '../../../src/wal/frame.ts';
import { decodeSegmentHeader, encodeSegmentHeader, SEGMENT_HEADER_BYTES } from '../../../src/wal/segment-header.ts';
import { factsFrom, judgeTail, rowsFor, type TailFacts } from '../../../src/wal/tail-verdict.ts';
import { writeFully } from '../../../src/wal/write-fully.ts';
import { crc32 } from '../../../src/core/checksum.ts';

const HEADER: FrameHeader = { type: 2, flags: 1, salt: 0xdeadbeef, lsn: 7, group: 3, durableLsn: 6 };

function frameOf(payload: Uint8Array): Buffer {
  return Buffer.concat(encodeFrame(HEADER, [payload]));
}

describe('frames', () => {
  it('are read as they were written', () =>
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.maxSafeNat(), (payload, lsn) => {
        const bytes = Buffer.concat(encodeFrame({ ...HEADER, lsn }, [payload.subarray(0, 5), payload.subarray(5)]));
        expect(bytes.length).toBe(frameBytesOf(payload.length));
        const reading = readFrame(bytes, 0, { end: bytes.length, payloadBytesMax: 300 });
        expect(reading).toMatchObject({ kind: 'frame', frame: { ...HEADER, lsn, frameBytes: bytes.length } });
        expect(reading.kind === 'frame' && Buffer.from(reading.frame.payload).equals(payload)).toBe(true);
      }),
    ));
  it('have a format that does not change', () =>
    expect(frameOf(Buffer.from('hello')).toString('hex')).toMatchInlineSnapshot(
      `"fb4d87180500000002010000efbeadde07000000000000000300000000000000060000000000000068656c6c6f000000"`,
    ));
  it('are not read when any one bit is another', () => {
    const whole = frameOf(Buffer.from('a payload'));
    for (let bit = 0; bit < whole.length * 8; bit++) {
      const bytes = Buffer.from(whole);
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(readFrame(bytes, 0, { end: bytes.length, payloadBytesMax: 64 }).kind).toBe('bad');
    }
  });
  it('are not believed about a length over the limit or behind the end', () => {
    const bytes = frameOf(Buffer.alloc(64));
    expect(readFrame(bytes, 0, { end: bytes.length, payloadBytesMax: 63 })).toMatchObject({ kind: 'bad' });
    expect(readFrame(bytes, 0, { end: bytes.length - 8, payloadBytesMax: 64 })).toMatchObject({ kind: 'bad' });
  });
  it('are told from zeros and from nothing', () => {
    expect(readFrame(Buffer.alloc(100), 0, { end: 100, payloadBytesMax: 64 })).toEqual({ kind: 'blank' });
    expect(readFrame(Buffer.alloc(0), 0, { end: 0, payloadBytesMax: 64 })).toEqual({ kind: 'blank' });
    expect(readFrame(Buffer.from([...Buffer.alloc(39), 1]), 0, { end: 40, payloadBytesMax: 64 }).kind).toBe('bad');
  });
  it('of any bytes give an answer and no error', () =>
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(readFrame(Buffer.from(bytes), 0, { end: bytes.length, payloadBytesMax: 100 }).kind).not.toBe('frame');
      }),
    ));
});

describe('segment headers', () => {
  const header = {
    storeId: '0123456789abcdef0123456789abcdef',
    incarnation: 'f'.repeat(32),
    epoch: 3,
    segment: 9,
    firstLsn: 1000,
    firstGroup: 40,
    previousEnd: 4096,
    previousChain: 77,
    fileBytes: 8192,
    salt: 5,
  };
  it('are read as they were written', () => expect(decodeSegmentHeader(Buffer.from(encodeSegmentHeader(header)))).toEqual({ kind: 'header', header }));
  it('have a format that does not change', () =>
    expect(Buffer.from(encodeSegmentHeader(header)).subarray(0, 96).toString('hex')).toMatchInlineSnapshot(
      `"4d494c4c52414345020000000000000000000000050000000123456789abcdef0123456789abcdefffffffffffffffffffffffffffffffff03000000000000000900000000000000e80300000000000000100000000000004d00000000200000"`,
    ));
  it('of a newer version are told from damage', () => {
    const bytes = Buffer.from(encodeSegmentHeader(header));
    bytes.writeUInt32LE(3, 8);
    expect(decodeSegmentHeader(bytes)).toMatchObject({ kind: 'bad' });
    bytes.writeUInt32LE(crc32(bytes.subarray(0, SEGMENT_HEADER_BYTES - 4)), SEGMENT_HEADER_BYTES - 4);
    expect(decodeSegmentHeader(bytes)).toEqual({ kind: 'version', version: 3, incompatible: 0 });
  });
  it('that are cut short are damage', () => expect(decodeSegmentHeader(Buffer.alloc(100))).toMatchObject({ kind: 'bad' }));
});

const FACTS = ['isNewest', 'isBlank', 'isNamedEnd', 'isMisplaced', 'hasLaterGroup', 'hasLaterDurable'] as const;

/** Every combination of facts. */
function everyScene(): readonly TailFacts[] {
  return Array.from(
    { length: 2 ** FACTS.length },
    (_, bits) => Object.fromEntries(FACTS.map((fact, index) => [fact, (bits & (1 << index)) !== 0])) as unknown as TailFacts,
  );
}

describe('judgeTail()', () => {
  it('has exactly one row for each of the 64 combinations', () => {
    for (const facts of everyScene()) expect({ facts, rows: rowsFor(facts).length }).toEqual({ facts, rows: 1 });
  });
  it('never calls an end or a torn write what was proven durable', () => {
    for (const facts of everyScene()) {
      const isProven = facts.isNewest ? !facts.isBlank && (facts.isMisplaced || facts.hasLaterGroup || facts.hasLaterDurable) : !facts.isNamedEnd;
      expect({ facts, isCorrupt: judgeTail(facts) === 'corrupt' }).toEqual({ facts, isCorrupt: isProven });
    }
  });
  const place = { badLsn: 10, groupBefore: 4, isGroupEnded: true };
  const middle = { ...place, isGroupEnded: false };
  it.each([
    ['the same group behind it', place, { lsn: 11, group: 5, durableLsn: 9 }, 'torn'],
    ['a later group behind it', place, { lsn: 12, group: 6, durableLsn: 9 }, 'corrupt'],
    ['a frame that knows it was durable', place, { lsn: 11, group: 5, durableLsn: 10 }, 'corrupt'],
    ['in the middle of a group, its rest behind it', middle, { lsn: 11, group: 4, durableLsn: 8 }, 'torn'],
    ['in the middle of a group, the next behind it', middle, { lsn: 12, group: 5, durableLsn: 9 }, 'corrupt'],
    ['a damaged mark, the next group behind it with the same lsn', place, { lsn: 10, group: 6, durableLsn: 9 }, 'corrupt'],
  ] as const)('%s', (_name, at, later, verdict) =>
    expect(judgeTail({ isNewest: true, isNamedEnd: false, isBlank: false, isMisplaced: false, ...factsFrom(at, later) })).toBe(verdict),
  );
});

describe('writeFully()', () => {
  it('goes on after short writes', () =>
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ minLength: 1, maxLength: 20 }), { minLength: 1 }), fc.integer({ min: 1, max: 7 }), (pieces, step) => {
        const target = Buffer.alloc(1000);
        const write = (rest: readonly Uint8Array[], position: number): number => Buffer.concat(rest).copy(target, position, 0, step);
        const end = writeFully({ write } as never, pieces, 3);
        expect(target.subarray(3, end).equals(Buffer.concat(pieces))).toBe(true);
      }),
    ));
  it('does not spin when nothing is taken', () => expect(() => writeFully({ write: () => 0 } as never, [Buffer.from('a')], 0)).toThrow('it took 0'));
});
