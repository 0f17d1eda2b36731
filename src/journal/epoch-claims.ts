// The claims of a store directory: `identity.EPOCH.claim`, one name for each epoch that a start asked for. link() makes such a name once, so two starts never have one epoch, also where every lock is defeated.
import type { FileSystem } from '../env/file-system.ts';

const CLAIM = /^identity\.(\d+)\.claim$/;
/** What a start writes before it claims: named by the epoch that it asks for. */
const DRAFT = /^identity\.(\d+)\.[\da-f]+\.tmp$/;

/** The path of a claim. */
export function claimPath(directory: string, epoch: number): string {
  return `${directory}/identity.${epoch}.claim`;
}

/** The path of a file that is to be the claim of an epoch; no other driver uses it. */
export function draftPath(directory: string, draft: { readonly epoch: number; readonly incarnation: string }): string {
  return `${directory}/identity.${draft.epoch}.${draft.incarnation.slice(0, 8)}.tmp`;
}

/** The epochs that are claimed. */
export async function listClaims(files: FileSystem, directory: string): Promise<readonly number[]> {
  return (await files.list(directory)).flatMap((name) => {
    const match = CLAIM.exec(name);
    return match === null ? [] : [Number(match[1])];
  });
}

/** Removes the claims of epochs below this one, and drafts of this one and below: what is not claimed by now is too late. Starts of later epochs may be at work. */
export async function removeClaims(files: FileSystem, directory: string, epoch: number): Promise<void> {
  for (const name of await files.list(directory)) {
    const claim = CLAIM.exec(name);
    const draft = DRAFT.exec(name);
    const isOld = (claim !== null && Number(claim[1]) < epoch) || (draft !== null && Number(draft[1]) <= epoch);
    if (isOld) await files.remove(`${directory}/${name}`);
  }
}
