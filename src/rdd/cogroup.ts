// cogroup and the joins made of it: two datasets shuffled into the same ranges of slots meet key by key.
import { detach } from '../core/detach.ts';
import { gathering } from './aggregators.ts';
import { flatMapNode, type RddNode } from './node.ts';
import { shuffle, type ShuffleSettings, type SlotGroups } from './shuffle.ts';

/** A key with all its values on either side. */
export type Cogrouped<K, V, W> = [K, [V[], W[]]];

const NO_GROUPS: SlotGroups<never[]> = new Map();

/** The keys of both sides, slot by slot: those of the left as first seen, then those of the right alone. */
export function cogroupNode<K, V, W>(
  left: RddNode<readonly [K, V]>,
  right: RddNode<readonly [K, W]>,
  settings: ShuffleSettings & { readonly kind?: string },
): RddNode<Cogrouped<K, V, W>> {
  const ones = shuffle(left, gathering<V>(), settings);
  const others = shuffle(right, gathering<W>(), settings);
  return {
    lineage: { name: settings.kind ?? 'cogroup', parents: [left, right], isShuffled: true },
    partitionCount: settings.partitions,
    async prepare(partition) {
      const read = [await ones.read(partition), await others.read(partition)] as const;
      const slots = [...new Set([...read[0].keys(), ...read[1].keys()])].sort((a, b) => a - b);
      return (push) => {
        for (const slot of slots) {
          const here = read[0].get(slot) ?? (NO_GROUPS as SlotGroups<V[]>);
          const there = read[1].get(slot) ?? (NO_GROUPS as SlotGroups<W[]>);
          for (const [text, { key, value }] of here) push([detach(key as K), [value, there.get(text)?.value ?? []]]);
          for (const [text, { key, value }] of there) if (!here.has(text)) push([detach(key as K), [[], value]]);
        }
      };
    },
  };
}

/** Which keys of one side alone a join keeps. */
export interface JoinSides {
  readonly keepsLeft: boolean;
  readonly keepsRight: boolean;
}

/** The name of a join. */
export type JoinKind = 'join' | 'leftOuterJoin' | 'rightOuterJoin' | 'fullOuterJoin';

/** The joins: `null` stands for the side that has nothing. */
export const JOINS: Readonly<Record<JoinKind, JoinSides>> = {
  join: { keepsLeft: false, keepsRight: false },
  leftOuterJoin: { keepsLeft: true, keepsRight: false },
  rightOuterJoin: { keepsLeft: false, keepsRight: true },
  fullOuterJoin: { keepsLeft: true, keepsRight: true },
};

function* joinKey<K, V, W>([key, [ones, others]]: Cogrouped<K, V, W>, sides: JoinSides): Generator<[K, [V | null, W | null]]> {
  const left: readonly (V | null)[] = ones.length === 0 && sides.keepsRight ? [null] : ones;
  const right: readonly (W | null)[] = others.length === 0 && sides.keepsLeft ? [null] : others;
  for (const one of left) for (const other of right) yield [detach(key), [detach(one), detach(other)]];
}

/** Pairs each value of a key on the left with each on the right. */
export function joinNode<K, V, W>(
  left: RddNode<readonly [K, V]>,
  right: RddNode<readonly [K, W]>,
  settings: ShuffleSettings & { readonly kind: JoinKind },
): RddNode<[K, [V | null, W | null]]> {
  return flatMapNode(cogroupNode(left, right, settings), (cogrouped) => joinKey(cogrouped, JOINS[settings.kind]), settings.kind);
}
