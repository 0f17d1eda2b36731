// The option `accept`, checked once.
import { optionError, refuseUnknownOptions, textOption } from '../core/options.ts';
import type { Acceptance } from '../recovery/judge-consent.ts';

const OWNER = 'accept';

function listOption<T>(name: string, value: unknown, element: (each: unknown) => T): readonly T[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw optionError(OWNER, name, { expected: 'an array', found: value });
  const list = value.map(element);
  const twice = list.find((each, index) => list.indexOf(each) !== index);
  if (twice !== undefined) throw optionError(OWNER, name, { expected: 'an array that names each once', found: twice });
  return list;
}

/** Checks what may be given up; throws {@link UsageError} naming what is wrong. */
export function resolveAcceptance(accept: Acceptance | undefined): Acceptance {
  if (accept === undefined) return {};
  if (typeof accept !== 'object' || accept === null) throw optionError('getOrCreate', 'accept', { expected: 'an object', found: accept });
  refuseUnknownOptions(OWNER, accept, ['dropState', 'forgetSink', 'dropInput', 'replaceBatches']);
  const uids = (name: 'dropState' | 'forgetSink' | 'dropInput'): readonly string[] => listOption(name, accept[name], (uid) => textOption(OWNER, name, uid));
  const replaceBatches = listOption('replaceBatches', accept.replaceBatches, (time) => {
    if (!Number.isSafeInteger(time) || Number(time) < 1) throw optionError(OWNER, 'replaceBatches', { expected: 'batch times in milliseconds', found: time });
    return Number(time);
  });
  return { dropState: uids('dropState'), forgetSink: uids('forgetSink'), dropInput: uids('dropInput'), replaceBatches };
}
