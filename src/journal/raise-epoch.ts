// Raises the epoch of a store: the step by which a start becomes the newest driver. The locks of directory and LevelDB let one start do it at a time; what stands here holds where both are defeated.
//
// 1. list    the epoch to ask for is above that of `identity` and above every claim
// 2. draft   the new identity is written and synced under a name of this start
// 3. link    the draft gets the name `identity.EPOCH.claim`. The name is taken: somebody else asked for this epoch; again from 1
// 4. look    the claim must be the newest one, and `identity` older; else the claim is removed and the start refuses
// 5. rename  the draft becomes `identity`. It is gone: the start refuses
// 6. sync    the directory: claim and identity are durable
// 7. remove  the drafts of this epoch and below, and the claims below it
// 8. watch   `identity` must be this start's still (`watchIdentity`). Only now does the driver begin: it reads the log, makes segments, claims sinks
//
// What holds at each moment:
// (a) A claim is removed only where a later one is: at 7 by a start whose claim, or a later one, is there; by its own start at 4 or 5 because of a later one. So some claim is above every epoch whose claim is gone.
// (b) No two starts pass 4 with one epoch. Both made the same claim, so it was removed in between; by (a) a later one is there when the second looks.
// (c) Behind the 7 of a start, no draft of its epoch or below is renamed. A draft that is there goes at 7. One that is made later is linked and looked at later: by (a) its start finds a later claim, and refuses.
// (d) So nobody begins with an epoch below that of one that has begun: by (c) it would have to rename before the other's 7, and then the other finds at 8 that `identity` is not its own.
//
// Two starts at one moment, L with the lower epoch and H with the higher one, every way their steps can fall:
// - H links before L looks: L refuses at 4, H begins.
// - H links after L looked, L renames before H: H renames over it. L refuses at 8, or it has begun and is a driver like any other that is taken over: its watch sees another file.
// - H links after L looked, H renames before L, L renames before H's 7: `identity` goes back from H to L. H refuses at 8 and has done nothing; L begins. H's claim stays: the next start asks for an epoch above it.
// - H links after L looked, and L comes to its rename behind H's 7: its draft is gone, it refuses; H begins.
// One of them begins in each case. So it is with more than two: the start with the newest claim passes 4, nobody removes its draft, and whoever renames last is not refused at 8.
//
// What remains: a listing must see each name that is there all the time, or the later one in whose favour it went. So few names come in one system call, under the lock of the directory; a network file system may
// do otherwise. And a person who removes claims or puts an old `identity` in the place of the new one takes the ground from all this; segments and sinks with later epochs then refuse.
//
// Crashes: behind 3 the claim stays, and the epoch is left out; behind 5 `identity` is the new one or, without power, the old one, and the claim may be there or not. Nobody has begun, and the next epoch is above what
// is left; what had begun was durable since its 6. Claims and drafts of a crash block nobody: the next start asks for a later epoch, and removes them at its 7.
import { toHex } from '../core/ids.ts';
import type { LockedError } from '../core/errors.ts';
import { isErrno } from '../env/errno.ts';
import type { Env } from '../env/env.ts';
import { createSynced } from '../wal/create-synced.ts';
import { writeFully } from '../wal/write-fully.ts';
import { claimPath, draftPath, listClaims, removeClaims } from './epoch-claims.ts';
import { encodeIdentity, ID_BYTES, identityPath, readIdentity, takenOver, type Identity } from './identity.ts';
import { isNewest, nextEpoch } from './judge-claim.ts';

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
  await removeClaims(files, directory, epoch);
  return raised;
}
