// How the values of a key come together in a shuffle: one aggregator per operator.
import { detach } from '../core/detach.ts';
import type { Aggregator } from './shuffle.ts';

/** Reduces with `f`. */
export function reducing<V>(f: (left: V, right: V) => V): Aggregator<V, V> {
  return {
    create: (value) => value,
    add: f,
    merge(parts) {
      let result = detach(parts[0]) as V;
      for (let index = 1; index < parts.length; index++) result = f(result, detach(parts[index]) as V);
      return result;
    },
  };
}

/** Gathers all values in order. */
export function gathering<V>(): Aggregator<V, V[]> {
  return {
    create: (value) => [value],
    add: (values, value) => {
      values.push(value);
      return values;
    },
    merge(parts) {
      const all: V[] = [];
      for (const part of parts) for (const value of part) all.push(detach(value));
      return all;
    },
  };
}

/** The three functions of combineByKey. */
export interface Combiner<V, C> {
  /** Makes the first combined value of a key. */
  create(value: V): C;
  /** Takes another value in. */
  mergeValue(combined: C, value: V): C;
  /** Brings two combined values together. */
  mergeCombiners(left: C, right: C): C;
}

/** Combines on the map side, then merges what the map partitions made. */
export function combining<V, C>(combiner: Combiner<V, C>): Aggregator<V, C> {
  const merging = reducing<C>((left, right) => combiner.mergeCombiners(left, right));
  return { create: (value) => combiner.create(value), add: (combined, value) => combiner.mergeValue(combined, value), merge: (parts) => merging.merge(parts) };
}
