// Who stands in the way: while a statement waits for a lock, a second connection asks the server for whom. Afterwards nobody could tell.
import type { Clock, Timer } from '../../env/env.ts';
import type { Answer, Link } from './driver.ts';
import { blockersStatement } from './statements.ts';

/** So long a statement waits before anybody asks why, and between two questions. */
const ASK_AFTER_MS = 500;

/** What a watch needs. */
export interface WatchOptions {
  readonly clock: Clock;
  /** The longest the lock is waited for: the last question comes before. */
  readonly lockTimeoutMs: number;
  /** Makes the second connection. */
  readonly connect: () => Promise<Link>;
}

/** A watch over one connection. */
export interface Watch {
  /** Ends it, and tells whom the connection was last seen to wait for; nothing if it did not wait. */
  end(): Promise<string>;
}

function describe(row: Answer['rows'][number]): string {
  const text = (name: string): string => row[name] ?? '';
  return `process ${text('pid')} (role ${text('role')}, application "${text('application')}", from ${text('address')}, ${text('state')}, its transaction is ${text('seconds')} s old)`;
}

/** Begins to ask whom the connection waits for. */
export function watchBlockers(link: Link, { clock, lockTimeoutMs, connect }: WatchOptions): Watch {
  let found = '';
  let timer: Timer | undefined;
  let asking: Promise<void> = Promise.resolve();
  let isOver = false;
  const arm = (): void => {
    timer = clock.setTimer(Math.min(ASK_AFTER_MS, lockTimeoutMs / 3), () => {
      asking = ask();
    });
  };
  async function ask(): Promise<void> {
    const second = await connect().catch(() => undefined);
    // Without an answer a message says less; nothing else depends on it.
    const answers = await second?.run(blockersStatement(link.pid)).catch(() => []);
    await second?.end();
    const [answer] = answers ?? [];
    if (answer !== undefined && answer.rows.length > 0) found = answer.rows.map(describe).join(', ');
    if (!isOver) arm();
  }
  arm();
  return {
    async end() {
      isOver = true;
      timer?.cancel();
      await asking;
      return found;
    },
  };
}
