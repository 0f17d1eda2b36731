// Pure: bytes of a segment are no frame, or the segment ends. Is it the end of the log, the torn end of a crash, or damage to what was acknowledged?
// One group is in flight at a time, so everything before the last group was synced, and only the last group may be torn.

/** What is known about the place. All are facts of the disk; each combination has one verdict. */
export interface TailFacts {
  /** Whether it is in the newest segment. */
  readonly isNewest: boolean;
  /** Whether nothing but zeros follows, up to the end of the file. */
  readonly isBlank: boolean;
  /** Whether it is exactly where the header of the next segment says that the segment ends. */
  readonly isNamedEnd: boolean;
  /** Whether a whole frame stands there that belongs elsewhere. */
  readonly isMisplaced: boolean;
  /** Whether a whole frame of a later group follows. */
  readonly hasLaterGroup: boolean;
  /** Whether a whole frame follows that says the record was durable. */
  readonly hasLaterDurable: boolean;
}

/** The answer: the log ends there, or a torn write does, or damage is there. */
export type TailVerdict = 'end' | 'torn' | 'corrupt';

type Row = Readonly<Partial<Record<keyof TailFacts, boolean>>> & { readonly verdict: TailVerdict };

/**
 * The table. A fact that a row does not name does not matter to it; each combination of facts fits exactly one row.
 *
 * 1. An older segment that ends where the next one says. What stands behind is void: a torn write, or a last group that was written afresh.
 * 2. An older segment that ends elsewhere. It was synced before the next one began: bytes were lost or changed since.
 * 3. The newest segment, zeros up to its end: nothing was written behind.
 * 4. A whole frame that belongs elsewhere. No crash leaves one: a write went to the wrong place, or was lost.
 * 5. A later group follows: it was written only after the group of this place was synced.
 * 6. A frame follows whose driver knew this record to be durable.
 * 7. Only frames of the same group follow, or none: a crash came while the group was written.
 */
export const TAIL_TABLE: readonly Row[] = [
  { isNewest: false, isNamedEnd: true, verdict: 'end' },
  { isNewest: false, isNamedEnd: false, verdict: 'corrupt' },
  { isNewest: true, isBlank: true, verdict: 'end' },
  { isNewest: true, isBlank: false, isMisplaced: true, verdict: 'corrupt' },
  { isNewest: true, isBlank: false, isMisplaced: false, hasLaterGroup: true, verdict: 'corrupt' },
  { isNewest: true, isBlank: false, isMisplaced: false, hasLaterGroup: false, hasLaterDurable: true, verdict: 'corrupt' },
  { isNewest: true, isBlank: false, isMisplaced: false, hasLaterGroup: false, hasLaterDurable: false, verdict: 'torn' },
];

const FACTS = ['isNewest', 'isBlank', 'isNamedEnd', 'isMisplaced', 'hasLaterGroup', 'hasLaterDurable'] as const;

/** The rows that fit: one, whatever the facts. */
export function rowsFor(facts: TailFacts): readonly Row[] {
  return TAIL_TABLE.filter((row) => FACTS.every((fact) => row[fact] === undefined || row[fact] === facts[fact]));
}

/** The verdict about a place; no fitting row would be a hole in the table, and is taken for damage. */
export function judgeTail(facts: TailFacts): TailVerdict {
  return rowsFor(facts)[0]?.verdict ?? 'corrupt';
}

/** Where the bytes stand that are no frame. */
export interface BadPlace {
  /** The lsn that the frame would have. */
  readonly badLsn: number;
  /** The group of the last good frame before it; 0 when there is none. */
  readonly groupBefore: number;
  /** Whether that frame ended its group, so that the bad frame belongs to the next. */
  readonly isGroupEnded: boolean;
}

/** A frame that stands behind them. */
export interface LaterFrame {
  readonly lsn: number;
  readonly group: number;
  readonly durableLsn: number;
}

/** What a frame that follows says about the group and the record of the place. */
export function factsFrom(place: BadPlace, later: LaterFrame): Pick<TailFacts, 'hasLaterGroup' | 'hasLaterDurable'> {
  const badGroup = place.isGroupEnded ? place.groupBefore + 1 : place.groupBefore;
  return { hasLaterGroup: later.group > badGroup, hasLaterDurable: later.durableLsn >= place.badLsn };
}
