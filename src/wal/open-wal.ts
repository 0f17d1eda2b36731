// Opens a scanned log for appending, in a new segment of its own.
import { encodeFrame, chainWith, FLAG_GROUP_END } from './frame.ts';
import { diskFullError, isNoSpace } from './disk-full.ts';
import type { LogPosition } from './read-at.ts';
import type { LastGroup, SegmentSpan, WalScan } from './scan.ts';
import { finishSegment, removeTemporaries, segmentName, type SegmentDraft } from './segment-files.ts';
import { encodeSegmentHeader, SEGMENT_HEADER_BYTES, type SegmentHeader } from './segment-header.ts';
import { createDraft, dropDraft, SegmentSupply } from './segment-supply.ts';
import { headerFor, SegmentWriter } from './segment-writer.ts';
import { Wal, type WalOptions } from './wal.ts';

/** Zeros that are written ahead in the first segment of a start, so that neither this start waits for a whole one nor the next one reads it, and a program that dies again and again does not fill the disk. */
const FIRST_ZERO_BYTES = 64 * 1024;

/** A log that is open, and where the records of the last group stand now. */
export interface OpenedWal {
  readonly wal: Wal;
  /** By lsn. */
  readonly moved: ReadonlyMap<number, LogPosition>;
}

/** The last group, written afresh: with its own numbers, in the new segment. */
function relog(
  group: LastGroup,
  header: SegmentHeader,
): { readonly pieces: readonly Uint8Array[]; readonly moved: ReadonlyMap<number, LogPosition>; readonly chain: number } {
  const pieces: Uint8Array[] = [];
  const moved = new Map<number, LogPosition>();
  let offset = SEGMENT_HEADER_BYTES;
  let chain = 0;
  for (const [index, frame] of group.frames.entries()) {
    const encoded = encodeFrame({ ...frame, salt: header.salt, flags: index === group.frames.length - 1 ? FLAG_GROUP_END : 0 }, [frame.payload]);
    const [head] = encoded;
    if (head !== undefined) chain = chainWith(chain, head);
    pieces.push(...encoded);
    moved.set(frame.lsn, { lsn: frame.lsn, segment: header.segment, offset, frameBytes: frame.frameBytes });
    offset += frame.frameBytes;
  }
  return { pieces, moved, chain };
}

/** A draft with zeros ahead, or without where there is no room for them. */
async function firstDraft(options: WalOptions, supply: SegmentSupply): Promise<SegmentDraft> {
  const { files } = options.env;
  const zeroBytes = options.isPrepared ? Math.min(FIRST_ZERO_BYTES, options.segmentBytesMax) : 0;
  let full: unknown;
  for (const bytes of [zeroBytes, 0]) {
    try {
      return await createDraft(files, supply.nextPath(), { zeroBytes: bytes, fileBytes: bytes });
    } catch (error) {
      if (!isNoSpace(error)) throw error;
      full = error;
    }
  }
  throw diskFullError(options.directory, full);
}

/**
 * Opens a scanned log for appending, in a new segment of its own. The last group of the log is written afresh into it, with its numbers, before the segment appears under its
 * name: its driver may have died of a failed write-back, and then the page cache shows what the disk does not hold. What stands behind in the old segment is void from then on.
 *
 * @throws {SegmentTakenError} If another driver has made that segment since the scan: scan again.
 * @throws {StorageError} `STREAM_DISK_FULL` if there is no room for it.
 */
export async function openWal(options: WalOptions, scan: WalScan): Promise<OpenedWal> {
  const { env, directory } = options;
  await removeTemporaries(env.files, directory, options.epoch);
  const newest = scan.spans.at(-1);
  const last: LastGroup = scan.lastGroup ?? { frames: [], offset: newest?.end ?? 0, lsn: scan.nextLsn, chain: newest?.chain ?? 0 };
  let opened: Wal | undefined;
  const supply = new SegmentSupply({ files: env.files, directory, epoch: options.epoch, onFailed: (error) => opened?.poison(error) });
  const draft = await firstDraft(options, supply);
  const header = headerFor(options, {
    segment: (newest?.header.segment ?? 0) + 1,
    firstLsn: last.lsn,
    firstGroup: last.frames.length === 0 ? scan.nextGroup : scan.nextGroup - 1,
    previousEnd: last.offset,
    previousChain: last.chain,
    fileBytes: draft.fileBytes,
  });
  const path = `${directory}/${segmentName(header.segment)}`;
  const { pieces, moved, chain } = relog(last, header);
  try {
    const size = await finishSegment(env.files, draft, { path, pieces: [encodeSegmentHeader(header), ...pieces], isOwner: options.isOwner });
    const spans: readonly SegmentSpan[] =
      newest === undefined ? [] : [...scan.spans.slice(0, -1), { ...newest, end: last.offset, nextLsn: last.lsn, chain: last.chain }];
    const writer = new SegmentWriter(options, supply, { spans, current: { header, path, draft, size, chain }, nextLsn: scan.nextLsn });
    opened = new Wal(options, writer, { lsn: scan.nextLsn, group: scan.nextGroup });
    return { wal: opened, moved };
  } catch (error) {
    // Nothing was begun: the draft goes, and the error says why. If it can't go, the next start removes it.
    await dropDraft(env.files, draft).catch(() => undefined);
    throw isNoSpace(error) ? diskFullError(directory, error) : error;
  }
}
