// Pure: what an operator descends from, as a short text. A uid that was made from a position says nothing of itself; where the descent is another, it stands for another thing.
import { sha256Hex } from '../core/checksum.ts';
import type { GraphDescriptor, OperatorDescriptor } from '../core/graph-descriptor.ts';
import type { Uid } from '../core/ids.ts';

/** The kind of an operator that is an output with a ledger in its sink. */
export const SINK_KIND = 'saveTo';

/** Whether an operator brings records in. */
export function isSource({ parents, isStateful }: OperatorDescriptor): boolean {
  return parents.length === 0 && !isStateful;
}

/** A graph with its operators by uid. */
export class Lineage {
  readonly operators: ReadonlyMap<Uid, OperatorDescriptor>;
  readonly #ancestry = new Map<Uid, string>();
  readonly #descent = new Map<Uid, string>();

  constructor({ operators }: Pick<GraphDescriptor, 'operators'>) {
    this.operators = new Map(operators.map((operator) => [operator.uid, operator]));
  }

  /**
   * What tells an operator from others apart from a uid made from its position: its kind and the kinds and given uids of all it descends from. For a source, which descends from nothing,
   * where there are several of its kind: how many there are, and what descends from it.
   */
  signature(uid: Uid): string {
    const operator = this.operators.get(uid);
    if (operator === undefined) return '';
    if (!isSource(operator)) return this.#ancestryOf(operator, true);
    const alike = [...this.operators.values()].filter((other) => isSource(other) && other.isPositional && other.kind === operator.kind);
    return alike.length < 2 ? operator.kind : `${operator.kind} of ${alike.length}: ${this.#descentOf(operator)}`;
  }

  /** @param isSelf - Whether the operator's own uid is left out. */
  #ancestryOf(operator: OperatorDescriptor, isSelf = false): string {
    const known = isSelf ? undefined : this.#ancestry.get(operator.uid);
    if (known !== undefined) return known;
    const parents = operator.parents.map((uid) => {
      const parent = this.operators.get(uid);
      return parent === undefined ? uid : this.#ancestryOf(parent);
    });
    const text = sha256Hex(JSON.stringify([nameOf(operator, isSelf), parents]));
    if (!isSelf) this.#ancestry.set(operator.uid, text);
    return text;
  }

  #descentOf(operator: OperatorDescriptor): string {
    const known = this.#descent.get(operator.uid);
    if (known !== undefined) return known;
    const children = [...this.operators.values()].filter(({ parents }) => parents.includes(operator.uid));
    const text = sha256Hex(JSON.stringify([operator.kind, children.map((child) => `${nameOf(child, false)} ${this.#descentOf(child)}`).toSorted()]));
    this.#descent.set(operator.uid, text);
    return text;
  }
}

function nameOf({ kind, uid, isPositional }: OperatorDescriptor, isSelf: boolean): string {
  return isPositional || isSelf ? kind : `${kind} "${uid}"`;
}
