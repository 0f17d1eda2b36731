// Pure: does the next group go into the segment that is being written, or into a new one?
import { SEGMENT_HEADER_BYTES } from './segment-header.ts';

/** What the answer depends on, in bytes. */
export interface RotationFacts {
  /** Where the segment's valid bytes end. */
  readonly size: number;
  readonly groupBytes: number;
  /** Up to where the segment was filled with zeros ahead. */
  readonly zeroEnd: number;
  readonly segmentBytesMax: number;
  /** Whether a prepared segment is there. */
  readonly isNextReady: boolean;
}

/**
 * A segment takes at least one group. It is left when the group would make it larger than the limit; and when the zeros that were written ahead are used up and a prepared segment
 * is there, since a segment that grows costs more at each sync.
 */
export function isRotationDue({ size, groupBytes, zeroEnd, segmentBytesMax, isNextReady }: RotationFacts): boolean {
  if (size === SEGMENT_HEADER_BYTES) return false;
  const end = size + groupBytes;
  return end > segmentBytesMax || (isNextReady && end > zeroEnd);
}

/** The next segment is prepared when half of the zeros are used. */
export function isPreparationDue({ size, zeroEnd }: Pick<RotationFacts, 'size' | 'zeroEnd'>): boolean {
  return size > zeroEnd / 2;
}
