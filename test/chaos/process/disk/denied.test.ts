// Goal: a journal that may not be written is refused at the start, by name, and is as good as before once it may be. Method: a writer in a process of its own without the right of root
// to pass over permissions, on a directory whose mode or attribute forbids it.
import { chmodSync, readdirSync } from 'node:fs';
import { afterEach, beforeEach, expect, it, type TestContext } from 'vitest';
import { canRun, findTool, hold, makeScratch, notRun, releaseAll, requireTools, run } from '../../../support/faults.ts';
import { LogPlace } from '../../../support/log-place.ts';

let place: LogPlace;

beforeEach(async () => {
  place = new LogPlace(makeScratch());
  await place.goOn();
});
afterEach(async () => {
  await place.close();
  releaseAll();
});

const DENIED = { isDone: false, isExpectedCode: true, refusals: [{ number: 0, code: expect.stringMatching(/^STREAM_/) as unknown }] };
const AS_BEFORE = { isSame: true, wrong: [], goesOn: [] };

/** What a writer says that may not write. */
async function deniedStart(wrapper: readonly string[] = []) {
  const { code, isDone } = await place.start({ records: 10 }, { wrapper }).ended;
  return { isDone, isExpectedCode: [1, 64, 74].includes(Number(code)), refusals: place.history.refusals };
}

async function afterwards(names: readonly string[]) {
  const isSame = readdirSync(place.directory).join() === names.join();
  const { wrong } = await place.read();
  return { isSame, wrong, goesOn: await place.goOn() };
}

/** A command that runs another without the rights of root over files. */
function asOrdinary(context: TestContext): readonly string[] {
  if (process.getuid?.() !== 0) return [];
  requireTools(context, ['setpriv']);
  return [findTool('setpriv') ?? 'setpriv', '--bounding-set=-dac_override,-dac_read_search'];
}

it.for([
  { what: 'be written', mode: 0o500 },
  { what: 'be read', mode: 0o000 },
])('refuses to start when the directory may not $what', async ({ mode }, context) => {
  const wrapper = asOrdinary(context);
  const names = readdirSync(place.directory);
  chmodSync(place.directory, mode);
  expect(await deniedStart(wrapper)).toEqual(DENIED);
  chmodSync(place.directory, 0o700);
  expect(await afterwards(names)).toEqual(AS_BEFORE);
});

it('refuses to start when a segment may not be read', async (context) => {
  const wrapper = asOrdinary(context);
  const names = readdirSync(place.directory);
  const segment = `${place.directory}/${place.segments()[0] ?? ''}`;
  chmodSync(segment, 0o000);
  expect(await deniedStart(wrapper)).toEqual(DENIED);
  chmodSync(segment, 0o600);
  expect(await afterwards(names)).toEqual(AS_BEFORE);
});

it('refuses to start when the directory is immutable', async (context) => {
  requireTools(context, ['root', 'chattr']);
  const names = readdirSync(place.directory);
  if (!canRun('chattr', '+i', place.directory)) notRun(context, 'a file system with attributes');
  hold(() => canRun('chattr', '-i', place.directory));
  expect(await deniedStart()).toEqual(DENIED);
  run('chattr', '-i', place.directory);
  expect(await afterwards(names)).toEqual(AS_BEFORE);
});
