// The one place where tests of real disks open and read a log of the built package. Who changes the API of the log changes it here.
import { randomBytes } from 'node:crypto';
import { createNodeEnv } from '../../dist/env/node-env.js';
import { withDirectoryErrors } from '../../dist/recovery/directory-errors.js';
import { openWal } from '../../dist/wal/open-wal.js';
import { scanWal } from '../../dist/wal/scan.js';

const STORE_ID = '0'.repeat(32);
const RECORD_BYTES_MAX = 1 << 20;

function scanOptionsOf(directory) {
  return { files: createNodeEnv().files, directory, storeId: STORE_ID, payloadBytesMax: RECORD_BYTES_MAX, isSynced: true };
}

async function scanTexts(directory) {
  const texts = [];
  const scan = await scanWal(scanOptionsOf(directory), (frame) => texts.push(Buffer.from(frame.payload).toString()));
  return { scan, texts };
}

/** Opens the log in a directory that is there, as a driver does at a start. With `isPrepared` segments are filled with zeros ahead. */
export async function openLog(directory, { segmentBytesMax, isPrepared = false }) {
  return withDirectoryErrors(directory, async () => {
    const { scan, texts } = await scanTexts(directory);
    const { wal } = await openWal(
      {
        env: createNodeEnv(),
        directory,
        storeId: STORE_ID,
        epoch: (scan.spans.at(-1)?.header.epoch ?? 0) + 1,
        incarnation: randomBytes(16).toString('hex'),
        segmentBytesMax,
        recordBytesMax: RECORD_BYTES_MAX,
        groupBytesMax: 1 << 16,
        idleMarkMs: 1000,
        isPrepared,
        isOwner: () => true,
        onPoisoned: () => undefined,
      },
      scan,
    );
    return { texts, append: (text) => wal.append({ type: 1, payload: [Buffer.from(text)] }), close: () => wal.close() };
  });
}

/** The texts of all records, in order; changes nothing. Throws the error of the log if it refuses. */
export async function readLog(directory) {
  return withDirectoryErrors(directory, async () => (await scanTexts(directory)).texts);
}
