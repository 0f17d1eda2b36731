// Pure: what becomes of what one stream has received, and of where it was? It is carried by a stream of the same kind, or it is given up.
import type { OperatorDescriptor } from '../core/graph-descriptor.ts';
import { isSource } from './lineage.ts';
import { compatible, counted, incompatible, nameOf, type HeldInput, type Judged, type Pairing } from './upgrade-scene.ts';

function inputText({ blocks, files, records, bytes }: HeldInput): string {
  const parts = [...(blocks === 0 ? [] : [`${counted(blocks, 'block')} with ${counted(records, 'record')}`]), ...(files === 0 ? [] : [counted(files, 'file')])];
  return `${parts.join(' and ')}, ${bytes} bytes`;
}

/** What becomes of what a stream has received. */
export function judgeInput(pairing: Pairing): readonly Judged[] {
  const { uid, is, facts } = pairing;
  const found = facts.inputs.get(uid);
  const held = found !== undefined && found.blocks + found.files > 0 ? found : undefined;
  const isKnown = facts.positioned.has(uid);
  return is !== undefined && isSource(is) ? stays(pairing, is, { held, isKnown }) : goes(pairing, { held, isKnown });
}

interface Received {
  readonly held: HeldInput | undefined;
  /** Whether it is remembered up to where the stream was received. */
  readonly isKnown: boolean;
}

/** A stream of today. */
function stays(pairing: Pairing, is: OperatorDescriptor, { held, isKnown }: Received): readonly Judged[] {
  const { uid, was } = pairing;
  const holds = held !== undefined || isKnown;
  if (was === undefined) return holds ? [compatible(`${is.kind} "${uid}" is back: it goes on from where it was`), ...judgeBlocks(pairing, held)] : [];
  if (was.kind === is.kind || !holds) return judgeBlocks(pairing, held);
  const what = held === undefined ? 'what was taken from it is remembered' : `${inputText(held)} of it wait`;
  return [incompatible(`${is.kind} "${uid}" was ${was.kind}, and ${what}: give the new stream another uid`)];
}

/** A stream that is none today. */
function goes(pairing: Pairing, { held, isKnown }: Received): readonly Judged[] {
  const { was, is } = pairing;
  const what = is === undefined ? 'is gone' : `is ${is.kind} now`;
  if (held !== undefined) return [{ verdict: 'consent', consent: 'dropInput', sentence: `${nameOf(pairing)} ${what}: ${inputText(held)} would be dropped` }];
  if (was === undefined || !isSource(was)) return [];
  return [compatible(`${nameOf(pairing)} ${what}: nothing of it waits${isKnown ? ', where it was stays known' : ''}`)];
}

function judgeBlocks({ uid, is, was, facts }: Pairing, held: HeldInput | undefined): readonly Judged[] {
  const unknown = (held?.codecs ?? []).filter((codec) => !facts.codecs.records.includes(codec));
  const name = `${is?.kind ?? ''} "${uid}"`;
  if (unknown.length > 0)
    return [incompatible(`${name}: blocks wait in the codec ${unknown.join(', ')}, and this version reads ${facts.codecs.records.join(', ')}`)];
  return was === undefined || was.codec === is?.codec
    ? []
    : [compatible(`${name}: its codec was ${was.codec ?? 'none'}, is ${is?.codec ?? 'none'}; each block is read by its own`)];
}
