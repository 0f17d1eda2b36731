// Raises the epoch of a store: the step by which a start becomes the newest driver. The locks of directory and LevelDB let one start do it at a time; what stands here holds where both are defeated.
//
// 1. list    the epoch to ask for is above that of `identity` and above every claim
// 2. draft   the new identity is written and synced under a name of this start
// 3. link    the draft gets the name `identity.EPOCH.claim`. The name is taken: somebody else asked for this epoch; again from 1
// 4. look    the claim must be the newest one, and `identity` older
// 5. rename  the draft becomes `identity`
// 6. sync    the directory: claim and identity are durable
// 7. look    the claim must be the newest one still
// 8. remove  claims below this epoch, and drafts of this epoch or below: such a draft can't be renamed any more
//
// What holds at each moment:
// (a) A claim is removed only at 8, by the owner of a later epoch whose claim is there and durable, or by its own start that found a later claim at 4 or 7. So the newest claim is above every epoch that was
//     ever claimed and is gone, for good. From the moment of a crash as well: what acted had passed 6, and its claim was durable then.
// (b) No two starts pass 4 with one epoch. Both would have made the same claim, so it was removed in between, so by (a) there is a later claim, and the second does not pass.
// (c) Nobody passes 7 with an epoch below one that passed 7 before. The later one's claim was there before its 4; by (a) it, or a later one, is there since.
//
// Two starts at one moment, L with the lower epoch and H with the higher one, every way their steps can fall:
// - H links before L looks (4): L refuses, and H goes on.
// - H links after L looked, and L renames first: L refuses at 7; or it had passed 7 before and is a driver like any other that is taken over: its watch sees that `identity` is another file.
// - H links after L looked, and H renames first (L was stopped between its look and its rename). H removes L's draft at 8, so if L wakes behind that, it has nothing to rename and refuses. If it wakes between H's 5
//   and 8, `identity` goes back to L's. L refuses at 7, since H's claim stands. H finds that `identity` is not its own when it
//   begins to watch it or, if it runs already, answers nobody from its next sync on. Both are stopped; nobody has acted with L's epoch, and the next start asks for one above H's. This is what remains: a rename
//   can't be told to replace only what is older, so such a start ends a healthy driver. It never goes unnoticed, and the next start has all that was acknowledged or committed.
// Three and more: of those that have linked, all but the highest refuse at 4 or at 7, by the same argument for each pair.
//
// A listing must see a name that is there all the time, or the later one in whose favour it was removed: so few names come in one system call, under the lock of the directory.
//
// Crashes: behind 3 the claim stays and the epoch is left out; behind 5 `identity` is the new one or, without power, the old one, and the claim may be there or not: the next epoch is above what is left, and nobody
// had acted. Claims that a crash left are removed at the next 8, and block nobody.
import { toHex } from '../core/ids.ts';
import type { LockedError } from '../core/errors.ts';
import { isErrno } from '../env/errno.ts';
import type { Env } from '../env/env.ts';
import { createSynced } from '../wal/create-synced.ts';
import { writeFully } from '../wal/write-fully.ts';
import { claimPath, draftPath, listClaims, removeClaims } from './epoch-claims.ts';
import { encodeIdentity, ID_BYTES, identityPath, readIdentity, takenOver, type Identity } from './identity.ts';
import { isNewest, isNewestClaim, nextEpoch } from './judge-claim.ts';

/** How often a start asks for another epoch because somebody else asked for the same. */
const CLAIMS_MAX = 16;

/** An epoch that this start alone has, and the file that is to be the identity. */
interface Claimed {
  readonly raised: Identity;
  readonly draft: string;
}

/** Steps 1 to 3; undefined if somebody else made the claim first. */
async function claim(env: Env, directory: string, identity: Identity): Promise<Claimed | undefined> {
  const { files, random } = env;
  const epoch = nextEpoch(identity.epoch, await listClaims(files, directory));
  const raised = { ...identity, epoch, incarnation: toHex(random.bytes(ID_BYTES)) };
  const draft = draftPath(directory, raised);
  await createSynced(files, { path: draft, mode: 'create' }, (handle) => writeFully(handle, [encodeIdentity(raised)], 0));
  try {
    await files.link(draft, claimPath(directory, epoch));
    return { raised, draft };
  } catch (error) {
    await files.remove(draft);
    // The name is taken, or the one that took it is through and has removed the draft.
    if (isErrno(error, 'EEXIST') || isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** Gives up a claim behind which there is a later one. */
async function refuse(env: Env, directory: string, { raised, draft }: Claimed): Promise<LockedError> {
  await env.files.remove(draft);
  await env.files.remove(claimPath(directory, raised.epoch));
  return takenOver(directory, raised.epoch, (await readIdentity(env, directory, false))?.epoch);
}

/**
 * Raises the epoch durably, with a new incarnation. From here on an older driver of this directory is out of date.
 *
 * @param identity - What was read.
 * @throws {LockedError} If another driver has asked for a later one since it was read.
 */
export async function raiseEpoch(env: Env, directory: string, identity: Identity): Promise<Identity> {
  const { files } = env;
  let claimed: Claimed | undefined;
  for (let claims = 1; claimed === undefined; claims++) {
    if (claims > CLAIMS_MAX) throw takenOver(directory, identity.epoch, (await readIdentity(env, directory, false))?.epoch);
    claimed = await claim(env, directory, identity);
  }
  const { raised, draft } = claimed;
  const { epoch } = raised;
  const claims = await listClaims(files, directory);
  const found = await readIdentity(env, directory, false);
  if (found?.storeId !== identity.storeId || !isNewest(epoch, { identityEpoch: found.epoch, claims })) throw await refuse(env, directory, claimed);
  try {
    await files.rename(draft, identityPath(directory));
  } catch (error) {
    // The owner of a later epoch has removed the draft.
    throw isErrno(error, 'ENOENT') ? await refuse(env, directory, claimed) : error;
  }
  await files.syncDirectory(directory);
  if (!isNewestClaim(epoch, await listClaims(files, directory))) throw await refuse(env, directory, claimed);
  await removeClaims(files, directory, epoch);
  return raised;
}
