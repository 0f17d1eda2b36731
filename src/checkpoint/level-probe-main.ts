// The other process of level-probe: opens the LevelDB of a directory and reads every value, as a start does. That it comes to its end is the answer.
import { createLevelCheckpointStore } from './level-checkpoint-store.ts';

const KEYS_AT_ONCE = 16;

async function readAll(path: string): Promise<void> {
  const store = createLevelCheckpointStore(path);
  await store.open('existing');
  const keys = await store.keys('');
  for (let from = 0; from < keys.length; from += KEYS_AT_ONCE) await store.read(keys.slice(from, from + KEYS_AT_ONCE));
  await store.close();
}

// It must not outlive the process that asks: it has LevelDB's lock. An exit would wait for what LevelDB is at.
process.stdin.resume().on('end', () => process.kill(process.pid, 'SIGKILL'));
// What LevelDB reports as an error is found again by the process that asks.
await readAll(process.argv[2] ?? '').catch(() => undefined);
process.exit(0);
