// Reads a log as far as it is whole, also where it is damaged, and says where that ends.
import { CorruptionError } from '../core/errors.ts';
import { readHead, scanWal, type DamagedHead, type RecordVisitor, type ScanOptions, type SegmentHead, type WalScan } from '../wal/scan.ts';
import { listSegments } from '../wal/segment-files.ts';

/** A place in the log. */
export interface LogPlace {
  readonly lsn: number;
  readonly segment: number;
  readonly offset: number;
}

/** What takes the records of one attempt to read the log. */
export interface SurveyVisitor {
  readonly visit: RecordVisitor;
}

/** A log as far as it is whole. */
export interface Survey<V extends SurveyVisitor> {
  /** Every segment, also those behind a damage. */
  readonly heads: readonly (SegmentHead | DamagedHead)[];
  /** Names in the directory of the log that do not belong there. */
  readonly foreign: readonly string[];
  /** The lsn of the first record. */
  readonly firstLsn: number;
  /** The place behind the last whole record: where the next one comes, or where the damage begins. Segment 0 where nothing is whole. */
  readonly end: LogPlace;
  /** Bytes of a torn write; 0 where the log is damaged. */
  readonly tornBytes: number;
  readonly damage: CorruptionError | undefined;
  /** What took the whole records. */
  readonly visitor: V;
}

/** Whether the header of a segment is whole. */
export function isWhole(head: SegmentHead | DamagedHead): head is SegmentHead {
  return 'header' in head;
}

function endOf({ spans, nextLsn }: WalScan): LogPlace {
  const last = spans.at(-1);
  return { lsn: nextLsn, segment: last?.header.segment ?? 0, offset: last?.end ?? 0 };
}

type Whole<V> = Pick<Survey<SurveyVisitor>, 'end' | 'tornBytes' | 'damage'> & { readonly visitor: V };

/**
 * Scans, and where that finds damage scans again without what stands behind it, until the place is exact: damage to a header is found before any frame is read.
 */
async function scanWholePart<V extends SurveyVisitor>(options: ScanOptions, createVisitor: () => V): Promise<Whole<V>> {
  let segmentMax = Number.MAX_SAFE_INTEGER;
  let damage: CorruptionError | undefined;
  for (;;) {
    const visitor = createVisitor();
    try {
      const scan = await scanWal({ ...options, segmentMax }, visitor.visit);
      return { end: endOf(scan), tornBytes: damage === undefined ? scan.tornBytes : 0, damage, visitor };
    } catch (error) {
      if (!(error instanceof CorruptionError) || error.damage === undefined) throw error;
      const { segment, offset, lsnFrom } = error.damage;
      // The first error about a segment knows the segment behind it, and so which records are missing.
      if (damage?.damage?.segment !== segment) damage = error;
      const isExact = offset > 0 && segment === segmentMax;
      if (isExact) return { end: { lsn: lsnFrom, segment, offset }, tornBytes: 0, damage, visitor };
      segmentMax = offset > 0 ? segment : segment - 1;
    }
  }
}

/**
 * Reads a log as far as it is whole. Changes nothing.
 *
 * @param createVisitor - Makes what takes the records; called again for each attempt, the last one counts.
 * @throws {CorruptionError} Without a place, if a segment is of another version or store, or its name stands for something that is no file.
 */
export async function surveyLog<V extends SurveyVisitor>(options: ScanOptions, createVisitor: () => V): Promise<Survey<V>> {
  const { segments, foreign } = await listSegments(options.files, options.directory);
  const heads: (SegmentHead | DamagedHead)[] = [];
  for (const segment of segments) heads.push(await readHead(options, segment));
  const [first] = heads;
  const firstLsn = first !== undefined && isWhole(first) ? first.header.firstLsn : 1;
  return { heads, foreign, firstLsn, ...(await scanWholePart(options, createVisitor)) };
}
