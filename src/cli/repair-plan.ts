// Pure: where a log is cut, which files that changes and in which order, and whether the checkpoints allow it.
import { CorruptionError, UsageError } from '../core/errors.ts';
import type { LogPlace } from './survey.ts';

/** What is known of a segment. */
export interface PlannedSegment {
  readonly segment: number;
  readonly fileBytes: number;
  /** The lsn of its first record; undefined where its header is damaged. */
  readonly firstLsn: number | undefined;
  /** Where it says that the segment before ends. */
  readonly previousEnd: number | undefined;
}

/** One change. Each can be done again after a crash. */
export type RepairStep =
  | { readonly kind: 'copy'; readonly segment: number }
  | { readonly kind: 'zero'; readonly segment: number; readonly from: number; readonly to: number }
  | { readonly kind: 'remove'; readonly segment: number };

/** Where the log ends afterwards. */
export interface CutPlace {
  /** The first record that is given up. */
  readonly lsn: number;
  /** The last segment that stays; undefined where none does. */
  readonly keep: { readonly segment: number; readonly offset: number; readonly fileBytes: number } | undefined;
  /** Whether what stands behind the place is void as long as the next segment is there: the last group, which a start wrote afresh into the next one. */
  readonly isVoid: boolean;
}

/**
 * Finds the place of a cut. At the first record of a segment the segment goes as a whole, and the one before it ends where that one said.
 *
 * @param segments - All segments, in order.
 * @param at - Where the frame of the first record that is given up begins.
 */
export function cutPlaceAt(segments: readonly PlannedSegment[], at: LogPlace): CutPlace {
  const { lsn } = at;
  let index = segments.findIndex(({ segment }) => segment === at.segment);
  let { offset } = at;
  let isVoid = false;
  for (let own = segments[index]; index > 0 && own?.firstLsn === lsn && own.previousEnd !== undefined; own = segments[index]) {
    index -= 1;
    offset = own.previousEnd;
    isVoid = true;
  }
  const kept = segments[index];
  return { lsn, keep: kept === undefined ? undefined : { segment: kept.segment, offset, fileBytes: kept.fileBytes }, isVoid };
}

/**
 * The changes that a cut needs, in order: copies of every file that changes; the later segments, newest first; zeros behind the place. What is void is zeroed before the next
 * segment goes, so that the old last group in it never comes to count again.
 *
 * @param isRestBlank - Whether there are only zeros behind the place in the segment that stays.
 */
export function planRepair(segments: readonly PlannedSegment[], cut: CutPlace, isRestBlank: boolean): readonly RepairStep[] {
  const { keep, isVoid } = cut;
  const removed = segments.filter(({ segment }) => segment > (keep?.segment ?? 0)).map(({ segment }) => segment);
  const zeroes: readonly RepairStep[] =
    keep === undefined || isRestBlank ? [] : [{ kind: 'zero', segment: keep.segment, from: keep.offset, to: keep.fileBytes }];
  const copied = [...zeroes.map(({ segment }) => segment), ...removed];
  const removals = removed.toReversed().map((segment): RepairStep => ({ kind: 'remove', segment }));
  const changes = isVoid ? [...zeroes, ...removals] : [...removals, ...zeroes];
  return [...copied.map((segment): RepairStep => ({ kind: 'copy', segment })), ...changes];
}

/**
 * Checks the number that was given as the first record to give up.
 *
 * @param log - The first record, and the one behind the last that is whole and may stay.
 * @throws {UsageError} If the log cannot be cut there.
 */
export function requireCutWithin(lsn: number, log: { readonly firstLsn: number; readonly endLsn: number; readonly isDamaged: boolean }): void {
  const { firstLsn, endLsn, isDamaged } = log;
  if (lsn >= firstLsn && lsn <= endLsn) return;
  const last = isDamaged ? `${endLsn}, the first damaged record` : `${endLsn}, the end of the log`;
  throw new UsageError('STREAM_OPTION', `Cannot cut the log at record ${lsn} as it must be from ${firstLsn} to ${last}: nothing was changed`);
}

/** A checkpoint in the store. */
export interface RetainedHead {
  readonly number: number;
  readonly lsn: number;
}

/**
 * Checks that no checkpoint was folded from records that are given up.
 *
 * @param heads - The checkpoints in the store.
 * @param cut - `endLsn`: the largest number that could be given.
 * @throws {CorruptionError} If one was.
 */
export function requireHeadsBehind(heads: readonly RetainedHead[], cut: { readonly lsn: number; readonly endLsn: number }): void {
  const ahead = heads.filter(({ lsn }) => lsn >= cut.lsn);
  if (ahead.length === 0) return;
  const named = ahead.map(({ number, lsn }) => `checkpoint ${number} was folded up to record ${lsn}`).join(', ');
  const smallest = Math.max(...ahead.map(({ lsn }) => lsn)) + 1;
  const way =
    smallest <= cut.endLsn
      ? `the smallest number that is allowed is ${smallest}`
      : `the smallest number that is allowed would be ${smallest}, the log is whole up to record ${cut.endLsn - 1} only: restore a copy of the directory`;
  throw new CorruptionError(
    'STREAM_CHECKPOINT_AHEAD',
    `Cannot cut the log at record ${cut.lsn} as no checkpoint may be ahead of the log: ${named}, so the state would be; ${way}. Nothing was changed`,
  );
}
