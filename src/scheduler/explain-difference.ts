// Pure: what two runs of a partition gave that must be the same, and what that looks like. For people: nothing is decided by it.

/** The rows of two runs of a partition, as text. */
export interface TwoRuns {
  readonly before: readonly string[];
  readonly now: readonly string[];
}

const ROW_LENGTH_MAX = 200;

/** Seconds, milliseconds, microseconds since 1970, between 2001 and 2100. */
const EPOCH_UNITS = [1, 1e3, 1e6] as const;
const [EPOCH_MIN, EPOCH_MAX] = [1e9, 4.1e9] as const;

const TOKEN = /[\p{L}\p{N}](?:[\p{L}\p{N}_.:+-]*[\p{L}\p{N}])?/gu;
const ISO_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const RANDOM_HEX = /^(?=.*\d)(?=.*[a-f])[0-9a-f]{12,}$/i;
/** A fraction with as many digits as a random number has. */
const RANDOM_FRACTION = /^0\.\d{12,}$/;

function isTime(token: string): boolean {
  if (ISO_TIME.test(token)) return true;
  const number = /^\d+$/.test(token) ? Number(token) : Number.NaN;
  return EPOCH_UNITS.some((unit) => number >= EPOCH_MIN * unit && number < EPOCH_MAX * unit);
}

function isRandom(token: string): boolean {
  return UUID.test(token) || RANDOM_HEX.test(token) || RANDOM_FRACTION.test(token);
}

function isSameSet({ before, now }: TwoRuns): boolean {
  return before.length === now.length && before.toSorted().join('\n') === now.toSorted().join('\n');
}

/** The first places in which two rows differ that are of one shape. */
function differingTokens(before: string, now: string): readonly (readonly [string, string])[] {
  const [left, right] = [before.match(TOKEN) ?? [], now.match(TOKEN) ?? []];
  return left.flatMap((token, index) => {
    const other = right[index];
    return other === undefined || other === token ? [] : [[token, other] as const];
  });
}

function causeOf(runs: TwoRuns, before: string | undefined, now: string | undefined): string {
  if (isSameSet(runs)) return 'The rows are the same in another order: does it depend on the order of a set, of a directory, or of promises that settle?';
  const tokens = before === undefined || now === undefined ? [] : differingTokens(before, now);
  if (tokens.length > 0 && tokens.every((pair) => pair.every(isTime)))
    return 'Times differ: does it read a clock? The time of the batch is the same in each run';
  if (tokens.length > 0 && tokens.every((pair) => pair.every(isRandom))) return 'What differs looks random: does it make random numbers or ids?';
  return 'Does it use a clock, random numbers, the order of a set, or something outside the program, or was it changed without a new version?';
}

function shown(row: string | undefined): string {
  if (row === undefined) return 'none';
  return JSON.stringify(row.length <= ROW_LENGTH_MAX ? row : `${row.slice(0, ROW_LENGTH_MAX)}...`);
}

/** The first row in which two runs differ, and what that looks like; sentences behind a full stop. */
export function explainDifference(runs: TwoRuns): string {
  const { before, now } = runs;
  const length = Math.max(before.length, now.length);
  let index = 0;
  while (index < length && before[index] === now[index]) index += 1;
  return `The first row that differs is number ${index}: the first run had ${shown(before[index])}, now it is ${shown(now[index])}. ${causeOf(runs, before[index], now[index])}`;
}
