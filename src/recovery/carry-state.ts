// Pure: what becomes of the state of one uid? It is carried, by an operator of the same kind that reads its codec and its version, or it is given up.
import type { OperatorDescriptor } from '../core/graph-descriptor.ts';
import { compatible, counted, incompatible, nameOf, type Judged, type Pairing } from './upgrade-scene.ts';

/** What is held of an operator's state, in words; undefined if there is none. */
export function stateText({ uid, was, facts }: Pairing): string | undefined {
  const state = facts.states.get(uid);
  const batches = was?.isStateful === true ? (facts.uncheckpointed.get(uid) ?? 0) : 0;
  const parts = [
    ...(state === undefined || state.keys === 0 ? [] : [`${counted(state.keys, 'key')}, ${state.bytes} bytes of state`]),
    ...(batches === 0 ? [] : [`the state that ${counted(batches, 'batch', 'batches')} in no checkpoint made`]),
  ];
  return parts.length === 0 ? undefined : parts.join(' and ');
}

/** State that an operator goes on with: written by another version of it? */
function carriedState(pairing: Pairing, is: OperatorDescriptor): readonly Judged[] {
  const { uid, was, facts } = pairing;
  const held = facts.states.get(uid);
  const written = held?.writtenAs ?? was;
  if (written === undefined) return [];
  const name = `${is.kind} "${uid}"`;
  if (written.kind !== is.kind) {
    return [
      incompatible(
        `${name}: its state was made by ${written.kind}, which it cannot go on with. Give it a uid of its own, and drop the old state with dropState: ["${uid}"]`,
      ),
    ];
  }
  const changes: Judged[] = [];
  if (written.codec !== is.codec) changes.push(judgeCodec(name, { before: written.codec, now: is.codec, known: facts.codecs.state.get(uid) ?? [] }));
  return [...changes, ...judgeVersion(name, { written, is, keys: held?.keys ?? 0 })];
}

function judgeVersion(
  name: string,
  state: { readonly written: OperatorDescriptor; readonly is: OperatorDescriptor; readonly keys: number },
): readonly Judged[] {
  const { written, is, keys } = state;
  const from = written.stateVersion ?? 1;
  const to = is.stateVersion ?? 1;
  const oldest = is.migratesFrom ?? to;
  if (to < from) return [incompatible(`${name}: its state was written in version ${from}, this program knows version ${to}: it was rolled back`)];
  if (to === from) return [];
  return oldest > from
    ? [incompatible(`${name}: its state was written in version ${from}, and its migrations to version ${to} begin at version ${oldest}`)]
    : [compatible(`${name}: ${counted(keys, 'key')} ${keys === 1 ? 'is' : 'are'} migrated from version ${from} to ${to}`)];
}

function judgeCodec(name: string, codec: { readonly before: string | undefined; readonly now: string | undefined; readonly known: readonly string[] }): Judged {
  const { before = 'none', now = 'none', known } = codec;
  return known.includes(before)
    ? compatible(`${name}: its state was written with the codec ${before} and is written with ${now} from here on`)
    : incompatible(`${name}: its state was written with the codec ${before}, and the program reads ${known.join(', ')}: give that one in readCodecs`);
}

/** What becomes of an operator's state. */
export function judgeState(pairing: Pairing): readonly Judged[] {
  const { uid, was, is } = pairing;
  const held = stateText(pairing);
  if (is?.isStateful === true) {
    if (held !== undefined) return carriedState(pairing, is);
    if (was === undefined) return [compatible(`${is.kind} "${uid}" is new: its state starts empty`)];
    return was.isStateful ? [] : [compatible(`${is.kind} "${uid}" keeps state from here on: it starts empty`)];
  }
  const what = is === undefined ? 'is gone' : `is ${is.kind} now, which keeps no state`;
  if (held !== undefined) return [{ verdict: 'consent', consent: 'dropState', sentence: `${nameOf(pairing)} ${what}: ${held} would be dropped` }];
  return was?.isStateful === true ? [compatible(`${nameOf(pairing)} ${what}: it holds no state`)] : [];
}
