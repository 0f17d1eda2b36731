// Gives each operator of today's graph the state that a checkpoint holds of it: as it is, migrated, or what it begins with.
import { keyText, slotOfText } from '../core/key-slot.ts';
import { optionError } from '../core/options.ts';
import type { Uid } from '../core/ids.ts';
import type { StatefulNode } from '../dstream/graph.ts';
import { KeyedState } from '../state/keyed-state.ts';
import { migrateState, type MigrationReport } from '../state/migrate-state.ts';
import { keepFor, type StateEntry } from '../state/state-value.ts';
import type { Restored } from './restore-checkpoint.ts';

/** The state of all operators. */
export interface AttachedState {
  readonly states: Map<Uid, KeyedState>;
  /** What was migrated. */
  readonly migrations: readonly MigrationReport[];
}

function beginState({ node, state: { settings, initial } }: StatefulNode): KeyedState {
  const { uid, kind } = node.descriptor;
  const state = new KeyedState(uid, settings);
  const slots = new Map<number, Map<string, StateEntry>>();
  for (const [key, value] of initial) {
    const text = keyText(key);
    const slot = slotOfText(text);
    const entries = slots.get(slot) ?? new Map<string, StateEntry>();
    if (entries.has(text)) throw optionError(kind, 'initialState', { expected: 'pairs with each key once', found: key });
    slots.set(slot, entries.set(text, keepFor(text, value, { codec: settings.codecs[0] })));
  }
  for (const [slot, entries] of slots) state.merge(slot, entries);
  return state;
}

/**
 * Attaches state to operators. Nothing on the disk changes: what was migrated is in the next checkpoint.
 *
 * @throws {UsageError} If a migration is missing or fails.
 */
export function attachState(operators: readonly StatefulNode[], { states: stored, stateGraph: graph }: Pick<Restored, 'states' | 'stateGraph'>): AttachedState {
  const states = new Map<Uid, KeyedState>();
  const migrations: MigrationReport[] = [];
  for (const operator of operators) {
    const { descriptor } = operator.node;
    const { uid, stateVersion: to = 1 } = descriptor;
    const before = graph?.operators.find((other) => other.uid === uid && other.isStateful && other.kind === descriptor.kind);
    if (before === undefined) {
      states.set(uid, beginState(operator));
      continue;
    }
    const { settings, migrations: steps } = operator.state;
    const held = new KeyedState(uid, settings, stored.get(uid));
    const from = before.stateVersion ?? 1;
    if (from === to) {
      states.set(uid, held);
      continue;
    }
    const { state, report } = migrateState(held, { uid, from, to, migrations: steps, settings });
    states.set(uid, state);
    migrations.push(report);
  }
  return { states, migrations };
}
