// Pure: which epoch a start asks for, and whether it may have it.

/** The epoch to ask for: later than that of `identity`, and than every claim, of starts that live and of starts that died. */
export function nextEpoch(identityEpoch: number, claims: readonly number[]): number {
  return Math.max(identityEpoch, ...claims) + 1;
}

/**
 * Whether a start that holds the claim of an epoch is the newest: `identity` is older, and nobody has claimed a later epoch. The claim itself must be there: the owner of a later epoch
 * removes it.
 */
export function isNewest(epoch: number, found: { readonly identityEpoch: number; readonly claims: readonly number[] }): boolean {
  return found.identityEpoch < epoch && found.claims.includes(epoch) && Math.max(...found.claims) === epoch;
}
