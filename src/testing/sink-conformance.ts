// What every transactional sink must keep, as rules that need no test framework: users run them on sinks of their own, with any.
import { toError } from '../core/errors.ts';
import { checkDeaths, checkFailures } from './sink-deaths.ts';
import { checkOpeningDeaths, checkOpeningFailures } from './sink-openings.ts';
import { onPlace, type SinkUnderTest } from './sink-bench.ts';
import { SINK_RULES } from './sink-rules.ts';

export type { SinkPlace, SinkUnderTest } from './sink-bench.ts';

/**
 * Checks that a sink keeps the rules that "exactly once" rests on, on places of its own. What no program can see from inside is not checked: that a commit which resolved survives the
 * loss of power. docs/writing-a-sink.md has a sink to start from.
 *
 * @returns The names of the rules that were checked.
 * @throws {Error} With the name of the first rule that the sink breaks, and what was found.
 * @example
 * ```ts
 * import { checkSinkConformance, createSimSink, SimTable } from 'millrace/testing';
 *
 * const rules = await checkSinkConformance({
 *   createPlace() {
 *     const table = new SimTable<number>();
 *     return { createSink: (process) => createSimSink(table, process), read: () => table.commits.flatMap(({ rows }) => rows) };
 *   },
 *   row: (number) => number,
 *   isShared: true,
 * });
 * console.assert(rules.length > 10);
 * ```
 */
export async function checkSinkConformance<T>(sink: SinkUnderTest<T>): Promise<readonly string[]> {
  const checked: string[] = [];
  const check = async (name: string, work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (thrown) {
      const error = toError(thrown);
      throw new Error(`Cannot use this sink as it must keep the rule "${name}": ${error.message}`, { cause: error });
    }
    checked.push(name);
  };
  for (const rule of SINK_RULES) {
    if (rule.needsSharing === true && !sink.isShared) continue;
    await check(rule.name, () => onPlace(sink, (bench) => rule.check(bench)));
  }
  await check('a driver that dies between any two steps of a commit leaves the rows once', () => checkDeaths(sink));
  await check('a commit whose outcome is unknown is repeated and leaves the rows once', () => checkFailures(sink));
  await check('a driver that dies between any two steps of open leaves what was there to the next', () => checkOpeningDeaths(sink));
  await check('an open whose outcome is unknown leaves what was there to the next driver', () => checkOpeningFailures(sink));
  return checked;
}
