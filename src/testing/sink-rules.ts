// The rules of a sink, one by one. Batches are 100, 200 and so on; rows are numbers.
import type { PreparedRows } from '../sinks/sink.ts';
import { expectRefusal, expectRow, expectSame, planOf, type Bench } from './sink-bench.ts';

/** A rule. */
export interface SinkRule {
  readonly name: string;
  /** Whether two drivers must have the place open at one time. */
  readonly needsSharing?: boolean;
  /** Throws an error that says what was found. */
  readonly check: <T>(bench: Bench<T>) => Promise<void>;
}

const FINGERPRINT = /^[0-9a-f]{32}$/;

/** The rules that need no step in between. */
export const SINK_RULES: readonly SinkRule[] = [
  {
    name: 'a place that nobody used is an empty view, and a look changes nothing',
    async check({ driver, kill }) {
      for (const epoch of [1, 2]) {
        const looking = driver(epoch);
        const view = await looking.look();
        await kill(looking);
        expectSame('the fence of a place that nobody used', view.fence, undefined);
        expectSame('the number of its ledger rows', view.rows.size, 0);
      }
    },
  },
  {
    name: 'prepare is pure, needs no open, and its fingerprint tells rows and their order apart',
    check({ driver }) {
      const first = driver(1);
      const prepare = (...numbers: readonly number[]): PreparedRows => first.prepare(...numbers);
      const all = [prepare(1, 2), prepare(1, 2), prepare(2, 1), prepare(1), prepare(1, 3)].map(({ fingerprint }) => fingerprint);
      expectSame(
        'whether each fingerprint is 32 hex digits',
        all.every((each) => FINGERPRINT.test(each)),
        true,
      );
      expectSame('the fingerprint of the same rows', all[1], all[0]);
      expectSame('the number of fingerprints of four partitions that differ', new Set(all).size, 4);
      expectSame('rowCount', prepare(1, 2).rowCount, 2);
      return Promise.resolve();
    },
  },
  {
    name: 'a commit writes the rows and the ledger row',
    async check({ driver, expectRows }) {
      const first = driver(1);
      const { fence } = await first.open();
      const { epoch, incarnation, storeId } = first.session;
      expectSame('the fence after open', { epoch: fence?.epoch, incarnation: fence?.incarnation, storeId: fence?.storeId }, { epoch, incarnation, storeId });
      const rows = first.prepare(1, 2);
      expectSame('the answer to a first commit', await first.commit(rows, { time: 100 }), 'committed');
      expectRow(await first.look(), 0, { time: 100, rows, epoch: 1 });
      await expectRows(1, 2);
    },
  },
  {
    name: 'outputs have ledgers of their own, also those of other applications',
    async check({ driver }) {
      const first = driver(1);
      await first.open();
      await first.commit(first.prepare(1), { time: 100 });
      for (const [what, other] of [
        ['an output that never committed', { sink: 'another' }],
        ['the same output of another application', { app: 'another' }],
      ] as const) {
        const { rows, fence } = await first.look(other);
        expectSame(`the ledger of ${what}`, [rows.size, fence], [0, undefined]);
      }
    },
  },
  {
    name: 'the same commit again is a duplicate, also for the next driver',
    async check({ driver, expectRows, kill }) {
      const first = driver(1);
      await first.open();
      await first.commit(first.prepare(1, 2), { time: 100 });
      expectSame('the answer to the same commit', await first.commit(first.prepare(1, 2), { time: 100 }), 'duplicate');
      await first.commit(first.prepare(3), { time: 200, previous: 100 });
      await kill(first);
      const second = driver(2);
      await second.open();
      expectSame('the answer to the next driver', await second.commit(second.prepare(3), { time: 200, previous: 100 }), 'duplicate');
      await expectRows(1, 2, 3);
    },
  },
  {
    name: 'other rows under a plan that is committed are refused',
    async check({ driver, expectRows }) {
      const first = driver(1);
      await first.open();
      await first.commit(first.prepare(1), { time: 100 });
      await expectRefusal('a rerun with other rows', first.commit(first.prepare(2), { time: 100 }), 'STREAM_BATCH_DIFFERS');
      await expectRows(1);
    },
  },
  {
    name: 'a batch that is committed under another plan is refused',
    async check({ driver, expectRows }) {
      const first = driver(1);
      await first.open();
      await first.commit(first.prepare(1), { time: 100 });
      await expectRefusal('the same rows under another plan', first.commit(first.prepare(1), { time: 100, plan: planOf(7) }), 'STREAM_SINK_CONFLICT');
      await first.commit(first.prepare(2), { time: 200, previous: 100 });
      await expectRefusal(
        'a foreign plan behind the row before',
        first.commit(first.prepare(1), { time: 200, previous: 100, plan: planOf(7) }),
        'STREAM_SINK_CONFLICT',
      );
      await expectRows(1, 2);
    },
  },
  {
    name: 'a commit follows the row it expects and no other',
    async check({ driver, expectRows }) {
      const first = driver(1);
      await first.open();
      await expectRefusal('a commit behind a row that is missing', first.commit(first.prepare(9), { time: 200, previous: 100 }), 'STREAM_SINK_CONFLICT');
      await first.commit(first.prepare(1), { time: 200 });
      const rows = first.prepare(9);
      await expectRefusal('a commit behind a newer row than there is', first.commit(rows, { time: 400, previous: 300 }), 'STREAM_SINK_CONFLICT');
      await expectRefusal('a commit behind an older row than there is', first.commit(rows, { time: 300, previous: 100 }), 'STREAM_SINK_CONFLICT');
      await expectRefusal('a first commit where a row is', first.commit(rows, { time: 300 }), 'STREAM_SINK_CONFLICT');
      await expectRows(1);
    },
  },
  {
    name: 'a partition without rows keeps its row, however long',
    async check({ driver, expectRows, kill }) {
      const first = driver(1);
      await first.open();
      const rows = first.prepare(1);
      await first.commit(rows, { time: 100 });
      await first.commit(first.prepare(2), { time: 100, partition: 1 });
      for (const time of [200, 300]) await first.commit(first.prepare(time), { time, previous: time - 100, partition: 1 });
      await kill(first);
      const second = driver(2);
      expectRow(await second.open(), 0, { time: 100, rows, epoch: 1 });
      expectSame('the answer behind a row of long ago', await second.commit(second.prepare(3), { time: 400, previous: 100 }), 'committed');
      await expectRows(1, 2, 3, 200, 300);
    },
  },
  {
    name: 'a claim needs a greater epoch of the same store',
    async check({ driver, kill, isShared }) {
      const first = driver(5);
      await first.open();
      if (isShared) await first.open();
      await kill(first);
      for (const [what, epoch, more] of [
        ['a claim of an older epoch', 4, {}],
        ['a claim of the same epoch by a twin', 5, { twin: 'twin' }],
        ['a claim of another store', 6, { storeId: '6'.repeat(32) }],
      ] as const) {
        const other = driver(epoch, more);
        await expectRefusal(what, other.open(), 'STREAM_FENCED');
        await kill(other);
      }
      const view = await driver(6).open();
      expectSame('the epoch of the fence', view.fence?.epoch, 6);
    },
  },
  {
    name: 'a driver behind a newer one commits nothing more',
    needsSharing: true,
    async check({ driver, expectRows }) {
      const old = driver(1);
      await old.open();
      await old.commit(old.prepare(1), { time: 100 });
      const next = driver(2);
      await next.open();
      await expectRefusal('a commit of the older driver', old.commit(old.prepare(2), { time: 200, previous: 100 }), 'STREAM_FENCED');
      await expectRefusal('its first commit of a partition', old.commit(old.prepare(2), { time: 200, partition: 1 }), 'STREAM_FENCED');
      await expectRows(1);
      expectSame('the answer to the newer driver', await next.commit(next.prepare(3), { time: 200, previous: 100 }), 'committed');
      await expectRows(1, 3);
    },
  },
  {
    name: 'of two that claim one epoch at one moment at most one gets it',
    needsSharing: true,
    async check({ driver }) {
      const twins = ['a', 'b', 'c'].map((twin) => driver(1, { twin }));
      const claims = await Promise.allSettled(twins.map((twin) => twin.open()));
      expectSame('the number of those that got it', claims.filter(({ status }) => status === 'fulfilled').length, 1);
    },
  },
  {
    name: 'a claim beside a commit sees it, or ends it',
    needsSharing: true,
    async check({ driver, expectRows }) {
      const old = driver(1);
      await old.open();
      await old.commit(old.prepare(1), { time: 100 });
      const next = driver(2);
      const [commit, claim] = await Promise.allSettled([old.commit(old.prepare(2), { time: 200, previous: 100 }), next.open()]);
      if (claim.status === 'rejected') throw claim.reason;
      const isThere = commit.status === 'fulfilled';
      expectSame('whether the newer driver sees the commit', claim.value.rows.get(0)?.batchTime === 200, isThere);
      await expectRows(...(isThere ? [1, 2] : [1]));
    },
  },
  {
    name: 'a sink that is closed takes nothing, and may be closed again',
    async check({ driver, expectRows }) {
      const first = driver(1);
      await first.open();
      await first.commit(first.prepare(1), { time: 100 });
      await first.sink.close();
      await first.sink.close();
      await expectRefusal('a commit to a sink that is closed', first.commit(first.prepare(2), { time: 200, previous: 100 }));
      await expectRows(1);
    },
  },
];
