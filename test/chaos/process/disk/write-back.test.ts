// Goal: when the kernel cannot write back what it took, the writer ends, acknowledges nothing more, and what is read later is what was acknowledged or a refusal, never other bytes.
// Method: ext4 in a sparse file on a tmpfs that is too small for it, so that a sync of the log fails though there is space in the file system; then the tmpfs grows and the file
// system is mounted again.
import { afterEach, expect, it } from 'vitest';
import { toError } from '../../../../src/core/errors.ts';
import { isErrno } from '../../../../src/env/errno.ts';
import { LoopDisk, releaseAll, requireTools, SmallDisk } from '../../../support/faults.ts';
import { LogPlace } from '../../../support/log-place.ts';
import { readLog } from '../../../support/real-log.mjs';

let place: LogPlace | undefined;

afterEach(async () => {
  await place?.close();
  releaseAll();
});

/** Reads the log; a file system that has become unreadable may refuse, by name, and says so. */
async function isReadable(log: LogPlace, disk: LoopDisk): Promise<boolean> {
  try {
    disk.mount();
  } catch (error) {
    console.log(`the file system cannot be mounted: ${toError(error).message}`);
    return false;
  }
  try {
    await readLog(log.directory);
    return true;
  } catch (error) {
    if (!isErrno(error, 'EIO', 'EUCLEAN', 'STREAM_WAL_CORRUPT', 'STREAM_WAL_POISONED')) throw error;
    console.log(`the log refuses: ${toError(error).message}`);
    return false;
  }
}

it.for([
  { what: 'with a journal', mkfs: [] },
  { what: 'without a journal', mkfs: ['-O', '^has_journal'] },
])('ends with 74 when a real sync fails, on ext4 $what', async ({ mkfs }, context) => {
  requireTools(context, ['root', 'mounting', 'loop devices', 'mkfs.ext4']);
  const small = new SmallDisk('6m');
  const disk = new LoopDisk('ext4', { directory: small.mountpoint, mkfs });
  const log = (place = new LogPlace(disk.mountpoint, { bytes: 20_003, segmentBytesMax: 256 * 1024, parallel: 2 }));
  const end = await log.start({}).ended;
  expect(end).toMatchObject({ code: 74, isDone: false });
  // A sync that failed may say that there is no space, as the file of the image found. It is a failure all the same.
  expect(end.log).toMatch(/(ENOSPC|EIO): .*fdatasync/);
  expect(log.history.refusals.length).toBeGreaterThan(0);
  expect(new Set(log.history.refusals.map(({ code }) => code))).toEqual(new Set(['STREAM_WAL_POISONED']));
  expect(log.history.acknowledged).toBeGreaterThan(10);
  disk.unmount();
  small.resize('80m');
  if (!(await isReadable(log, disk))) return;
  expect(await log.read()).toMatchObject({ wrong: [] });
  expect(await log.goOn()).toEqual([]);
});
