// What a comparison of a store with today's graph works with, and what it says of each uid.
import type { OperatorDescriptor } from '../core/graph-descriptor.ts';
import type { Uid } from '../core/ids.ts';

/** State of an operator in the checkpoint. */
export interface HeldState {
  readonly keys: number;
  readonly bytes: number;
  /** The operator that wrote it; undefined where the checkpoint does not say. */
  readonly writtenAs: OperatorDescriptor | undefined;
}

/** Inputs of a stream that no state and no sink has for good: waiting, or in batches that must run again. */
export interface HeldInput {
  readonly blocks: number;
  readonly files: number;
  readonly records: number;
  readonly bytes: number;
  /** The codecs of the blocks. */
  readonly codecs: readonly string[];
}

/** What a store holds, by uid. */
export interface StoreFacts {
  readonly states: ReadonlyMap<Uid, HeldState>;
  /** How many completed batches that are in no checkpoint name an operator: what state they made is not counted. */
  readonly uncheckpointed: ReadonlyMap<Uid, number>;
  readonly inputs: ReadonlyMap<Uid, HeldInput>;
  /** Streams of which positions or names of files are remembered. */
  readonly positioned: ReadonlySet<Uid>;
  /** How many partitions of a sink have committed. */
  readonly rows: ReadonlyMap<Uid, number>;
  /** Sinks that an unfinished plan names. */
  readonly unfinished: ReadonlySet<Uid>;
  /** The codecs that are read: of state by each operator of today, of records by this version. */
  readonly codecs: { readonly state: ReadonlyMap<Uid, readonly string[]>; readonly records: readonly string[] };
}

/** How a difference is judged. */
export type ChangeVerdict = 'compatible' | 'consent' | 'incompatible';

/** The option in which a uid is given up. */
export type ConsentKind = 'dropState' | 'forgetSink' | 'dropInput';

/** A difference between the store and today's graph. */
export interface Change {
  readonly verdict: ChangeVerdict;
  /** What it is about; undefined for the program as a whole. */
  readonly uid: Uid | undefined;
  readonly sentence: string;
  /** What must be given up for it; only with the verdict `consent`. */
  readonly consent?: ConsentKind;
}

/** One uid on both sides. */
export interface Pairing {
  readonly uid: Uid;
  readonly was: OperatorDescriptor | undefined;
  readonly is: OperatorDescriptor | undefined;
  readonly facts: StoreFacts;
}

/** A difference of one uid. */
export type Judged = Omit<Change, 'uid'>;

/** Nothing is lost. */
export function compatible(sentence: string): Judged {
  return { verdict: 'compatible', sentence };
}
/** It cannot be taken over. */
export function incompatible(sentence: string): Judged {
  return { verdict: 'incompatible', sentence };
}

/** What an operator is called in a sentence: by what it was, where it was anything. */
export function nameOf({ uid, was, is }: Pairing): string {
  const operator = was ?? is;
  return operator === undefined ? `"${uid}"` : `${operator.kind} "${uid}"`;
}

/** A number with its noun. */
export function counted(count: number, noun: string, plural: string = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : plural}`;
}
