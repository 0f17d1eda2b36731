// Pure: the newest segment has bytes that are no frame. Is it the torn end of a crash, which may be cut, or damage to what was acknowledged, which must not?
// One group is in flight at a time, so everything before the last group was synced, and only the last group may be torn.

/** What was seen around the bytes that are no frame. */
export interface TailScene {
  /** The lsn the bad frame would have. */
  readonly badLsn: number;
  /** The group of the last good frame before it; 0 when there is none. */
  readonly groupBefore: number;
  /** Whether that frame ended its group, so that the bad frame belongs to the next. */
  readonly isGroupEnded: boolean;
  /** Valid frames of the same segment found behind the bad bytes. */
  readonly later: readonly { readonly lsn: number; readonly group: number; readonly durableLsn: number }[];
}

/** The answer: cut there, or refuse, with the reason. */
export type TailVerdict = { readonly kind: 'torn' } | { readonly kind: 'corrupt'; readonly why: string };

/**
 * Judges the end of a log.
 *
 * - A later frame of a later group: the group of the bad frame was synced before that one was written. Damage.
 * - A later frame that names the bad lsn as durable: damage.
 * - Later frames of the same group only, or none: a crash while the group was written. Torn.
 */
export function judgeTail(scene: TailScene): TailVerdict {
  const badGroup = scene.isGroupEnded ? scene.groupBefore + 1 : scene.groupBefore;
  for (const frame of scene.later) {
    if (frame.group > badGroup) return { kind: 'corrupt', why: `record ${frame.lsn} of the later group ${frame.group} follows it` };
    if (frame.durableLsn >= scene.badLsn) return { kind: 'corrupt', why: `record ${frame.lsn} says that all up to ${frame.durableLsn} was durable` };
  }
  return { kind: 'torn' };
}
