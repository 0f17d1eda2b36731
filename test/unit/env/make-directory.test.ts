// Goal: a directory that a start relies on is there after a power cut, whoever made it. Method: the simulated disk; a process that dies at each step of making it, then another, then the power goes.
import { describe, expect, it } from 'vitest';
import { makeDirectoryDurably } from '../../../src/env/make-directory.ts';
import { createSimFileSystem, SeededRandom, SimDisk, SimProcess } from '../../../src/testing/index.ts';

const USE = { purpose: 'a place', access: 'private' } as const;

describe('makeDirectoryDurably()', () => {
  it('makes the name durable that a process left which died before it came to that, and those above', async () => {
    for (let killAt = 1; ; killAt++) {
      const disk = new SimDisk();
      const first = new SimProcess({ killAt });
      const made = makeDirectoryDurably(createSimFileSystem(disk, first), '/a/b/c', USE).then(() => true);
      const isOver = await Promise.race([made, first.died.then(() => false)]);
      first.kill();
      await makeDirectoryDurably(createSimFileSystem(disk, new SimProcess()), '/a/b/c', USE);
      disk.cutPower(new SeededRandom(killAt));
      expect({ killAt, kind: disk.stat('/a/b/c')?.kind }).toEqual({ killAt, kind: 'directory' });
      if (isOver) {
        expect(killAt).toBeGreaterThan(8);
        return;
      }
    }
  });
  it('refuses a file', async () => {
    const disk = new SimDisk();
    disk.create('/f');
    await expect(makeDirectoryDurably(createSimFileSystem(disk, new SimProcess()), '/f', USE)).rejects.toMatchObject({ code: 'STREAM_DIRECTORY' });
  });
});
