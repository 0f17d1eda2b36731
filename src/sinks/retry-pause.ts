// Pure but for chance: how long to wait before a commit is tried again.
import type { Random } from '../env/env.ts';

const FIRST_MS = 50;
const LONGEST_MS = 2000;

/** The pause after the n-th failure, n from 1: it doubles up to 2 s, and half of it is chance, so that two that got into each other's way do not meet again. */
export function retryPauseMs(failures: number, random: Random): number {
  const most = Math.min(FIRST_MS * 2 ** (failures - 1), LONGEST_MS);
  const [byte = 0] = random.bytes(1);
  return most / 2 + (most / 2) * (byte / 256);
}
