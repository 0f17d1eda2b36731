// Brings the state of an operator from an older version to today's, key by key. Pure in what it is given: the old state stays as it is, the result is new.
import { toError, UsageError } from '../core/errors.ts';
import { KEY_SLOTS, keyOfText, keyText, slotOfText } from '../core/key-slot.ts';
import { encodeValue } from '../core/value-codec.ts';
import { KeyedState } from './keyed-state.ts';
import type { StateSettings } from './state-slot.ts';
import { keepFor, showValue, type StateEntry } from './state-value.ts';

/**
 * One step of a migration: from a version of the state to the next. Both functions must be pure: they run again if the driver dies before the next checkpoint.
 *
 * @typeParam S - The state, in whichever version.
 */
export interface StateMigration {
  /** The version that is brought to the next one. */
  readonly from: number;
  /**
   * Makes the new value of a key. Undefined removes the key.
   *
   * @defaultValue The value stays.
   */
  readonly value?: (value: never, key: never) => unknown;
  /**
   * Makes the new key. Two keys must not become one.
   *
   * @defaultValue The key stays.
   */
  readonly key?: (key: never) => unknown;
}

/** What a migration came to. */
export interface MigrationReport {
  readonly uid: string;
  readonly from: number;
  readonly to: number;
  /** Keys there were. */
  readonly keys: number;
  /** Keys that a value function removed. */
  readonly removed: number;
  /** Keys that got another name. */
  readonly renamed: number;
}

/** How a state is brought up to date. */
export interface MigrationPlan {
  readonly uid: string;
  readonly from: number;
  readonly to: number;
  readonly migrations: readonly StateMigration[];
  readonly settings: StateSettings;
}

interface Pair {
  readonly key: unknown;
  readonly value: unknown;
}

type AnyFunction = (...given: unknown[]) => unknown;

function failed(plan: MigrationPlan, step: number, { key, why, cause }: { readonly key: unknown; readonly why: string; readonly cause?: unknown }): UsageError {
  const what = `Cannot migrate the state of "${plan.uid}" from version ${step} to ${step + 1} at key ${encodeValue(key)}`;
  return new UsageError('STREAM_MIGRATION', `${what}: ${why}. Nothing was changed`, { cause });
}

function applyStep(plan: MigrationPlan, step: StateMigration, pair: Pair): Pair {
  const attempt = (name: 'key' | 'value', work: () => unknown): unknown => {
    try {
      return work();
    } catch (error) {
      throw failed(plan, step.from, { key: pair.key, why: `its ${name} function threw ${toError(error).message}`, cause: error });
    }
  };
  const { key, value } = pair;
  return {
    value: step.value === undefined ? value : attempt('value', () => (step.value as AnyFunction)(value, key)),
    key: step.key === undefined ? key : attempt('key', () => (step.key as AnyFunction)(key)),
  };
}

/** The steps from one version to another, in order; undefined if one is missing. */
export function migrationSteps({ from, to, migrations }: Pick<MigrationPlan, 'from' | 'to' | 'migrations'>): readonly StateMigration[] | undefined {
  const steps: StateMigration[] = [];
  for (let version = from; version < to; version++) {
    const step = migrations.find((migration) => migration.from === version);
    if (step === undefined) return undefined;
    steps.push(step);
  }
  return steps;
}

/** The oldest version from which the migrations reach `to` without a gap. */
export function migratesFrom(to: number, migrations: readonly StateMigration[]): number {
  let from = to;
  while (migrations.some((migration) => migration.from === from - 1)) from -= 1;
  return from;
}

/**
 * Migrates a state. The time of the last touch of each key stays.
 *
 * @throws {UsageError} If a step is missing, a function throws, a value cannot be kept, or two keys become one.
 */
export function migrateState(old: KeyedState, plan: MigrationPlan): { readonly state: KeyedState; readonly report: MigrationReport } {
  const { uid, from, to, settings } = plan;
  const steps = migrationSteps(plan);
  if (steps === undefined)
    throw new UsageError(
      'STREAM_MIGRATION',
      `Cannot migrate the state of "${uid}" as there must be a migration for each version from ${from} to ${to}: one is missing`,
    );
  const report = { uid, from, to, keys: 0, removed: 0, renamed: 0 };
  const origins = new Map<string, string>();
  const slots = new Map<number, Map<string, StateEntry>>();
  for (const [oldText, entry] of entriesOf(old)) {
    report.keys += 1;
    const { key, value } = applySteps(plan, steps, { key: keyOfText(oldText), value: showValue(entry, old.codec) });
    if (value === undefined) {
      report.removed += 1;
      continue;
    }
    const text = keyText(key);
    const other = origins.get(text);
    if (other !== undefined) {
      const both = [other, oldText].map((each) => encodeValue(keyOfText(each))).join(' and ');
      throw failed(plan, to - 1, { key, why: `two keys must not become one, and both ${both} become it` });
    }
    origins.set(text, oldText);
    if (text !== oldText) report.renamed += 1;
    const slot = slotOfText(text);
    const entries = slots.get(slot) ?? new Map<string, StateEntry>();
    slots.set(slot, entries.set(text, keepFor(text, value, { codec: settings.codecs[0], at: entry.at })));
  }
  const state = new KeyedState(uid, settings);
  for (const [slot, entries] of slots) state.merge(slot, settings.isOrdered ? oldestFirst(entries) : entries);
  return { state, report };
}

function* entriesOf(state: KeyedState): Generator<readonly [string, StateEntry], void, undefined> {
  for (let slot = 0; slot < KEY_SLOTS; slot++) yield* state.slot(slot);
}

function applySteps(plan: MigrationPlan, steps: readonly StateMigration[], given: Pair): Pair {
  let pair = given;
  for (const step of steps) {
    pair = applyStep(plan, step, pair);
    if (pair.value === undefined) break;
  }
  return pair;
}

/** Keys that came from several slots, in the order in which they were touched last. */
function oldestFirst(entries: ReadonlyMap<string, StateEntry>): ReadonlyMap<string, StateEntry> {
  return new Map([...entries].sort(([, left], [, right]) => left.at - right.at));
}
