// Tries migrations on the state that a checkpoint holds, and keeps nothing of what comes of it.
import type { Uid } from '../core/ids.ts';
import type { StatefulNode } from '../dstream/graph.ts';
import { KeyedState } from '../state/keyed-state.ts';
import { migrateState, type MigrationReport } from '../state/migrate-state.ts';
import type { StoredStates } from './restore-checkpoint.ts';

/**
 * Tries the migrations that a start would make.
 *
 * @param wanted - From which version of its state to which one each operator goes.
 * @throws {UsageError} As {@link migrateState}.
 */
export function tryMigrations(
  states: StoredStates,
  stateful: readonly StatefulNode[],
  wanted: readonly { readonly uid: Uid; readonly from: number; readonly to: number }[],
): readonly MigrationReport[] {
  return wanted.flatMap(({ uid, from, to }) => {
    const operator = stateful.find(({ node }) => node.descriptor.uid === uid);
    if (operator === undefined) return [];
    const { settings, migrations } = operator.state;
    return [migrateState(new KeyedState(uid, settings, states.get(uid)), { uid, from, to, migrations, settings }).report];
  });
}
