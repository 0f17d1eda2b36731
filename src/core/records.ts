// What may be a record or a state, in types: what a codec can carry. Functions and promises are refused here; what hides inside a record is refused by the codec, with its path.

/** Makes tuples out of array literals: `[word, 1]` becomes `[string, number]` without an annotation. */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type
export type Rec = [] | [Rec] | [Rec, Rec] | [Rec, Rec, Rec] | {} | null | undefined;

/** `unknown` for what can be stored, `never` for a function or a promise. */
export type Storable<U> = U extends (...parameters: never[]) => unknown ? never : U extends PromiseLike<unknown> ? never : unknown;

/** A record with a key, such as `[word, 1]`. */
export type KeyValuePair = readonly [unknown, unknown];

/** The key of a pair. */
export type KeyOf<T> = T extends readonly [infer K, unknown] ? K : never;

/** The value of a pair. */
export type ValueOf<T> = T extends readonly [unknown, infer V] ? V : never;

/** A pair of the key and value of another. */
export type PairOf<T> = readonly [KeyOf<T>, ValueOf<T>];
