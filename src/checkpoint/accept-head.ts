// Pure: which checkpoint may be believed? LevelDB can lose its newest batch or come back older without a word; the log says which checkpoint was the last (the anchor).

/** A head that was found in the store, whole and checked. */
export interface HeadCandidate {
  readonly number: number;
  readonly hash: string;
  readonly previousHash: string | undefined;
  readonly lsn: number;
}

/** A checkpoint that the log names. */
export interface Anchor {
  readonly number: number;
  readonly headHash: string;
}

/** A registered savepoint: a copy of a checkpoint that the log names. */
export interface SavepointCandidate {
  readonly name: string;
  readonly headHash: string;
  readonly lsn: number;
}

/** What was found in store and log. */
export interface AcceptScene {
  /** Heads that are whole, newest first. */
  readonly heads: readonly HeadCandidate[];
  /** Numbers of heads that are there but damaged. */
  readonly damaged: readonly number[];
  /** The anchors in the log, oldest first. */
  readonly anchors: readonly Anchor[];
  /** The first and the last lsn of the log; `last` is `first - 1` when it is empty. */
  readonly log: { readonly first: number; readonly last: number };
  /** The savepoints, newest first. */
  readonly savepoints: readonly SavepointCandidate[];
  /** Whether the store began with a savepoint: then its log holds nothing of what was before, though it begins with record 1. */
  readonly hasOrigin: boolean;
}

/** The answer: a head (and whether its anchor is still missing), a savepoint, everything from the log alone, or a refusal. */
export type HeadVerdict =
  | { readonly kind: 'head'; readonly number: number; readonly isAnchored: boolean }
  | { readonly kind: 'savepoint'; readonly name: string }
  | { readonly kind: 'replay' }
  | { readonly kind: 'refuse'; readonly code: 'STREAM_CHECKPOINT_AHEAD' | 'STREAM_CHECKPOINT_CORRUPT'; readonly why: string };

function isAcceptedAsNewest(head: HeadCandidate, last: Anchor | undefined): boolean {
  return last === undefined ? head.previousHash === undefined : last.headHash === head.hash || last.headHash === head.previousHash;
}

/**
 * Chooses the checkpoint to start from.
 *
 * - A head that names an lsn behind the end of the log: the log lost acknowledged records. It is refused and never skipped, since it would seem valid once the log has grown.
 * - The newest head, if the last anchor names it, or names the one before it (the crash came between head and anchor), or there is neither an anchor nor one before.
 * - An older head, if any anchor names it.
 * - No head fits: the newest savepoint whose checkpoint an anchor names, if the log reaches back to it.
 * - No savepoint fits: all from the log, if it still begins with the first record of the store.
 */
export function acceptHead(scene: AcceptScene): HeadVerdict {
  const { heads, anchors, log } = scene;
  const ahead = heads.find(({ lsn }) => lsn > log.last);
  if (ahead !== undefined) {
    const why = `checkpoint ${ahead.number} was folded up to record ${ahead.lsn}, the log ends with record ${log.last}`;
    return { kind: 'refuse', code: 'STREAM_CHECKPOINT_AHEAD', why };
  }
  const last = anchors.at(-1);
  const reaches = ({ lsn }: { readonly lsn: number }): boolean => lsn + 1 >= log.first;
  for (const [index, head] of heads.entries()) {
    const isNewest = index === 0 && scene.damaged.every((number) => number < head.number);
    const isAccepted = (isNewest && isAcceptedAsNewest(head, last)) || anchors.some((anchor) => anchor.headHash === head.hash);
    if (isAccepted && reaches(head)) return { kind: 'head', number: head.number, isAnchored: last?.headHash === head.hash };
  }
  return acceptSavepoint(scene) ?? acceptLog(scene);
}

function acceptSavepoint({ savepoints, anchors, log }: AcceptScene): HeadVerdict | undefined {
  const isNamed = (headHash: string): boolean => anchors.some((anchor) => anchor.headHash === headHash);
  const found = savepoints.find(({ headHash, lsn }) => lsn + 1 >= log.first && lsn <= log.last && isNamed(headHash));
  return found === undefined ? undefined : { kind: 'savepoint', name: found.name };
}

function acceptLog(scene: AcceptScene): HeadVerdict {
  return scene.log.first === 1 && !scene.hasOrigin ? { kind: 'replay' } : refuseAll(scene);
}

function refuseAll({ heads, damaged, anchors, log, savepoints, hasOrigin }: AcceptScene): HeadVerdict {
  const last = anchors.at(-1);
  const found = heads.length === 0 ? 'no whole checkpoint' : `checkpoints ${heads.map((head) => head.number).join(', ')}`;
  const named = last === undefined ? 'none' : `checkpoint ${last.number}`;
  const why = `${found} in the store, damaged: ${damaged.join(', ') || 'none'}, the log names ${named} and begins with record ${log.first}${hasOrigin ? ', behind the savepoint that the store began with' : ''}; savepoints: ${savepoints.map(({ name }) => name).join(', ') || 'none'}`;
  return { kind: 'refuse', code: 'STREAM_CHECKPOINT_CORRUPT', why };
}
